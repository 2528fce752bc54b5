// The GPU of this build in plain types: its facts, memory, streams, events and captures. A build without one answers
// that there is none (none.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "mlx_core/allocator.h"

namespace mlx::core {
class Kernels;
}

namespace mlx::core::gpu {

// Whether this build has a GPU.
extern const bool built_in;
// Whether this build has a GPU and this machine, too. Nothing below may be called otherwise: it throws
// std::runtime_error.
bool is_available();

// Throws std::invalid_argument for a variable of the environment that holds what it may not (docs/running.md).
void check_environment();

struct DeviceInfo {
  std::string name, architecture;
  size_t memory_size;                      // of the machine
  size_t max_buffer_length;                // bytes of the longest buffer
  size_t max_recommended_working_set_size; // bytes that run well
  size_t threadgroup_memory;               // bytes
};
const DeviceInfo& device_info();

// What the device reports of work that failed. Thrown to whoever waits for that work; the stream goes on.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// ---- Memory: the host and the GPU see the same bytes. ----

// Uninitialised. `data` is for the host; `device_handle` is set. Throws OutOfMemory when there is none left, after it
// gave up the cache and waited for what runs.
BufferRef allocate(size_t bytes);
// Memory of the host as a buffer that kernels can read: itself if it is one, else the same pages if it begins at one,
// else a copy. A wrapped one keeps `host` alive, and nothing may write to it.
BufferRef on_device(const BufferRef& host);

struct Memory {
  size_t active, peak, cache; // bytes that arrays hold; most of them so far; bytes kept for reuse
  size_t limit, cache_limit, wired_limit;
};
Memory memory();
void reset_peak_memory();
bool memory_is_tight(size_t more);
// These return the previous value.
size_t set_memory_limit(size_t bytes);
size_t set_cache_limit(size_t bytes);
// Bytes that stay resident, of buffers that are made from then on. Throws std::invalid_argument above what the device
// recommends; needs macOS 15.
size_t set_wired_limit(size_t bytes);
void clear_cache();

// ---- Streams, by the index of mlx::core::Stream. Work of one stream runs in order, of two side by side. ----

class Timeline;

// A point in a stream's work: done when everything encoded before it is. Copying is cheap.
class Event {
 public:
  Event() = default; // done
  Event(std::shared_ptr<Timeline> timeline, uint64_t value) : timeline_(std::move(timeline)), value_(value) {}
  bool is_done() const;
  // Hands what it waits for to the device, and waits. Throws DeviceError if that failed, Interrupted when told to stop.
  void wait() const;
  // Why it failed; empty while it is not done and when it went well.
  std::string error() const;

 private:
  friend class MetalStream;
  std::shared_ptr<Timeline> timeline_;
  uint64_t value_ = 0;
};

// A point that the host reaches: streams can be told to wait for it. Dropped without a word, it counts as failed.
// Whoever is to signal it must not encode for a stream that waits: encoding waits when 32 batches are under way.
class HostEvent {
 public:
  HostEvent();
  ~HostEvent();
  HostEvent(const HostEvent&) = delete;
  HostEvent& operator=(const HostEvent&) = delete;
  Event event() const;
  void signal();
  void fail(const std::string& why); // what waits for it fails as well

 private:
  std::shared_ptr<Timeline> timeline_;
};

// What does the work of a stream, and where what it writes is not yet written.
Kernels& kernels_on(int stream);
void wait_for_writer(Buffer& buffer);

void close_stream(int stream);           // when its work is done
Event event(int stream);                 // after all that is encoded so far
void wait_for(int stream, const Event&); // what is encoded from here on comes after that event
void commit(int stream);                 // hands what is encoded to the device
void synchronize(int stream);            // commits and waits
void synchronize_all();

// ---- Captures for Xcode. The process must be started with MTL_CAPTURE_ENABLED=1. ----
void start_capture(const std::string& path);
void stop_capture();

} // namespace mlx::core::gpu
