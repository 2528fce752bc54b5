// How a kernel is launched: a pipeline, its arguments, its grid. No type of Metal's in it, so launchers need none.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mlx_core/gpu/gpu.h"
#include "mlx_core/gpu/metal_library.h"

namespace mlx::core::gpu {

class MetalStream;
struct BufferUse;

enum class Access : uint8_t { read, write, read_write };

struct Size {
  uint64_t x = 1, y = 1, z = 1;
};

// While it lives, this thread alone encodes for the stream. Dispatches that depend on each other, by the buffers that
// they read and write, run one after the other; others may overlap. Buffers are kept until the device is done with
// them.
class MetalEncoder {
 public:
  explicit MetalEncoder(int stream);
  ~MetalEncoder();
  MetalEncoder(const MetalEncoder&) = delete;
  MetalEncoder& operator=(const MetalEncoder&) = delete;

  // Forgets the arguments of the kernel before.
  void set_pipeline(const Pipeline& pipeline);
  // Null leaves the slot empty, for kernels that do not look at it. Throws std::logic_error for memory that only the
  // host sees (see on_device).
  void set_buffer(int index, const Buffer* buffer, size_t byte_offset = 0, Access access = Access::read);
  void set_bytes(int index, const void* bytes, size_t size);
  template <typename T>
  void set_value(int index, const T& value) {
    set_bytes(index, &value, sizeof value);
  }
  void set_threadgroup_memory(int index, size_t bytes);

  // Nothing happens for a grid without threads. Without a size of threadgroups, one that suits the grid is chosen.
  void dispatch_threads(Size grid);
  void dispatch_threads(Size grid, Size threadgroup);
  void dispatch_threadgroups(Size groups, Size threadgroup);

  // What has been encoded is done when the stream's event of this number is.
  uint64_t batch();
  size_t most_threads() const { return pipeline_ ? pipeline_->max_threads : 0; } // of a threadgroup

  // Memory that lives until the device is done with it.
  BufferRef scratch(size_t bytes);
  void keep(const BufferRef& buffer);
  // Asked on another thread when the batch is done: a text says that it failed, and why.
  void check(std::function<std::string()> failure);

 private:
  struct Argument {
    int index;
    const Buffer* buffer;
    Access access;
  };
  BufferUse& use_of(const Buffer* buffer);
  void order_after_what_it_needs();
  bool prepare(const char* what, Size a, Size threadgroup);
  std::shared_ptr<MetalStream> stream_;
  const Pipeline* pipeline_ = nullptr;
  std::vector<Argument> arguments_;
};

} // namespace mlx::core::gpu
