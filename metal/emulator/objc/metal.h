// The Metal classes of the stand-in: device, memory, libraries, queues, encoders, events.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "metal/emulator/objc/foundation.h"
#include "metal/emulator/runner.h"

namespace mlx::core::metal_emulator::objc {

struct Size3 { // MTLSize
  uint64_t width, height, depth;
};
struct Span { // NSRange
  uint64_t location, length;
};

class Labelled : public Object {
 public:
  using Object::Object;
  Object* label() { return label_.get(); }
  void set_label(String* label) { label_ = Ref<String>(label); }

 private:
  Ref<String> label_;
};

class Device;
Device* the_device();

// ---- Memory ----

class Buffer final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLBuffer";
  // Null when the device has no memory for it.
  static Buffer* with_length(uint64_t length, uint64_t options);
  static Buffer* with_copy(const void* bytes, uint64_t length, uint64_t options);
  static Buffer* without_copy(void* bytes, uint64_t length, uint64_t options, void* deallocator);
  ~Buffer() override;

  void* contents() { return data_; }
  uint64_t length() const { return length_; }
  uint64_t options() const { return options_; }
  uint64_t storage_mode() const { return (options_ >> 4) & 15; }
  uint64_t address() const { return reinterpret_cast<uintptr_t>(data_); }
  Object* device();
  void did_modify(Span) {}
  static uint64_t bytes_allocated();

 private:
  Buffer(void* data, uint64_t length, uint64_t options, bool owned);
  void* data_;
  uint64_t length_, options_;
  bool owned_;
  void* deallocator_ = nullptr; // a block
};

class ResidencySet final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLResidencySet";
  ResidencySet() : Labelled(class_of<ResidencySet>()) {}
  void add(Object* allocation) { changes_.emplace_back(true, Ref<Object>(allocation)); }
  void add_all(Object* const* allocations, uint64_t count);
  void remove(Object* allocation) { changes_.emplace_back(false, Ref<Object>(allocation)); }
  void remove_all();
  void commit();
  void request() {}
  void end() {}
  bool contains(Object* allocation) const { return members_.contains(allocation); }
  uint64_t count() const { return members_.size(); }
  uint64_t bytes() const;

 private:
  std::vector<std::pair<bool, Ref<Object>>> changes_;
  std::map<Object*, Ref<Object>> members_;
};

// ---- Libraries ----

class CompileOptions final : public Object {
 public:
  static constexpr const char* class_name = "MTLCompileOptions";
  CompileOptions() : Object(class_of<CompileOptions>()) {}
  bool fast_math = true;
  uint64_t language_version = 0;
  int64_t math_mode = 2;
  Ref<Dictionary> macros;
  void set_macros(Dictionary* dictionary) { macros = Ref<Dictionary>(dictionary); }
  Object* get_macros() { return macros.get(); }
};

class ConstantValues final : public Object {
 public:
  static constexpr const char* class_name = "MTLFunctionConstantValues";
  ConstantValues() : Object(class_of<ConstantValues>()) {}
  std::vector<FunctionConstant> values;
  void set_at(const void* value, uint64_t type, uint64_t index);
  void set_range(const void* value, uint64_t type, Span range);
  void set_named(const void* value, uint64_t type, String* name);
  void reset() { values.clear(); }

 private:
  void set(FunctionConstant constant, const void* value, uint64_t type);
};

class ShaderFunction final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLFunction";
  explicit ShaderFunction(std::string name);
  std::string name;
  std::shared_ptr<const Function> function;
  std::string failure; // why there is none: pipelines of it fail
  Object* get_name() { return String::make(name)->autorelease(); }
  uint64_t type() const { return 3; } // a kernel
};

class ShaderLibrary final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLLibrary";
  explicit ShaderLibrary(std::shared_ptr<const Library> library);
  static Object* from_source(const std::string& source, CompileOptions* options, Object** error);
  Object* names();
  Object* function(String* name);
  Object* function_with_constants(String* name, ConstantValues* constants, Object** error);

 private:
  std::shared_ptr<const Library> library_;
};

class Pipeline final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLComputePipelineState";
  explicit Pipeline(std::shared_ptr<const Function> function);
  std::shared_ptr<const Function> function;
  uint64_t most_threads() const { return function->max_total_threads_per_threadgroup(); }
  uint64_t simd_width() const { return 32; }
  uint64_t threadgroup_bytes() const { return function->static_threadgroup_bytes(); }
  Object* device();
};

// ---- Events ----

class Event final : public Labelled {
 public:
  explicit Event(bool shared);
  uint64_t value() const;
  void set_value(uint64_t value);
  void signal(uint64_t value); // by the device: never backwards
  bool wait(uint64_t value, uint64_t milliseconds);
  Object* device();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t value_ = 0;
};

// ---- Commands ----

struct Bound {
  uint32_t index;
  Buffer* buffer = nullptr; // pinned while the command exists
  uint64_t offset = 0;
  std::shared_ptr<const std::vector<unsigned char>> bytes;
};

struct Command {
  enum class Kind { dispatch, barrier, encoder, signal, wait };
  explicit Command(Kind kind) : kind(kind) {}
  Kind kind;
  bool concurrent = false; // of an encoder: what follows may run in any order up to a barrier
  Ref<Pipeline> pipeline;
  uint64_t threads[3] = {}, group[3] = {};
  std::vector<Bound> bound;
  std::vector<std::pair<uint32_t, uint32_t>> threadgroup_bytes; // index, bytes
  Ref<Event> event;
  uint64_t value = 0;
};

struct QueueState;
class CommandQueue;

class CommandBuffer final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLCommandBuffer";
  CommandBuffer(CommandQueue* queue, bool retains);
  ~CommandBuffer() override;

  Object* encoder() { return encoder_of_type(0); }
  Object* encoder_of_type(uint64_t dispatch_type);
  void signal_event(Event* event, uint64_t value);
  void wait_event(Event* event, uint64_t value);
  void add_completed_handler(void* block);
  void commit();
  void wait_until_completed();
  void wait_until_scheduled() {}
  uint64_t status() const;
  Object* error();
  Object* queue();
  Object* device();
  bool retained() const { return retains_; }
  double start_time() const { return start_; }
  double end_time() const { return end_; }
  void use_residency_set(Object*) {}

  void append(Command command);
  void close_encoder() { encoder_open_ = false; }
  bool open() const;
  void execute();       // on the queue's thread
  void call_handlers(); // on the queue's other thread

 private:
  void run(const Command& dispatch);
  void run_all(std::vector<const Command*>& dispatches, bool concurrent);
  void let_resources_go();
  Ref<CommandQueue> queue_;
  std::shared_ptr<QueueState> state_;
  bool retains_, encoder_open_ = false, counted_ = true;
  std::vector<Command> commands_;
  std::vector<void*> handlers_; // blocks
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t status_ = 0;
  bool done_ = false;
  std::string failure_;
  int64_t failure_code_ = 0;
  Ref<Error> error_;
  double start_ = 0, end_ = 0;
};

// What a queue shares with its two threads: one runs command buffers in order, the other calls their handlers.
struct QueueState {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Ref<CommandBuffer>> committed, completed;
  uint64_t unfinished = 0, most = 64;
  bool closing = false, idle = false;
};

class CommandQueue final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLCommandQueue";
  explicit CommandQueue(uint64_t most_buffers);
  ~CommandQueue() override;
  Object* buffer() { return make(true); }
  Object* buffer_unretained() { return make(false); }
  Object* device();
  void add_residency_set(Object* set) { sets_.emplace_back(set); }
  void remove_residency_set(Object* set);
  const std::shared_ptr<QueueState>& state() const { return state_; }

 private:
  Object* make(bool retains);
  std::shared_ptr<QueueState> state_;
  std::vector<Ref<Object>> sets_;
};

class ComputeEncoder final : public Labelled {
 public:
  static constexpr const char* class_name = "MTLComputeCommandEncoder";
  ComputeEncoder(CommandBuffer* buffer, uint64_t dispatch_type);
  ~ComputeEncoder() override;
  void set_pipeline(Pipeline* pipeline);
  void set_buffer(Buffer* buffer, uint64_t offset, uint64_t index);
  void set_offset(uint64_t offset, uint64_t index);
  void set_bytes(const void* bytes, uint64_t length, uint64_t index);
  void set_threadgroup_memory(uint64_t length, uint64_t index);
  void dispatch_threads(Size3 threads, Size3 group);
  void dispatch_groups(Size3 groups, Size3 group);
  void barrier(uint64_t scope);
  void barrier_for(Object* const* resources, uint64_t count);
  void update_fence(Object*) {}
  void wait_for_fence(Object*) {}
  void use_resource(Object*, uint64_t) {}
  void end();
  uint64_t dispatch_type() const { return concurrent_; }
  Object* device();

 private:
  void check_open(const char* what) const;
  void check_index(const char* what, uint64_t index) const;
  void dispatch(const uint64_t (&threads)[3], Size3 group);
  Ref<CommandBuffer> buffer_;
  bool concurrent_, ended_ = false;
  Ref<Pipeline> pipeline_;
  std::map<uint64_t, Bound> bound_;
  std::map<uint32_t, uint32_t> threadgroup_bytes_;
};

// Writes down what runs while a capture is open.
void trace(const std::function<std::string()>& line);

} // namespace mlx::core::metal_emulator::objc
