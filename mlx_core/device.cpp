// The devices of this build and each thread's default device and streams.
#include "mlx_core/device.h"

#include <atomic>

#include "mlx_core/error.h"

namespace mlx::core {

namespace {

struct Defaults {
  Device device{Device::cpu};
  Stream cpu_stream{0, Device{Device::cpu}};
};
thread_local Defaults defaults;

std::atomic<int> next_stream{1};

void require_available(const char* op, Device device) {
  if (!is_available(device)) {
    fail(op, "device ", to_string(device), " is not available: this build computes on the CPU only. Use mx.cpu.");
  }
}

} // namespace

bool is_available(Device device) { return device.type == Device::cpu && device.index == 0; }
int device_count(Device::DeviceType type) { return type == Device::cpu ? 1 : 0; }

Device default_device() { return defaults.device; }
void set_default_device(Device device) {
  require_available("set_default_device", device);
  defaults.device = device;
}
Stream default_stream(Device device) {
  require_available("default_stream", device);
  return defaults.cpu_stream;
}
void set_default_stream(Stream stream) {
  require_available("set_default_stream", stream.device);
  defaults.cpu_stream = stream;
}
Stream new_stream(Device device) {
  require_available("new_stream", device);
  return Stream{next_stream.fetch_add(1), device};
}
void clear_streams() { defaults.cpu_stream = Stream{0, Device{Device::cpu}}; }

Stream to_stream(const StreamOrDevice& s) {
  if (auto* stream = std::get_if<Stream>(&s)) {
    require_available("stream", stream->device);
    return *stream;
  }
  if (auto* device = std::get_if<Device>(&s)) {
    return default_stream(*device);
  }
  return defaults.cpu_stream;
}

std::string to_string(Device device) {
  return "Device(" + std::string(device.type == Device::cpu ? "cpu" : "gpu") + ", " + std::to_string(device.index) +
         ")";
}
std::string to_string(Stream stream) {
  return "Stream(" + to_string(stream.device) + ", " + std::to_string(stream.index) + ")";
}

} // namespace mlx::core
