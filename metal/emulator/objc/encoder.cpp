// The compute encoder of the stand-in: checks what Metal's validation layer would, and writes commands down.
#include "metal/emulator/objc/metal.h"

namespace mlx::core::metal_emulator::objc {

namespace {
constexpr uint64_t slots = 31, most_inline_bytes = 4096;

std::string shown(const uint64_t (&size)[3]) {
  return "(" + std::to_string(size[0]) + ", " + std::to_string(size[1]) + ", " + std::to_string(size[2]) + ")";
}
} // namespace

ComputeEncoder::ComputeEncoder(CommandBuffer* buffer, uint64_t dispatch_type)
    : Labelled(class_of<ComputeEncoder>()), buffer_(buffer), concurrent_(dispatch_type == 1) {
  Command begin(Command::Kind::encoder);
  begin.concurrent = concurrent_;
  buffer_->append(std::move(begin));
}
ComputeEncoder::~ComputeEncoder() {
  if (!ended_) std::fprintf(stderr, "[metal emulator] An encoder was released before endEncoding.\n");
}
Object* ComputeEncoder::device() { return reinterpret_cast<Object*>(the_device()); }

void ComputeEncoder::check_open(const char* what) const {
  if (ended_) misuse(std::string(what) + " after endEncoding.");
}
void ComputeEncoder::check_index(const char* what, uint64_t index) const {
  check_open(what);
  if (index >= slots) misuse(std::string(what) + ": index " + std::to_string(index) + " is not below 31.");
}

// Metal keeps what is bound; here each pipeline begins with nothing, so that a binding left over from another kernel
// does not hide one that was forgotten.
void ComputeEncoder::set_pipeline(Pipeline* pipeline) {
  check_open("setComputePipelineState:");
  if (!pipeline) misuse("setComputePipelineState: nil.");
  pipeline_ = Ref<Pipeline>(pipeline);
  bound_.clear();
  threadgroup_bytes_.clear();
}
void ComputeEncoder::set_buffer(Buffer* buffer, uint64_t offset, uint64_t index) {
  check_index("setBuffer:offset:atIndex:", index);
  if (!buffer) {
    bound_.erase(index);
    return;
  }
  if (offset > buffer->length()) {
    misuse("setBuffer:offset:atIndex:: offset " + std::to_string(offset) + " is beyond the buffer's " +
           std::to_string(buffer->length()) + " bytes.");
  }
  bound_[index] = Bound{static_cast<uint32_t>(index), buffer, offset, nullptr};
}
void ComputeEncoder::set_offset(uint64_t offset, uint64_t index) {
  check_index("setBufferOffset:atIndex:", index);
  auto found = bound_.find(index);
  if (found == bound_.end() || !found->second.buffer) misuse("setBufferOffset:atIndex:: no buffer is bound there.");
  set_buffer(found->second.buffer, offset, index);
}
void ComputeEncoder::set_bytes(const void* bytes, uint64_t length, uint64_t index) {
  check_index("setBytes:length:atIndex:", index);
  if (length == 0 || length > most_inline_bytes) {
    misuse("setBytes:length:atIndex:: " + std::to_string(length) + " bytes; it should be 1 to 4096.");
  }
  auto* first = static_cast<const unsigned char*>(bytes);
  bound_[index] = Bound{static_cast<uint32_t>(index), nullptr, 0,
      std::make_shared<const std::vector<unsigned char>>(first, first + length)};
}
void ComputeEncoder::set_threadgroup_memory(uint64_t length, uint64_t index) {
  check_index("setThreadgroupMemoryLength:atIndex:", index);
  if (length % 16 != 0) {
    misuse("setThreadgroupMemoryLength:atIndex:: " + std::to_string(length) + " is not a multiple of 16.");
  }
  threadgroup_bytes_[static_cast<uint32_t>(index)] = static_cast<uint32_t>(length);
}

void ComputeEncoder::dispatch_threads(Size3 threads, Size3 group) {
  dispatch({threads.width, threads.height, threads.depth}, group);
}
void ComputeEncoder::dispatch_groups(Size3 groups, Size3 group) {
  dispatch({groups.width * group.width, groups.height * group.height, groups.depth * group.depth}, group);
}
void ComputeEncoder::dispatch(const uint64_t (&threads)[3], Size3 group) {
  check_open("dispatch");
  if (!pipeline_) misuse("dispatch without a pipeline.");
  Command command(Command::Kind::dispatch);
  command.pipeline = pipeline_;
  command.group[0] = group.width, command.group[1] = group.height, command.group[2] = group.depth;
  uint64_t in_group = 1, bytes = pipeline_->threadgroup_bytes();
  for (int i = 0; i < 3; ++i) {
    command.threads[i] = threads[i];
    in_group *= command.group[i];
    if (threads[i] == 0 || command.group[i] == 0 || threads[i] > UINT32_MAX) {
      misuse("dispatch of " + shown(command.threads) + " threads by " + shown(command.group) + ": " +
             pipeline_->function->name());
    }
  }
  if (in_group > pipeline_->most_threads()) {
    misuse("dispatch with threadgroups of " + shown(command.group) + ", but " + pipeline_->function->name() +
           " runs with at most " + std::to_string(pipeline_->most_threads()) + " threads.");
  }
  for (auto& [index, bound] : bound_) {
    if (bound.buffer) {
      bound.buffer->pin();
      if (buffer_->retained()) bound.buffer->retain();
    }
    command.bound.push_back(bound);
  }
  for (auto [index, length] : threadgroup_bytes_) {
    bytes += length;
    command.threadgroup_bytes.emplace_back(index, length);
  }
  buffer_->append(std::move(command));
  if (bytes > 32768) {
    misuse("dispatch with " + std::to_string(bytes) +
           " bytes of threadgroup memory; there are 32768: " + pipeline_->function->name());
  }
}

void ComputeEncoder::barrier(uint64_t) {
  check_open("memoryBarrierWithScope:");
  buffer_->append(Command(Command::Kind::barrier));
}
void ComputeEncoder::barrier_for(Object* const*, uint64_t) { barrier(1); }
void ComputeEncoder::end() {
  check_open("endEncoding");
  ended_ = true;
  buffer_->close_encoder();
}

void define_encoder() {
  Definition("MTLComputeCommandEncoder")
      .method<&ComputeEncoder::set_pipeline>("setComputePipelineState:")
      .method<&ComputeEncoder::set_buffer>("setBuffer:offset:atIndex:")
      .method<&ComputeEncoder::set_offset>("setBufferOffset:atIndex:")
      .method<&ComputeEncoder::set_bytes>("setBytes:length:atIndex:")
      .method<&ComputeEncoder::set_threadgroup_memory>("setThreadgroupMemoryLength:atIndex:")
      .method<&ComputeEncoder::dispatch_threads>("dispatchThreads:threadsPerThreadgroup:")
      .method<&ComputeEncoder::dispatch_groups>("dispatchThreadgroups:threadsPerThreadgroup:")
      .method<&ComputeEncoder::barrier>("memoryBarrierWithScope:")
      .method<&ComputeEncoder::barrier_for>("memoryBarrierWithResources:count:")
      .method<&ComputeEncoder::update_fence>("updateFence:")
      .method<&ComputeEncoder::wait_for_fence>("waitForFence:")
      .method<&ComputeEncoder::use_resource>("useResource:usage:")
      .method<&ComputeEncoder::dispatch_type>("dispatchType")
      .method<&ComputeEncoder::device>("device")
      .method<&ComputeEncoder::end>("endEncoding")
      .method<&Labelled::label>("label")
      .method<&Labelled::set_label>("setLabel:");
}

} // namespace mlx::core::metal_emulator::objc
