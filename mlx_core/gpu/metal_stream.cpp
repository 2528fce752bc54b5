// Streams: batches are opened, filled, handed to the device, and settled when it is done with them.
//
// A batch is a command buffer with an encoder whose dispatches may overlap; metal_encoder.cpp puts barriers between
// those that depend on each other. Buffers are tracked by Metal from one command buffer of a queue to the next. Across
// queues, and between host and GPU, events order the work.
//
// A batch fails when the device says so, when one of its checks does, when it came after an event that failed, or when
// it read a buffer that a failed batch should have written. Everything it should have written counts as failed then.
#include "mlx_core/gpu/metal_stream.h"

#include <map>

#include "mlx_core/environment.h"
#include "mlx_core/error.h"
#include "mlx_core/gpu/metal_allocator.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::gpu {

namespace {

struct Limits {
  size_t dispatches = static_cast<size_t>(integer_from_environment("MLX_MAX_OPS_PER_BUFFER", 1, 1 << 20).value_or(40));
  size_t bytes = static_cast<size_t>(integer_from_environment("MLX_MAX_MB_PER_BUFFER", 1, 1 << 20).value_or(40)) << 20;
};
const Limits& limits() {
  static const Limits instance;
  return instance;
}

struct Streams {
  std::mutex mutex;
  std::map<int, std::shared_ptr<MetalStream>> by_index;

  std::vector<std::shared_ptr<MetalStream>> all() {
    std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<MetalStream>> found;
    for (auto& [index, stream] : by_index) found.push_back(stream);
    return found;
  }
};
// Never destroyed: work may be under way at process exit.
Streams& streams() {
  static Streams& instance = *new Streams;
  return instance;
}

} // namespace

void check_environment() { limits(); }

std::shared_ptr<MetalStream> MetalStream::of(int index) {
  device();
  Streams& all = streams();
  std::lock_guard lock(all.mutex);
  std::shared_ptr<MetalStream>& stream = all.by_index[index];
  if (!stream) {
    auto made = std::make_shared<MetalStream>(index);
    made->timeline_ = std::make_shared<Timeline>([weak = std::weak_ptr<MetalStream>(made)](uint64_t number) {
      if (auto alive = weak.lock()) alive->flush(number);
    });
    stream = std::move(made);
  }
  return stream;
}

MetalStream::MetalStream(int index) : index_(index) {
  limits();
  PoolScope pool;
  queue_ = NS::TransferPtr(device().newCommandQueue());
  if (!queue_) fail<std::runtime_error>("gpu", "Metal gave no command queue for stream ", index, ".");
  queue_->setLabel(apple_string("mlx stream " + std::to_string(index)));
  attach_residency(*queue_.get());
}

// ---- Encoding ----

Batch& MetalStream::open_batch() {
  if (!open_) {
    PoolScope pool;
    auto batch = std::make_shared<Batch>();
    MTL::CommandBuffer* commands =
        queue_->commandBufferWithUnretainedReferences(); // the batch keeps its buffers itself
    if (!commands) fail<std::runtime_error>("gpu", "Metal gave no command buffer for stream ", index_, ".");
    batch->commands = NS::RetainPtr(commands);
    batch->number = ++last_;
    timeline_->begin(batch->number);
    open_ = std::move(batch);
  }
  return *open_;
}

MTL::ComputeCommandEncoder& MetalStream::open_encoder() {
  Batch& batch = open_batch();
  if (!batch.encoder) {
    PoolScope pool;
    batch.encoder = NS::RetainPtr(batch.commands->computeCommandEncoder(MTL::DispatchTypeConcurrent));
    ++batch.barriers;
  }
  return *batch.encoder.get();
}

void MetalStream::close_encoder() {
  if (open_ && open_->encoder) {
    open_->encoder->endEncoding();
    open_->encoder.reset();
  }
}

void MetalStream::commit_locked() {
  if (!open_) return;
  close_encoder();
  std::shared_ptr<Batch> batch = std::move(open_);
  open_.reset();
  PoolScope pool;
  batch->commands->encodeSignalEvent(timeline_->event(), batch->number);
  batch->commands->addCompletedHandler([self = shared_from_this(), batch](MTL::CommandBuffer* commands) {
    std::string failure;
    if (commands->status() == MTL::CommandBufferStatusError) {
      failure = "[gpu] The device reports: " + text_of(commands->error());
    }
    self->completed(batch, std::move(failure));
  });
  batch->commands->commit();
}

void MetalStream::commit_if_full() {
  if (open_ && (open_->dispatches >= limits().dispatches || open_->bytes >= limits().bytes)) commit_locked();
}

Event MetalStream::event() {
  std::lock_guard lock(encoding_);
  if (open_) open_->event_taken = true;
  return Event(timeline_, last_);
}

void MetalStream::commit() {
  std::lock_guard lock(encoding_);
  if (encoder_in_use_)
    fail<std::logic_error>("gpu", "A stream was committed by the thread that encodes a kernel for it.");
  commit_locked();
}

void MetalStream::flush(uint64_t number) {
  std::lock_guard lock(encoding_);
  if (open_ && open_->number == number) commit();
}

void MetalStream::wait_for(const Event& event) {
  if (!event.timeline_ || event.timeline_ == timeline_) return; // in order anyway
  bool done = event.is_done();
  if (done && event.error().empty()) return;
  if (!done) event.timeline_->flush(event.value_); // without our lock: the other stream may be waiting for us just so
  std::lock_guard lock(encoding_);
  if (encoder_in_use_)
    fail<std::logic_error>("gpu", "A stream was told to wait by the thread that encodes a kernel for it.");
  // What others wait for must not come to depend on what is waited for here.
  if (open_ && (open_->dispatches > 0 || open_->event_taken)) commit_locked();
  Batch& batch = open_batch();
  close_encoder();
  if (!done) batch.commands->encodeWait(event.timeline_->event(), event.value_);
  batch.dependencies.push_back(event);
}

void MetalStream::synchronize() {
  commit();
  event().wait();
}

void MetalStream::finish_if_free() {
  uint64_t number;
  {
    std::unique_lock lock(encoding_, std::try_to_lock);
    if (!lock.owns_lock()) return;
    if (!encoder_in_use_) commit_locked();
    number = open_ ? open_->number - 1 : last_;
  }
  timeline_->wait_for_a_while(number, std::chrono::seconds(5));
}

// ---- When the device is done: on a thread of Metal's ----

void MetalStream::completed(const std::shared_ptr<Batch>& batch, std::string failure) {
  InterruptHold hold;
  for (auto& check : batch->checks) {
    if (!failure.empty()) break;
    try {
      failure = check();
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  settle(batch, 0, failure);
}

// Events that the batch waited for have been signalled, but whether they failed may be known only a moment later.
void MetalStream::settle(const std::shared_ptr<Batch>& batch, size_t dependency, const std::string& failure) {
  for (; dependency < batch->dependencies.size(); ++dependency) {
    const Event& event = batch->dependencies[dependency];
    if (!event.is_done()) {
      event.timeline_->then(event.value_,
          [self = shared_from_this(), batch, dependency, failure] { self->settle(batch, dependency, failure); });
      return;
    }
  }
  std::string why = failure;
  for (const Event& event : batch->dependencies) {
    if (why.empty()) why = event.error();
  }
  for (auto& [buffer, use] : batch->uses) {
    if (why.empty() && use.read) why = metal_buffer(buffer)->failure();
  }
  for (auto& [buffer, use] : batch->uses) {
    if (use.written) metal_buffer(buffer)->set_failure(why);
  }
  batch->uses.clear();
  batch->checks.clear();
  batch->dependencies.clear();
  timeline_->finish(batch->number, why);
}

// ---- All streams ----

void finish_running_work() {
  for (const auto& stream : streams().all()) stream->finish_if_free();
}
void for_each_queue(const std::function<void(MTL::CommandQueue&)>& body) {
  for (const auto& stream : streams().all()) body(stream->queue());
}

void close_stream(int stream) {
  std::shared_ptr<MetalStream> closed;
  {
    std::lock_guard lock(streams().mutex);
    auto found = streams().by_index.find(stream);
    if (found == streams().by_index.end()) return;
    closed = std::move(found->second);
    streams().by_index.erase(found);
  }
  closed->commit(); // what is under way keeps it alive
}
Event event(int stream) { return MetalStream::of(stream)->event(); }
void wait_for(int stream, const Event& event) { MetalStream::of(stream)->wait_for(event); }
void commit(int stream) { MetalStream::of(stream)->commit(); }
void synchronize(int stream) { MetalStream::of(stream)->synchronize(); }
void synchronize_all() {
  for (const auto& stream : streams().all()) stream->synchronize();
}

} // namespace mlx::core::gpu
