// The allocator of unified memory: freed buffers wait by size and are handed out again.
#include "mlx_core/gpu/metal_allocator.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/error.h"
#include "mlx_core/gpu/metal_device.h"
#include "mlx_core/gpu/metal_stream.h"

namespace mlx::core::gpu {

namespace {

constexpr MTL::ResourceOptions options = MTL::ResourceStorageModeShared;

void release_buffer(Buffer* buffer);

// A freed buffer serves a request of at least half its size, or any that would take a page anyway.
bool fits(size_t capacity, size_t bytes) { return capacity <= std::max<size_t>(2 * bytes, 4096); }

class Allocator {
 public:
  MetalBuffer* take(size_t bytes) {
    size_t wanted = std::max<size_t>(bytes, 1);
    MetalBuffer* buffer = from_cache(wanted);
    if (!buffer) {
      buffer = make(wanted);
      if (!buffer) {
        clear();
        buffer = make(wanted);
      }
      if (!buffer) { // what runs holds memory that nobody else needs
        finish_running_work();
        clear();
        buffer = make(wanted);
      }
      if (!buffer) throw OutOfMemory(bytes, memory().active);
    }
    buffer->references.store(1, std::memory_order_relaxed);
    buffer->size = bytes;
    buffer->set_failure("");
    buffer->writer.store(0, std::memory_order_relaxed);
    std::lock_guard lock(mutex_);
    active_ += buffer->capacity;
    peak_ = std::max(peak_, active_);
    return buffer;
  }

  void give(MetalBuffer* buffer) {
    {
      std::lock_guard lock(mutex_);
      active_ -= buffer->capacity;
      if (cached_ + buffer->capacity <= cache_limit_) {
        cached_ += buffer->capacity;
        cache_.emplace(buffer->capacity, buffer);
        return;
      }
    }
    destroy(buffer);
  }

  void clear() { shrink_cache(0); }

  Memory memory() {
    std::lock_guard lock(mutex_);
    return {active_, peak_, cached_, limit_, cache_limit_, wired_limit_};
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    peak_ = active_;
  }
  size_t set_limit(size_t bytes) {
    std::lock_guard lock(mutex_);
    return std::exchange(limit_, bytes);
  }
  size_t set_cache_limit(size_t bytes) {
    size_t before;
    {
      std::lock_guard lock(mutex_);
      before = std::exchange(cache_limit_, bytes);
    }
    shrink_cache(bytes);
    return before;
  }
  size_t set_wired_limit(size_t bytes);
  void attach(MTL::CommandQueue& queue) {
    std::lock_guard lock(mutex_);
    if (residency_) {
      queue.addResidencySet(residency_.get());
    }
  }

 private:
  MetalBuffer* from_cache(size_t wanted) {
    std::lock_guard lock(mutex_);
    auto found = cache_.lower_bound(wanted);
    if (found == cache_.end() || !fits(found->first, wanted)) return nullptr;
    MetalBuffer* buffer = found->second;
    cache_.erase(found);
    cached_ -= buffer->capacity;
    return buffer;
  }

  // Null when the device has no memory for it.
  MetalBuffer* make(size_t bytes) {
    if (bytes > device_info().max_buffer_length) return nullptr;
    size_t room;
    {
      std::lock_guard lock(mutex_);
      room = limit_ > active_ + bytes ? limit_ - active_ - bytes : 0;
    }
    shrink_cache(room);
    PoolScope pool;
    auto* buffer = new MetalBuffer;
    buffer->object = device().newBuffer(bytes, options);
    if (!buffer->object) {
      delete buffer;
      return nullptr;
    }
    buffer->device_handle = buffer->object;
    buffer->data = buffer->object->contents();
    buffer->capacity = bytes;
    buffer->release = release_buffer;
    keep_resident(buffer);
    return buffer;
  }

  void destroy(MetalBuffer* buffer) {
    PoolScope pool;
    if (buffer->resident) {
      std::lock_guard lock(mutex_);
      residency_->removeAllocation(buffer->object);
      residency_->commit();
      wired_ -= buffer->capacity;
    }
    buffer->object->release();
    delete buffer;
  }

  void keep_resident(MetalBuffer* buffer) {
    std::lock_guard lock(mutex_);
    if (!residency_ || wired_ + buffer->capacity > wired_limit_) return;
    residency_->addAllocation(buffer->object);
    residency_->commit();
    wired_ += buffer->capacity;
    buffer->resident = true;
  }

  // The largest go first: they are the fewest.
  void shrink_cache(size_t most) {
    std::vector<MetalBuffer*> gone;
    {
      std::lock_guard lock(mutex_);
      while (cached_ > most && !cache_.empty()) {
        auto last = std::prev(cache_.end());
        gone.push_back(last->second);
        cached_ -= last->first;
        cache_.erase(last);
      }
    }
    for (MetalBuffer* buffer : gone) destroy(buffer);
  }

  std::mutex mutex_;
  std::multimap<size_t, MetalBuffer*> cache_;
  size_t active_ = 0, peak_ = 0, cached_ = 0, wired_ = 0;
  size_t limit_ = device_info().max_recommended_working_set_size;
  size_t cache_limit_ = limit_ / 3;
  size_t wired_limit_ = 0;
  NS::SharedPtr<MTL::ResidencySet> residency_;
};

// Never destroyed: arrays may be released during process exit.
Allocator& allocator() {
  static Allocator& instance = *new Allocator;
  return instance;
}

size_t Allocator::set_wired_limit(size_t bytes) {
  size_t most = device_info().max_recommended_working_set_size;
  if (bytes > most) {
    fail("set_wired_limit", "limit is ", bytes, " bytes, but the device recommends at most ", most, ".");
  }
  if (!macos_is_at_least(15, 0)) {
    fail<std::runtime_error>("set_wired_limit", "Keeping memory resident needs macOS 15 or later.");
  }
  PoolScope pool;
  MTL::ResidencySet* made = nullptr;
  size_t before;
  {
    std::lock_guard lock(mutex_);
    if (bytes > 0 && !residency_) {
      auto descriptor = NS::TransferPtr(MTL::ResidencySetDescriptor::alloc()->init());
      NS::Error* error = nullptr;
      made = device().newResidencySet(descriptor.get(), &error);
      if (!made) fail<std::runtime_error>("set_wired_limit", text_of(error), ".");
      residency_ = NS::TransferPtr(made); // for good
      residency_->requestResidency();
    }
    before = std::exchange(wired_limit_, bytes);
  }
  // Without the lock: streams are made with theirs, and ask for ours.
  if (made) for_each_queue([&](MTL::CommandQueue& queue) { queue.addResidencySet(made); });
  return before;
}

// A forked process leaves what its parent had alone: locks may be taken, Metal may not be called.
void release_buffer(Buffer* buffer) {
  if (!is_forked()) allocator().give(static_cast<MetalBuffer*>(buffer));
}

void release_wrapped(Buffer* buffer) {
  if (is_forked()) return;
  auto* wrapped = static_cast<MetalBuffer*>(buffer);
  wrapped->object->release();
  delete wrapped;
}

} // namespace

std::string MetalBuffer::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}
void MetalBuffer::set_failure(const std::string& why) {
  std::lock_guard lock(mutex_);
  failure_ = why;
}

void attach_residency(MTL::CommandQueue& queue) { allocator().attach(queue); }

BufferRef allocate(size_t bytes) {
  device(); // throws where it cannot be used
  return BufferRef(allocator().take(bytes));
}

BufferRef on_device(const BufferRef& host) {
  if (host->device_handle) return host;
  auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (host->size > 0 && reinterpret_cast<uintptr_t>(host->data) % page == 0) {
    PoolScope pool;
    // The rest of the last page is mapped as well, so kernels may be shown whole pages.
    size_t bytes = (host->size + page - 1) / page * page;
    if (MTL::Buffer* object = device().newBuffer(host->data, bytes, options, nullptr)) {
      auto* wrapped = new MetalBuffer;
      wrapped->object = object;
      wrapped->device_handle = object;
      wrapped->data = host->data;
      wrapped->size = host->size;
      wrapped->capacity = bytes;
      wrapped->pinned = true;
      wrapped->host = host;
      wrapped->release = release_wrapped;
      return BufferRef(wrapped);
    }
  }
  BufferRef copy = allocate(host->size);
  cpu::copy_contiguous(copy->data, host->data, host->size);
  return copy;
}

Memory memory() { return allocator().memory(); }
void reset_peak_memory() { allocator().reset_peak(); }
bool memory_is_tight(size_t more) {
  Memory m = allocator().memory();
  return m.active + more > m.limit;
}
size_t set_memory_limit(size_t bytes) { return allocator().set_limit(bytes); }
size_t set_cache_limit(size_t bytes) { return allocator().set_cache_limit(bytes); }
size_t set_wired_limit(size_t bytes) { return allocator().set_wired_limit(bytes); }
void clear_cache() { allocator().clear(); }

} // namespace mlx::core::gpu
