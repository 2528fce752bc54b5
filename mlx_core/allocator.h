// Buffers and the caching allocator behind them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace mlx::core {

namespace detail {
// Gives up one of so many references; whether it was the last one. Nobody can add to the only one, so that it is enough
// to read it.
inline bool is_last(std::atomic<uint32_t>& references) {
  return references.load(std::memory_order_acquire) == 1 || references.fetch_sub(1, std::memory_order_acq_rel) == 1;
}
} // namespace detail

// A piece of memory with a reference count. `data` may be read when host_ready() has returned.
struct Buffer {
  void* data = nullptr;
  size_t size = 0;                    // bytes the owner asked for
  void* device_handle = nullptr;      // a GPU backend's object for the same memory
  bool pinned = false;                // never donated or returned to the cache: foreign memory
  void (*release)(Buffer*) = nullptr; // how the last reference frees it
  void* owner = nullptr;              // what `release` needs to know
  std::atomic<uint32_t> references{1};
  // What a device still has to write into it: a number of that device's; 0: nothing.
  std::atomic<uint64_t> writer{0};
};

// A counted pointer to a Buffer.
class BufferRef {
 public:
  BufferRef() = default;
  explicit BufferRef(Buffer* adopted) : buffer_(adopted) {}
  BufferRef(const BufferRef& other) : buffer_(other.buffer_) {
    if (buffer_) {
      buffer_->references.fetch_add(1, std::memory_order_relaxed);
    }
  }
  BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferRef() {
    if (buffer_ && detail::is_last(buffer_->references)) {
      buffer_->release(buffer_);
    }
  }
  Buffer* get() const { return buffer_; }
  Buffer* operator->() const { return buffer_; }
  explicit operator bool() const { return buffer_ != nullptr; }
  bool unique() const { return buffer_ && buffer_->references.load(std::memory_order_acquire) == 1; }

 private:
  Buffer* buffer_ = nullptr;
};

// No memory of the size that what() names. MemoryError in Python.
class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(size_t wanted, size_t active);
  const char* what() const noexcept override { return text_; }

 private:
  char text_[120];
};

// Uninitialised host memory, 64-byte aligned. Throws OutOfMemory when there is none left.
BufferRef allocate(size_t bytes);
// Memory that somebody else owns; release(owner) is called when the last reference goes.
BufferRef adopt(void* data, size_t bytes, void* owner, void (*release)(void* owner));

namespace detail {
// Returns when what writes the buffer is done. Throws what went wrong there.
void wait_for_writer(Buffer& buffer);
extern std::atomic<size_t> bytes_in_use;     // get_active_memory(), cheaply
extern std::atomic<size_t> bytes_to_look_at; // above this, what pending nodes keep alive matters; 0: to be set anew
} // namespace detail

// Returns when the host may read, and write, what a buffer holds (null: at once). Throws what went wrong on the device
// that writes it.
inline void host_ready(const Buffer* buffer) {
  if (buffer && buffer->writer.load(std::memory_order_acquire)) [[unlikely]] {
    detail::wait_for_writer(*const_cast<Buffer*>(buffer));
  }
}

// Whether this many bytes more would exceed the memory limit. Cheap: to be asked before each step of an evaluation.
bool memory_is_tight(size_t more);

// Figures in bytes, of memory that allocate() gave; limits return the previous value.
size_t get_active_memory();
size_t get_peak_memory();
void reset_peak_memory();
size_t get_cache_memory();
size_t get_foreign_memory(); // what adopt() was given: memory of others that arrays keep alive
size_t set_memory_limit(size_t limit);
size_t get_memory_limit();
size_t set_cache_limit(size_t limit);
void clear_cache();

} // namespace mlx::core
