// Kernels ready to run, by name: libraries and pipelines are made when they are first asked for, and kept.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "mlx_core/gpu/encoder.h"

namespace MTL {
class ComputePipelineState;
} // namespace MTL

namespace mlx::core::gpu {

struct Pipeline {
  std::string name;
  MTL::ComputePipelineState* state;
  size_t max_threads; // of a threadgroup
  size_t simd_width;
  size_t threadgroup_bytes; // that the kernel declares itself
};

// A kernel of one of the library's own shader files, such as "reduce.metal". Throws ShaderError when there is no such
// kernel. What is returned stays for ever.
const Pipeline& pipeline(
    std::string_view file, std::string_view kernel, std::span<const FunctionConstant> constants = {});
// A kernel of a text that is made up at run time. The text is asked for only if none is known by this key; it may
// include the library's own headers. Throws ShaderError with the compiler's messages.
const Pipeline& generated_pipeline(std::string_view key, const std::function<std::string()>& text,
    std::string_view kernel, std::span<const FunctionConstant> constants = {}, MathMode math = MathMode::safe);

} // namespace mlx::core::gpu
