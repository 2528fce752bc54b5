// The Metal device and what Apple's objects need around them: pools, strings, errors. Only the files of the Metal host
// include this, for it brings all of metal-cpp.
#pragma once

#include <Foundation/Foundation.hpp>
#include <Metal/Metal.hpp>
#include <string>
#include <string_view>

#include "mlx_core/gpu/gpu.h"

namespace mlx::core::gpu {

// The device; null when the machine has none.
MTL::Device* device_if_any();
// The device. Throws when there is none, and in a process that was forked from one that used it.
MTL::Device& device();
bool is_forked(); // from a process that used the device: nothing of Apple's may be called
bool macos_is_at_least(int major, int minor);

// Objects that Apple's functions hand out without ownership live until the pool goes; threads of ours have none.
class PoolScope {
 public:
  PoolScope() : pool_(NS::AutoreleasePool::alloc()->init()) {}
  ~PoolScope() { pool_->release(); }
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

 private:
  NS::AutoreleasePool* pool_;
};

// Needs a pool.
NS::String* apple_string(std::string_view text);
std::string text_of(const NS::String* text);
std::string text_of(const NS::Error* error);

} // namespace mlx::core::gpu
