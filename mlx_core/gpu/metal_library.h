// Kernels ready to run, by name: libraries and pipelines are made when they are first asked for, and kept.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace MTL {
class ComputePipelineState;
} // namespace MTL

namespace mlx::core::gpu {

// A value for a shader's `constant T x [[function_constant(index)]]`.
struct FunctionConstant {
  enum class Type : uint8_t { boolean, int32, uint32, int64, float32 };
  FunctionConstant(int index, bool value) : index(index), type(Type::boolean), bits(value) {}
  FunctionConstant(int index, int32_t value) : index(index), type(Type::int32), bits(static_cast<uint32_t>(value)) {}
  FunctionConstant(int index, uint32_t value) : index(index), type(Type::uint32), bits(value) {}
  FunctionConstant(int index, int64_t value) : index(index), type(Type::int64), bits(static_cast<uint64_t>(value)) {}
  FunctionConstant(int index, float value) : index(index), type(Type::float32), bits(std::bit_cast<uint32_t>(value)) {}
  int index;
  Type type;
  uint64_t bits; // of the value, in its low bytes
};

struct Pipeline {
  std::string name;
  MTL::ComputePipelineState* state;
  size_t max_threads;       // of a threadgroup
  size_t simd_width;
  size_t threadgroup_bytes; // that the kernel declares itself
};

// A kernel of one of the library's own shader files, such as "reduce.metal". Throws std::runtime_error when there is no such
// kernel. What is returned stays for ever.
const Pipeline& pipeline(std::string_view file, std::string_view kernel, std::span<const FunctionConstant> constants = {});
// A kernel of a text that is made up at run time. The text is asked for only if none is known by this key; it may include
// the library's own headers. Throws std::runtime_error with the compiler's messages.
const Pipeline& generated_pipeline(std::string_view key, const std::function<std::string()>& text,
    std::string_view kernel, std::span<const FunctionConstant> constants = {});

} // namespace mlx::core::gpu
