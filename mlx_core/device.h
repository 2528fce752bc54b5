// Devices and streams: where work runs.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace mlx::core {

struct Device {
  enum class DeviceType : uint8_t { cpu, gpu };
  static constexpr DeviceType cpu = DeviceType::cpu;
  static constexpr DeviceType gpu = DeviceType::gpu;

  constexpr Device(DeviceType type, int index = 0) : type(type), index(index) {}
  DeviceType type;
  int index;
  friend constexpr bool operator==(Device, Device) = default;
};

// A queue of work on a device; evaluation order within a stream is program order.
struct Stream {
  int index;
  Device device;
  friend constexpr bool operator==(Stream, Stream) = default;
};

// What an op's trailing argument accepts; monostate means the thread's default.
using StreamOrDevice = std::variant<std::monostate, Stream, Device>;

bool is_available(Device device);
int device_count(Device::DeviceType type);

// The defaults belong to the calling thread.
Device default_device();
void set_default_device(Device device);
Stream default_stream(Device device);
void set_default_stream(Stream stream);
Stream new_stream(Device device);
// Drops every stream but the defaults.
void clear_streams();

// Checks that `s` names a device of this build and returns its stream. Throws std::invalid_argument otherwise.
Stream to_stream(const StreamOrDevice& s);

// A stream's index is its number among the streams of all devices; nodes keep that.
using StreamNumber = uint16_t;
Stream stream_at(StreamNumber number);
// Where what is made now will be computed: the innermost scope's, or the thread's default.
StreamNumber current_stream();
// Whether there are streams beside the devices' own.
bool has_several_streams();

// What is made while it lives is computed on this stream; std::monostate changes nothing. Throws as to_stream does.
class StreamScope {
 public:
  explicit StreamScope(const StreamOrDevice& s) {
    if (s.index() != 0) [[unlikely]] {
      enter(static_cast<StreamNumber>(to_stream(s).index));
    }
  }
  explicit StreamScope(StreamNumber number) { enter(number); }
  ~StreamScope() {
    if (entered_) [[unlikely]] {
      leave();
    }
  }
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  void enter(StreamNumber number);
  void leave();
  StreamNumber outer_ = 0;
  bool entered_ = false, outer_in_scope_ = false;
};

std::string to_string(Device device);
std::string to_string(Stream stream);

} // namespace mlx::core
