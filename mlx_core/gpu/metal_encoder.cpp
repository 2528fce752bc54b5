// Encoding one kernel's launch, with a barrier where it needs what came before.
#include "mlx_core/gpu/metal_encoder.h"

#include <algorithm>
#include <cstring>

#include "mlx_core/error.h"
#include "mlx_core/gpu/metal_allocator.h"
#include "mlx_core/gpu/metal_stream.h"

namespace mlx::core::gpu {

namespace {
constexpr size_t most_inline_bytes = 4096; // Metal's limit for setBytes
constexpr size_t most_batches = 32;        // under way before encoding waits; a queue has room for 64
} // namespace

MetalEncoder::MetalEncoder(int stream) : stream_(MetalStream::of(stream)) {
  stream_->timeline_->wait_until_pending_below(most_batches); // without the lock: others may have to commit meanwhile
  stream_->encoding_.lock();
  bool nested = stream_->encoder_in_use_;
  try {
    if (nested) fail<std::logic_error>("gpu", "A thread opened two encoders for stream ", stream, ".");
    stream_->open_encoder();
  } catch (...) {
    stream_->encoding_.unlock();
    throw;
  }
  stream_->encoder_in_use_ = true;
}

MetalEncoder::~MetalEncoder() {
  stream_->encoder_in_use_ = false;
  stream_->commit_if_full();
  stream_->encoding_.unlock();
}

void MetalEncoder::set_pipeline(const Pipeline& pipeline) {
  pipeline_ = &pipeline;
  arguments_.clear();
  stream_->open_encoder().setComputePipelineState(pipeline.state);
}

void MetalEncoder::set_buffer(int index, const Buffer* buffer, size_t byte_offset, Access access) {
  std::erase_if(arguments_, [&](const Argument& argument) { return argument.index == index; });
  auto& encoder = stream_->open_encoder();
  if (!buffer) {
    encoder.setBuffer(nullptr, 0, static_cast<NS::UInteger>(index));
    return;
  }
  MetalBuffer* metal = metal_buffer(buffer);
  if (!metal) fail<std::logic_error>("gpu", "Argument ", index, " is memory of the host; pass it through on_device.");
  encoder.setBuffer(metal->object, byte_offset, static_cast<NS::UInteger>(index));
  use_of(buffer);
  arguments_.push_back({index, buffer, access});
}

void MetalEncoder::set_bytes(int index, const void* bytes, size_t size) {
  if (size > most_inline_bytes) {
    BufferRef copy = scratch(size);
    std::memcpy(copy->data, bytes, size);
    set_buffer(index, copy.get());
    return;
  }
  std::erase_if(arguments_, [&](const Argument& argument) { return argument.index == index; });
  stream_->open_encoder().setBytes(bytes, size, static_cast<NS::UInteger>(index));
}

void MetalEncoder::set_threadgroup_memory(int index, size_t bytes) {
  stream_->open_encoder().setThreadgroupMemoryLength((bytes + 15) / 16 * 16, static_cast<NS::UInteger>(index));
}

uint64_t MetalEncoder::batch() { return stream_->open_batch().number; }
BufferRef MetalEncoder::scratch(size_t bytes) {
  BufferRef buffer = allocate(bytes);
  keep(buffer);
  return buffer;
}
void MetalEncoder::keep(const BufferRef& buffer) { use_of(buffer.get()); }
void MetalEncoder::check(std::function<std::string()> failure) {
  stream_->open_batch().checks.push_back(std::move(failure));
}

BufferUse& MetalEncoder::use_of(const Buffer* buffer) {
  Batch& batch = stream_->open_batch();
  auto [at, is_new] = batch.uses.try_emplace(buffer);
  if (is_new) {
    auto* shared = const_cast<Buffer*>(buffer);
    shared->references.fetch_add(1, std::memory_order_relaxed);
    at->second.buffer = BufferRef(shared);
    batch.bytes += buffer->size;
  }
  return at->second;
}

// Since the last barrier: what this kernel reads was written, or what it writes was read or written.
void MetalEncoder::order_after_what_it_needs() {
  Batch& batch = stream_->open_batch();
  bool needs_barrier = false;
  for (const Argument& argument : arguments_) {
    const BufferUse& use = use_of(argument.buffer);
    needs_barrier |= use.written_since == batch.barriers;
    needs_barrier |= argument.access != Access::read && use.read_since == batch.barriers;
  }
  if (needs_barrier) {
    stream_->open_encoder().memoryBarrier(MTL::BarrierScopeBuffers);
    ++batch.barriers;
  }
  for (const Argument& argument : arguments_) {
    BufferUse& use = use_of(argument.buffer);
    if (argument.access != Access::write) use.read |= !use.written, use.read_since = batch.barriers;
    if (argument.access != Access::read) use.written = true, use.written_since = batch.barriers;
  }
  ++batch.dispatches;
}

bool MetalEncoder::prepare(const char* what, Size size, Size threadgroup) {
  if (!pipeline_) fail<std::logic_error>("gpu", "A kernel was dispatched without a pipeline.");
  if (size.x == 0 || size.y == 0 || size.z == 0) return false;
  uint64_t threads = threadgroup.x * threadgroup.y * threadgroup.z;
  if (threads == 0 || threads > pipeline_->max_threads) {
    fail<std::logic_error>("gpu", "Kernel ", pipeline_->name, " runs with 1 to ", pipeline_->max_threads,
        " threads in a group; the launch asks for ", threads, ".");
  }
  for (uint64_t n : {size.x, size.y, size.z}) {
    if (n > UINT32_MAX) {
      fail<std::logic_error>("gpu", "Kernel ", pipeline_->name, " is launched with ", n, " ", what,
          " along one axis; there may be 2^32 - 1.");
    }
  }
  order_after_what_it_needs();
  return true;
}

void MetalEncoder::dispatch_threads(Size grid) {
  // Powers of two, the first axis first, up to 256 threads.
  uint64_t left = pipeline_ ? std::min<uint64_t>(256, pipeline_->max_threads) : 1;
  uint64_t sizes[3] = {1, 1, 1};
  uint64_t axes[3] = {grid.x, grid.y, grid.z};
  for (int i = 0; i < 3; ++i) {
    while (left > 1 && sizes[i] < axes[i]) sizes[i] *= 2, left /= 2;
  }
  dispatch_threads(grid, {sizes[0], sizes[1], sizes[2]});
}
void MetalEncoder::dispatch_threads(Size grid, Size threadgroup) {
  if (!prepare("threads", grid, threadgroup)) return;
  stream_->open_encoder().dispatchThreads(
      MTL::Size::Make(grid.x, grid.y, grid.z), MTL::Size::Make(threadgroup.x, threadgroup.y, threadgroup.z));
}
void MetalEncoder::dispatch_threadgroups(Size groups, Size threadgroup) {
  if (!prepare("threadgroups", groups, threadgroup)) return;
  stream_->open_encoder().dispatchThreadgroups(
      MTL::Size::Make(groups.x, groups.y, groups.z), MTL::Size::Make(threadgroup.x, threadgroup.y, threadgroup.z));
}

} // namespace mlx::core::gpu
