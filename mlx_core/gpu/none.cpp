// A build without a GPU: says so to whoever asks for one.
#include "mlx_core/error.h"
#include "mlx_core/gpu/gpu.h"

namespace mlx::core::gpu {

namespace {
[[noreturn]] void no_gpu() {
  fail<std::runtime_error>("gpu", "This build of the library has no GPU. Use the device mx.cpu.");
}
} // namespace

const bool built_in = false;
bool is_available() { return false; }
Kernels& kernels_on(int) { no_gpu(); }
void wait_for_writer(Buffer&) {}
void check_environment() {}
const DeviceInfo& device_info() { no_gpu(); }
BufferRef allocate(size_t) { no_gpu(); }
BufferRef on_device(const BufferRef&) { no_gpu(); }
Memory memory() { no_gpu(); }
void reset_peak_memory() { no_gpu(); }
bool memory_is_tight(size_t) { no_gpu(); }
size_t set_memory_limit(size_t) { no_gpu(); }
size_t set_cache_limit(size_t) { no_gpu(); }
size_t set_wired_limit(size_t) { no_gpu(); }
void clear_cache() { no_gpu(); }
bool Event::is_done() const { return true; }
void Event::wait() const {}
std::string Event::error() const { return {}; }
HostEvent::HostEvent() { no_gpu(); }
HostEvent::~HostEvent() = default;
Event HostEvent::event() const { return {}; }
void HostEvent::signal() {}
void HostEvent::fail(const std::string&) {}
void close_stream(int) { no_gpu(); }
Event event(int) { no_gpu(); }
void wait_for(int, const Event&) { no_gpu(); }
void commit(int) { no_gpu(); }
void synchronize(int) { no_gpu(); }
void synchronize_all() {}
void start_capture(const std::string&) { no_gpu(); }
void stop_capture() { no_gpu(); }

} // namespace mlx::core::gpu
