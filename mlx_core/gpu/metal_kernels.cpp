// Kinds of work on the GPU: encoded by launch functions (launch.h), through an encoder on Metal's.
//
// Buffer::writer says what a device still has to write: the stream's number in the upper 16 bits, and the number of its
// batch below. It is set when a kernel that writes the buffer is encoded, and taken back by who waits for it.
#include "mlx_core/gpu/metal_kernels.h"

#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "metal/arguments.h"
#include "mlx_core/error.h"
#include "mlx_core/gpu/index_error.h"
#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/metal_allocator.h"
#include "mlx_core/gpu/metal_encoder.h"
#include "mlx_core/gpu/metal_stream.h"

namespace mlx::core::gpu {

const bool built_in = true;

namespace {

constexpr int batch_bits = 48;

struct Ticket {
  int stream;
  uint64_t batch;

  static Ticket of(uint64_t word) {
    return {static_cast<int>(word >> batch_bits), word & ((uint64_t{1} << batch_bits) - 1)};
  }
  uint64_t word() const { return static_cast<uint64_t>(stream) << batch_bits | batch; }
  Event event() const { return MetalStream::of(stream)->event_at(batch); }
};

// A counted reference to the buffer of a view, which owns none.
BufferRef share(Buffer* buffer) {
  buffer->references.fetch_add(1, std::memory_order_relaxed);
  return BufferRef(buffer);
}

class StreamEncoder final : public Encoder {
 public:
  explicit StreamEncoder(int stream) : encoder_(stream), stream_(stream) {}

  void kernel(std::string_view library, const std::string& name, std::span<const FunctionConstant> constants) override {
    encoder_.set_pipeline(pipeline(std::string(library) + ".metal", name, constants));
  }
  void kernel_of_text(
      std::string_view key, const std::function<std::string()>& text, const std::string& name, MathMode math) override {
    encoder_.set_pipeline(generated_pipeline(key, text, name, {}, math));
  }
  uint32_t most_threads() const override { return static_cast<uint32_t>(encoder_.most_threads()); }

  void read(int slot, const View& view) override {
    if (!view.buffer) {
      encoder_.set_bytes(slot, view.inline_value, static_cast<size_t>(view.itemsize()));
    } else if (view.buffer->device_handle) {
      encoder_.set_buffer(slot, view.buffer, static_cast<size_t>(view.offset), Access::read);
    } else { // memory of others
      BufferRef shared = on_device(share(view.buffer));
      encoder_.keep(shared);
      encoder_.set_buffer(slot, shared.get(), static_cast<size_t>(view.offset), Access::read);
    }
  }
  void write(int slot, const View& view) override {
    encoder_.set_buffer(slot, view.buffer, static_cast<size_t>(view.offset), Access::read_write);
    view.buffer->writer.store(Ticket{stream_, encoder_.batch()}.word(), std::memory_order_release);
  }
  void bytes(int slot, const void* data, size_t size) override { encoder_.set_bytes(slot, data, size); }
  void threadgroup_memory(int slot, size_t size) override { encoder_.set_threadgroup_memory(slot, size); }

  void dispatch_threads(Grid threads, Grid group) override {
    encoder_.dispatch_threads({threads.x, threads.y, threads.z}, {group.x, group.y, group.z});
  }
  void dispatch_groups(Grid groups, Grid group) override {
    encoder_.dispatch_threadgroups({groups.x, groups.y, groups.z}, {group.x, group.y, group.z});
  }

  View scratch(Dtype dtype, int64_t elements) override {
    BufferRef memory = encoder_.scratch(static_cast<size_t>(elements * dtype.size()));
    return {memory.get(), 0, nullptr, dtype, {elements}, {1}};
  }
  // Looked at when the batch is done: an index out of bounds makes it fail.
  View index_errors() override {
    constexpr size_t bytes = sizeof(uint32_t) * mlx_arguments::error_words;
    BufferRef memory = encoder_.scratch(bytes);
    std::memset(memory->data, 0, bytes);
    encoder_.check([memory] { return index_error(static_cast<const uint32_t*>(memory->data)); });
    return {memory.get(), 0, nullptr, uint32, {int64_t{mlx_arguments::error_words}}, {1}};
  }

 private:
  MetalEncoder encoder_;
  int stream_;
};

// Failures of the device begin with [gpu]; others are what index_error() says.
[[noreturn]] void throw_failure(const std::string& what) {
  if (what.starts_with("[gpu]")) {
    throw DeviceError(what);
  }
  throw std::out_of_range(what);
}

} // namespace

bool MetalKernels::supports(const kernel::Request& request) const {
  bool writable = true; // the GPU writes to its own memory only, and not to a value in a node
  auto read = [](const View&) {};
  kernel::for_each_view(request, read, [&](const View& view) {
    writable = writable && ((view.buffer && view.buffer->device_handle) || view.size() == 0);
  });
  return writable && std::visit([](const auto* k) { return gpu::supports(*k); }, request);
}

// What the work reads and other streams have yet to write: this one waits for it, and the host for neither. Before the
// encoder is opened, for the other stream's lock is taken.
void MetalKernels::order_after_other_streams(const kernel::Request& request) const {
  auto order = [&](const View& view) {
    if (uint64_t word = view.buffer ? view.buffer->writer.load(std::memory_order_acquire) : 0) {
      Ticket ticket = Ticket::of(word);
      if (ticket.stream != stream_) {
        wait_for(stream_, ticket.event());
      }
    }
  };
  kernel::for_each_view(request, order, order);
}

void MetalKernels::submit(const kernel::Request& request) {
  if (!supports(request)) {
    auto wait = [](const View& view) { host_ready(view.buffer); };
    kernel::for_each_view(request, wait, wait);
    std::visit([](const auto* k) { host_kernels().run(*k); }, request);
    return;
  }
  order_after_other_streams(request);
  // A batch fails as a whole: indices that may be wrong have one of their own, and so has what the user wrote.
  bool may_fail = std::visit(
      [](const auto* k) { return requires { k->indices; } || requires { k->index; } || requires { k->kernel; }; },
      request);
  if (may_fail) {
    commit(stream_);
  }
  {
    StreamEncoder encoder(stream_);
    std::visit([&](const auto* k) { launch(encoder, *k); }, request);
  }
  if (may_fail) {
    commit(stream_);
  }
}

Kernels& kernels_on(int stream) {
  static std::mutex mutex;
  static std::array<std::unique_ptr<MetalKernels>, size_t{1} << 16>& all =
      *new std::array<std::unique_ptr<MetalKernels>, size_t{1} << 16>; // never destroyed: work may outlive main
  std::lock_guard lock(mutex);
  std::unique_ptr<MetalKernels>& kernels = all[static_cast<size_t>(stream)];
  if (!kernels) {
    kernels = std::make_unique<MetalKernels>(stream);
  }
  return *kernels;
}

void wait_for_writer(Buffer& buffer) {
  uint64_t word = buffer.writer.load(std::memory_order_acquire);
  if (word == 0) {
    return;
  }
  try {
    Ticket::of(word).event().wait();
  } catch (const DeviceError& error) {
    throw_failure(error.what());
  }
  if (MetalBuffer* metal = metal_buffer(&buffer)) {
    if (std::string failure = metal->failure(); !failure.empty()) {
      throw_failure(failure);
    }
  }
  buffer.writer.compare_exchange_strong(word, 0, std::memory_order_acq_rel);
}

} // namespace mlx::core::gpu
