// Encoder: what a launch function asks of a stream of a GPU: a kernel, its arguments, a grid. Nothing of it is a
// device library's own, so that launch functions can be read, and run, without one.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "mlx_core/backend/custom_kernel.h"
#include "mlx_core/backend/view.h"

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

struct Grid {
  uint64_t x = 1, y = 1, z = 1;
  uint64_t count() const { return x * y * z; }
};

// A kernel that does not compile, or that the text lacks, or that the device refuses.
class ShaderError : public std::runtime_error {
 public:
  ShaderError(const std::string& what, std::string messages)
      : std::runtime_error(what), messages_(std::move(messages)) {}
  const std::string& messages() const { return messages_; } // of the compiler alone

 private:
  std::string messages_;
};

// Between two dispatches, the later sees what the earlier wrote, wherever they share a buffer.
class Encoder {
 public:
  virtual ~Encoder() = default;

  // The kernel that the dispatches to come run: `name` (its host_name) of metal/<library>.metal. Arguments of the one
  // before are forgotten.
  virtual void kernel(
      std::string_view library, const std::string& name, std::span<const FunctionConstant> constants = {}) = 0;
  // The same of a text that is made up at run time, and may include files of metal/. It is asked for only when no
  // kernel is known by this key.
  virtual void kernel_of_text(std::string_view key, const std::function<std::string()>& text, const std::string& name,
      MathMode math = MathMode::safe) = 0;
  // The most threads a threadgroup of the current kernel may have.
  virtual uint32_t most_threads() const = 0;

  // Memory that the kernel reads, bound from the view's first element on. A scalar without a buffer is passed by value.
  virtual void read(int slot, const View& view) = 0;
  // Memory that it writes, and may read.
  virtual void write(int slot, const View& view) = 0;
  // Values for a `constant T&` or `constant T*` argument, of any size.
  virtual void bytes(int slot, const void* data, size_t size) = 0;
  virtual void threadgroup_memory(int slot, size_t size) = 0;

  template <typename T>
  void value(int slot, const T& value) {
    bytes(slot, &value, sizeof(T));
  }
  template <typename T>
  void values(int slot, std::span<const T> values) {
    bytes(slot, values.data(), values.size_bytes());
  }

  // So many threads, whose last threadgroups may be smaller; or whole threadgroups.
  virtual void dispatch_threads(Grid threads, Grid group) = 0;
  virtual void dispatch_groups(Grid groups, Grid group) = 0;
  // One thread for each of `count` elements, in threadgroups of a usual size.
  void dispatch_elements(uint64_t count) {
    uint64_t group = count < 256 ? (count + 31) / 32 * 32 : 256;
    dispatch_threads({count, 1, 1}, {group < most_threads() ? group : most_threads(), 1, 1});
  }

  // Memory for what passes between dispatches, which lives until they are done. One axis, row-major.
  virtual View scratch(Dtype dtype, int64_t elements) = 0;

  // The stream's record of the first index out of bounds: error_words words of uint32 (metal/arguments.h), all 0 while
  // there was none. Kernels write to it; who waits for the stream reads it, throws what it says
  // (index_error.h), and clears it.
  virtual View index_errors() = 0;
};

} // namespace mlx::core::gpu
