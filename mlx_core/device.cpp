// The devices of this build, and which stream work goes to: each thread's defaults, and scopes.
#include "mlx_core/device.h"

#include <array>
#include <atomic>

#include "mlx_core/error.h"
#include "mlx_core/gpu/gpu.h"

namespace mlx::core {

namespace {

// The streams with numbers 0 and 1 are the devices' own; others are numbered as they are made.
constexpr int own_streams = 2, most_streams = (1 << 16) - 1;
constexpr StreamNumber not_chosen = most_streams; // before a thread's first question: the machine may have no GPU
Stream own_stream(Device device) { return Stream{device.type == Device::cpu ? 0 : 1, device}; }

// By number; what is not yet made says so.
enum class Made : uint8_t { not_yet, cpu, gpu };
std::array<std::atomic<Made>, most_streams + 1> made{};
std::atomic<int> next_stream{own_streams};
std::atomic<bool> several{false};

Made made_on(Device device) { return device.type == Device::cpu ? Made::cpu : Made::gpu; }

#ifdef MLX_GPU_IS_DEFAULT
constexpr bool gpu_first = true; // where there is one
#else
constexpr bool gpu_first = false;
#endif
Device first_device() { return gpu_first && is_available(Device::gpu) ? Device::gpu : Device::cpu; }

struct Defaults {
  Device device = first_device();
  Stream streams[2] = {own_stream(Device::cpu), own_stream(Device::gpu)}; // by device
};
thread_local Defaults defaults;
#ifdef __linux__
[[gnu::tls_model("initial-exec")]]
#endif
thread_local constinit StreamNumber current = gpu_first ? not_chosen : 0;
#ifdef __linux__
[[gnu::tls_model("initial-exec")]]
#endif
thread_local constinit bool in_scope = false;

Stream& default_on(Device device) { return defaults.streams[device.type == Device::cpu ? 0 : 1]; }
void follow_defaults() {
  if (!in_scope) {
    current = static_cast<StreamNumber>(default_on(defaults.device).index);
  }
}

void require_available(const char* op, Device device) {
  if (!is_available(device)) {
    fail(op, "device ", to_string(device), " is not available: ",
        gpu::is_available() ? "there is one CPU, mx.cpu, and one GPU, mx.gpu."
                            : "this build computes on the CPU only. Use mx.cpu.");
  }
}

} // namespace

bool is_available(Device device) {
  return device.index == 0 && (device.type == Device::cpu || (gpu::built_in && gpu::is_available()));
}
int device_count(Device::DeviceType type) { return is_available(Device(type)) ? 1 : 0; }

Device default_device() { return defaults.device; }
void set_default_device(Device device) {
  require_available("set_default_device", device);
  defaults.device = device;
  follow_defaults();
}
Stream default_stream(Device device) {
  require_available("default_stream", device);
  return default_on(device);
}
void set_default_stream(Stream stream) {
  default_on(stream.device) = to_stream(stream);
  follow_defaults();
}
Stream new_stream(Device device) {
  require_available("new_stream", device);
  for (int number = next_stream.fetch_add(1); number < most_streams; number = next_stream.fetch_add(1)) {
    Made before = Made::not_yet; // unless a stream of another process came here under that number
    if (made[static_cast<size_t>(number)].compare_exchange_strong(before, made_on(device), std::memory_order_acq_rel)) {
      several.store(true);
      return Stream{number, device};
    }
  }
  next_stream.store(most_streams);
  fail<std::runtime_error>("new_stream", "there are ", most_streams, " streams; use those that there are.");
}
void clear_streams() {
  defaults.streams[0] = own_stream(Device::cpu);
  defaults.streams[1] = own_stream(Device::gpu);
  follow_defaults();
}

Stream to_stream(const StreamOrDevice& s) {
  if (auto* stream = std::get_if<Stream>(&s)) {
    require_available("stream", stream->device);
    if (stream->index < 0 || stream->index >= most_streams) {
      fail("stream", "there is no stream ", to_string(*stream), "; make one with new_stream.");
    }
    if (*stream != own_stream(stream->device)) { // one that another process numbered comes to be by being used
      several.store(true);
      auto& known = made[static_cast<size_t>(stream->index)];
      Made before = Made::not_yet;
      bool clashes = stream->index < own_streams || (!known.compare_exchange_strong(before, made_on(stream->device)) &&
                                                        before != made_on(stream->device));
      if (clashes) {
        fail("stream", to_string(*stream), " is another device's number; make a stream with new_stream.");
      }
    }
    return *stream;
  }
  if (auto* device = std::get_if<Device>(&s)) {
    return default_stream(*device);
  }
  return stream_at(current_stream());
}

Stream stream_at(StreamNumber number) {
  bool gpu = number < own_streams ? number == 1 : made[number].load(std::memory_order_acquire) == Made::gpu;
  return Stream{number, Device(gpu ? Device::gpu : Device::cpu)};
}

StreamNumber current_stream() {
  if (gpu_first && current == not_chosen) [[unlikely]] {
    follow_defaults();
  }
  return current;
}
bool has_several_streams() { return several.load(std::memory_order_relaxed); }

void StreamScope::enter(StreamNumber number) {
  outer_ = current;
  entered_ = true;
  outer_in_scope_ = in_scope;
  current = number;
  in_scope = true;
}
void StreamScope::leave() {
  in_scope = outer_in_scope_;
  current = outer_;
  follow_defaults();
}

std::string to_string(Device device) {
  return "Device(" + std::string(device.type == Device::cpu ? "cpu" : "gpu") + ", " + std::to_string(device.index) +
         ")";
}
std::string to_string(Stream stream) {
  return "Stream(" + to_string(stream.device) + ", " + std::to_string(stream.index) + ")";
}

} // namespace mlx::core
