// Buffers of unified memory: what stands behind a Buffer whose device_handle is set.
#pragma once

#include <mutex>
#include <string>

#include "mlx_core/allocator.h"

namespace MTL {
class Buffer;
class CommandQueue;
} // namespace MTL

namespace mlx::core::gpu {

struct MetalBuffer : Buffer {
  MTL::Buffer* object = nullptr; // the same as device_handle
  size_t capacity = 0;           // bytes of the object
  bool resident = false;
  BufferRef host; // of a wrapped one: whose memory it is

  // Why its contents are not to be used, if the work that should have written them failed.
  std::string failure() const;
  void set_failure(const std::string& why);

 private:
  mutable std::mutex mutex_;
  std::string failure_;
};

// Null for memory that is the host's alone.
inline MetalBuffer* metal_buffer(const Buffer* buffer) {
  return buffer && buffer->device_handle ? static_cast<MetalBuffer*>(const_cast<Buffer*>(buffer)) : nullptr;
}

// What stays resident does so for this queue, too.
void attach_residency(MTL::CommandQueue& queue);

} // namespace mlx::core::gpu
