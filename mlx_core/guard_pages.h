// For tests (-DMLX_GUARD_PAGES=ON): memory of arrays that ends, to a cache line, at a page nobody may touch, and is
// given back to the system at once. A kernel that reads or writes behind an array, or an array that is gone, ends the
// process.
#pragma once

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "mlx_core/allocator.h"

namespace mlx::core {

class GuardedBuffer : public Buffer {
 public:
  static BufferRef make(size_t bytes) {
    const size_t line = 64, room = (bytes + line - 1) / line * line;
    const size_t length = (sizeof(GuardedBuffer) + room + page - 1) / page * page + page;
    void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw OutOfMemory(bytes, get_active_memory());
    auto* buffer = new (memory) GuardedBuffer;
    char* end = static_cast<char*>(memory) + length - page;
    mprotect(end, page, PROT_NONE); // fails where there are too many mappings: then this one has no guard
    buffer->data = end - room;
    std::memset(end - room, 0xA5, room); // no zeros, so that what is read before it is written shows
    buffer->size = bytes;
    buffer->length_ = length;
    buffer->release = [](Buffer* b) { munmap(b, static_cast<GuardedBuffer*>(b)->length_); };
    buffer->references.store(1, std::memory_order_relaxed);
    return BufferRef(buffer);
  }

 private:
  static constexpr size_t page = 4096;
  size_t length_ = 0;
};

} // namespace mlx::core
