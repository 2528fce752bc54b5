// A stream of the GPU: a Metal queue, the batch of work that is being encoded for it, and the timeline of its batches.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "mlx_core/gpu/metal_event.h"

namespace mlx::core::gpu {

// What a batch does with a buffer, and since which barrier.
struct BufferUse {
  BufferRef buffer;  // kept until the batch is done
  bool read = false; // before the batch itself wrote it
  bool written = false;
  uint64_t read_since = 0, written_since = 0; // numbers of barriers, from 1
};

// One command buffer: the dispatches that go to the device together.
struct Batch {
  uint64_t number = 0;
  NS::SharedPtr<MTL::CommandBuffer> commands;
  NS::SharedPtr<MTL::ComputeCommandEncoder> encoder;
  std::unordered_map<const Buffer*, BufferUse> uses;
  std::vector<std::function<std::string()>> checks; // asked when it is done; a text says why it failed
  std::vector<Event> dependencies;
  uint64_t barriers = 1;
  size_t dispatches = 0, bytes = 0;
  bool event_taken = false;
};

class MetalStream : public std::enable_shared_from_this<MetalStream> {
 public:
  // Made when it is first asked for.
  static std::shared_ptr<MetalStream> of(int index);
  explicit MetalStream(int index);

  // Event number `number` of this stream.
  Event event_at(uint64_t number) const { return Event(timeline_, number); }
  int index() const { return index_; }
  Event event();
  void wait_for(const Event& event);
  void commit();
  void flush(uint64_t number); // commits that batch, if it is the open one
  void synchronize();
  // For when memory has run out: commits unless somebody is encoding, and waits some seconds.
  void finish_if_free();
  MTL::CommandQueue& queue() { return *queue_.get(); }

 private:
  friend class MetalEncoder;
  Batch& open_batch();                        // with the lock
  MTL::ComputeCommandEncoder& open_encoder(); // with the lock
  void close_encoder();
  void commit_locked();
  void commit_if_full();
  void completed(const std::shared_ptr<Batch>& batch, std::string failure);
  void settle(const std::shared_ptr<Batch>& batch, size_t dependency, const std::string& failure);

  const int index_;
  NS::SharedPtr<MTL::CommandQueue> queue_;
  std::shared_ptr<Timeline> timeline_;
  std::recursive_mutex encoding_; // held by a MetalEncoder; guards all below
  bool encoder_in_use_ = false;
  std::shared_ptr<Batch> open_;
  uint64_t last_ = 0;
};

void finish_running_work();
void for_each_queue(const std::function<void(MTL::CommandQueue&)>& body);

} // namespace mlx::core::gpu
