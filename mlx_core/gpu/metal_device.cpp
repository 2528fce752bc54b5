// The Metal device, its facts, and whether it may be used.
#include "mlx_core/gpu/metal_device.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

#include "mlx_core/error.h"

namespace mlx::core::gpu {

namespace {

// Set in a process that was forked after the device was first asked for: its queues have no threads there.
std::atomic<bool> forked{false};

} // namespace

MTL::Device* device_if_any() {
  static MTL::Device* const instance = [] { // never released: arrays may outlive static objects
    PoolScope pool;
    MTL::Device* found = MTL::CreateSystemDefaultDevice();
    if (found) pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
    return found;
  }();
  return instance;
}

MTL::Device& device() {
  MTL::Device* found = device_if_any();
  if (!found) {
    fail<std::runtime_error>("gpu", "This machine has no GPU that Metal can use. Use the device mx.cpu.");
  }
  if (is_forked()) {
    fail<std::runtime_error>("gpu",
        "The GPU cannot be used in a forked process. Start processes with the method \"spawn\", or use mx.cpu in "
        "them.");
  }
  return *found;
}

bool is_forked() { return forked.load(std::memory_order_relaxed); }
bool is_available() { return device_if_any() && !is_forked(); }

bool macos_is_at_least(int major, int minor) {
  PoolScope pool;
  return NS::ProcessInfo::processInfo()->isOperatingSystemAtLeastVersion({major, minor, 0});
}

const DeviceInfo& device_info() {
  static const DeviceInfo info = [] {
    PoolScope pool;
    MTL::Device& d = device();
    DeviceInfo facts;
    facts.name = text_of(d.name());
    facts.architecture = macos_is_at_least(14, 0) ? text_of(d.architecture()->name()) : "";
    facts.memory_size = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
    facts.max_buffer_length = d.maxBufferLength();
    facts.max_recommended_working_set_size = d.recommendedMaxWorkingSetSize();
    facts.threadgroup_memory = d.maxThreadgroupMemoryLength();
    return facts;
  }();
  return info;
}

NS::String* apple_string(std::string_view text) {
  return NS::String::string(std::string(text).c_str(), NS::UTF8StringEncoding);
}
std::string text_of(const NS::String* text) {
  const char* bytes = text ? text->utf8String() : nullptr;
  return bytes ? bytes : "";
}
std::string text_of(const NS::Error* error) {
  return error ? text_of(error->localizedDescription()) : "Metal gave no reason";
}

} // namespace mlx::core::gpu
