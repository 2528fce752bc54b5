// Command queues and buffers of the stand-in. Each queue has a thread that runs its buffers in order, and one that
// calls completion handlers, as Metal calls them beside what the device does next.
#include <Block.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>

#include "metal/emulator/objc/metal.h"
#include "metal/emulator/objc/standin.h"

namespace mlx::core::metal_emulator::objc {

namespace {

enum Status : uint64_t { not_enqueued = 0, enqueued = 1, committed = 2, scheduled = 3, completed = 4, failed = 5 };
enum FailureCode : int64_t { timeout = 2, page_fault = 3, invalid_resource = 9 };

std::atomic<uint64_t> dispatch_count{0}, buffer_count{0};
std::atomic<uint64_t> seed_given{UINT64_MAX};

uint64_t dispatch_seed() {
  uint64_t given = seed_given.load();
  return given != UINT64_MAX ? given : setting("MLX_METAL_EMULATOR_SEED", 1);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Failure {
  int64_t code;
  std::string text;
};

void run_queue(const std::shared_ptr<QueueState>& state) {
  for (;;) {
    Ref<CommandBuffer> buffer;
    {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, [&] { return state->closing || !state->committed.empty(); });
      if (state->committed.empty()) {
        state->idle = true;
        state->changed.notify_all();
        return;
      }
      buffer = std::move(state->committed.front());
      state->committed.pop_front();
    }
    buffer->execute();
    std::lock_guard lock(state->mutex);
    state->completed.push_back(std::move(buffer));
    state->changed.notify_all();
  }
}

void call_handlers(const std::shared_ptr<QueueState>& state) {
  for (;;) {
    Ref<CommandBuffer> buffer;
    {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, [&] { return state->idle || !state->completed.empty(); });
      if (state->completed.empty()) return;
      buffer = std::move(state->completed.front());
      state->completed.pop_front();
    }
    buffer->call_handlers();
  }
}

} // namespace

uint64_t dispatches_run() { return dispatch_count.load(); }
uint64_t command_buffers_run() { return buffer_count.load(); }
void set_dispatch_seed(uint64_t seed) { seed_given.store(seed); }

// ---- Queues ----

CommandQueue::CommandQueue(uint64_t most_buffers)
    : Labelled(class_of<CommandQueue>()), state_(std::make_shared<QueueState>()) {
  state_->most = most_buffers;
  std::thread(run_queue, state_).detach();
  std::thread(call_handlers, state_).detach();
}
CommandQueue::~CommandQueue() {
  std::lock_guard lock(state_->mutex);
  state_->closing = true;
  state_->changed.notify_all();
}
Object* CommandQueue::device() { return reinterpret_cast<Object*>(the_device()); }
void CommandQueue::remove_residency_set(Object* set) {
  std::erase_if(sets_, [&](const Ref<Object>& each) { return each.get() == set; });
}
// As Metal: when as many buffers as the queue was made for are not done, waits.
Object* CommandQueue::make(bool retains) {
  {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->unfinished < state_->most; });
    ++state_->unfinished;
  }
  auto* buffer = new CommandBuffer(this, retains);
  return buffer->autorelease();
}

// ---- Command buffers ----

CommandBuffer::CommandBuffer(CommandQueue* queue, bool retains)
    : Labelled(class_of<CommandBuffer>()), queue_(queue), state_(queue->state()), retains_(retains) {}
CommandBuffer::~CommandBuffer() {
  let_resources_go();
  for (void* block : handlers_) _Block_release(block);
}

bool CommandBuffer::open() const {
  std::lock_guard lock(mutex_);
  return status_ < committed;
}
void CommandBuffer::append(Command command) { commands_.push_back(std::move(command)); }

Object* CommandBuffer::encoder_of_type(uint64_t dispatch_type) {
  if (!open()) misuse("computeCommandEncoder of a command buffer that was committed.");
  if (encoder_open_) misuse("computeCommandEncoder while another encoder of the command buffer is open.");
  encoder_open_ = true;
  auto* encoder = new ComputeEncoder(this, dispatch_type);
  return encoder->autorelease();
}
void CommandBuffer::signal_event(Event* event, uint64_t value) {
  if (!open() || encoder_open_) misuse("encodeSignalEvent:value: in a committed buffer, or while an encoder is open.");
  Command command(Command::Kind::signal);
  command.event = Ref<Event>(event);
  command.value = value;
  append(std::move(command));
}
void CommandBuffer::wait_event(Event* event, uint64_t value) {
  if (!open() || encoder_open_) misuse("encodeWaitForEvent:value: in a committed buffer, or while an encoder is open.");
  Command command(Command::Kind::wait);
  command.event = Ref<Event>(event);
  command.value = value;
  append(std::move(command));
}
void CommandBuffer::add_completed_handler(void* block) {
  if (!open()) misuse("addCompletedHandler: after commit.");
  handlers_.push_back(_Block_copy(block));
}
void CommandBuffer::commit() {
  if (encoder_open_) misuse("commit while an encoder is open.");
  {
    std::lock_guard lock(mutex_);
    if (status_ >= committed) misuse("commit of a command buffer that was committed.");
    status_ = committed;
  }
  std::lock_guard lock(state_->mutex);
  state_->committed.emplace_back(this);
  state_->changed.notify_all();
}
void CommandBuffer::wait_until_completed() {
  if (open()) misuse("waitUntilCompleted of a command buffer that was not committed.");
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_; });
}
uint64_t CommandBuffer::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}
Object* CommandBuffer::error() {
  std::lock_guard lock(mutex_);
  if (status_ != failed) return nullptr;
  if (!error_) {
    auto* error = new Error;
    error->code = failure_code_;
    error->domain = Ref<String>::adopt(String::make("MTLCommandBufferErrorDomain"));
    error->text = Ref<String>::adopt(String::make(failure_));
    error_ = Ref<Error>::adopt(error);
  }
  return error_.get();
}
Object* CommandBuffer::queue() { return queue_.get(); }
Object* CommandBuffer::device() { return reinterpret_cast<Object*>(the_device()); }

void CommandBuffer::let_resources_go() {
  for (Command& command : commands_) {
    for (Bound& bound : command.bound) {
      if (!bound.buffer) continue;
      if (retains_) bound.buffer->release();
      bound.buffer->unpin();
    }
  }
  commands_.clear();
  if (std::exchange(counted_, false)) {
    std::lock_guard lock(state_->mutex);
    --state_->unfinished;
    state_->changed.notify_all();
  }
}

void CommandBuffer::run(const Command& command) {
  Dispatch dispatch;
  dispatch.function = command.pipeline->function.get();
  std::copy(command.threads, command.threads + 3, dispatch.threads);
  std::copy(command.group, command.group + 3, dispatch.threads_per_threadgroup);
  for (const Bound& bound : command.bound) {
    Binding& binding = dispatch.buffers[bound.index];
    if (bound.buffer) {
      if (bound.buffer->let_go()) {
        throw Failure{invalid_resource, "kernel " + dispatch.function->name() + ": buffer " +
                                            std::to_string(bound.index) + " was released before the kernel ran."};
      }
      binding.data = static_cast<char*>(bound.buffer->contents()) + bound.offset;
      binding.size = bound.buffer->length() - bound.offset;
    } else {
      binding.data = const_cast<unsigned char*>(bound.bytes->data());
      binding.size = bound.bytes->size();
    }
  }
  for (auto [index, bytes] : command.threadgroup_bytes) dispatch.threadgroup_bytes[index] = bytes;
  trace([&] {
    std::string line = "  " + dispatch.function->name();
    for (int i = 0; i < 3; ++i) line += (i ? "x" : " threads ") + std::to_string(command.threads[i]);
    for (int i = 0; i < 3; ++i) line += (i ? "x" : " by ") + std::to_string(command.group[i]);
    for (const Bound& bound : command.bound) {
      line += " [" + std::to_string(bound.index) + "]=" + std::to_string(dispatch.buffers[bound.index].size) + "B";
    }
    return line;
  });
  dispatch_count.fetch_add(1);
  try {
    metal_emulator::run(dispatch);
  } catch (const std::exception& fault) {
    throw Failure{page_fault, fault.what()};
  }
}

// Where nothing orders dispatches, any order must do: a barrier that is missing shows.
void CommandBuffer::run_all(std::vector<const Command*>& dispatches, bool concurrent) {
  if (uint64_t seed = concurrent ? dispatch_seed() : 0; seed && dispatches.size() > 1) {
    std::mt19937_64 random(seed + dispatch_count.load());
    std::shuffle(dispatches.begin(), dispatches.end(), random);
  }
  for (const Command* command : dispatches) run(*command);
  dispatches.clear();
}

void CommandBuffer::execute() {
  {
    std::lock_guard lock(mutex_);
    status_ = scheduled;
    start_ = now();
  }
  buffer_count.fetch_add(1);
  trace([] { return std::string("command buffer"); });
  std::optional<Failure> failure;
  try {
    std::vector<const Command*> dispatches;
    bool concurrent = false;
    for (const Command& command : commands_) {
      if (command.kind == Command::Kind::dispatch) {
        dispatches.push_back(&command);
        continue;
      }
      run_all(dispatches, concurrent);
      if (command.kind == Command::Kind::encoder) concurrent = command.concurrent;
      if (command.kind == Command::Kind::signal) command.event->signal(command.value);
      if (command.kind == Command::Kind::wait) {
        uint64_t seconds = setting("MLX_METAL_EMULATOR_TIMEOUT", 120);
        if (!command.event->wait(command.value, seconds * 1000)) {
          throw Failure{timeout, "The command buffer waited " + std::to_string(seconds) + " s for an event to reach " +
                                     std::to_string(command.value) + "; it is " +
                                     std::to_string(command.event->value()) + "."};
        }
      }
    }
    run_all(dispatches, concurrent);
  } catch (const Failure& caught) {
    failure = caught; // what follows in this buffer does not happen, signals included
  } catch (const std::exception& caught) {
    failure = Failure{1, caught.what()};
  }
  let_resources_go();
  std::lock_guard lock(mutex_);
  end_ = now();
  status_ = failure ? failed : completed;
  if (failure) failure_ = failure->text, failure_code_ = failure->code;
}

void CommandBuffer::call_handlers() {
  PoolScope pool;
  for (void* block : handlers_) {
    using Handler = void (^)(void*);
    reinterpret_cast<Handler>(block)(this);
    _Block_release(block);
  }
  handlers_.clear();
  std::lock_guard lock(mutex_);
  done_ = true;
  changed_.notify_all();
}

void define_queue() {
  Definition("MTLCommandQueue")
      .method<&CommandQueue::buffer>("commandBuffer")
      .method<&CommandQueue::buffer_unretained>("commandBufferWithUnretainedReferences")
      .method<&CommandQueue::add_residency_set>("addResidencySet:")
      .method<&CommandQueue::remove_residency_set>("removeResidencySet:")
      .method<&CommandQueue::device>("device")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
  Definition("MTLCommandBuffer")
      .method<&CommandBuffer::encoder>("computeCommandEncoder")
      .method<&CommandBuffer::encoder_of_type>("computeCommandEncoderWithDispatchType:")
      .method<&CommandBuffer::signal_event>("encodeSignalEvent:value:")
      .method<&CommandBuffer::wait_event>("encodeWaitForEvent:value:")
      .method<&CommandBuffer::add_completed_handler>("addCompletedHandler:")
      .method<&CommandBuffer::commit>("commit")
      .method<&CommandBuffer::wait_until_completed>("waitUntilCompleted")
      .method<&CommandBuffer::wait_until_scheduled>("waitUntilScheduled")
      .method<&CommandBuffer::status>("status")
      .method<&CommandBuffer::error>("error")
      .method<&CommandBuffer::queue>("commandQueue")
      .method<&CommandBuffer::device>("device")
      .method<&CommandBuffer::retained>("retainedReferences")
      .method<&CommandBuffer::start_time>("GPUStartTime")
      .method<&CommandBuffer::end_time>("GPUEndTime")
      .method<&CommandBuffer::use_residency_set>("useResidencySet:")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
}

} // namespace mlx::core::metal_emulator::objc
