// A caching host allocator: freed blocks wait in lists by size class and are handed out again.
#include "mlx_core/allocator.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

#include "mlx_core/gpu/gpu.h"
#ifdef MLX_GUARD_PAGES
#include "mlx_core/guard_pages.h"
#endif

namespace mlx::core {

void detail::wait_for_writer(Buffer& buffer) { gpu::wait_for_writer(buffer); }

std::atomic<size_t> detail::bytes_in_use{0};
std::atomic<size_t> detail::bytes_to_look_at{0};

namespace {

constexpr size_t alignment = 64;

// Size classes: four per power of two, so that at most a fifth of a block is unused.
size_t class_of(size_t bytes) {
  size_t units = (bytes + alignment - 1) / alignment;
  if (units <= 4) {
    return units == 0 ? 0 : units - 1;
  }
  int log = std::bit_width(units - 1) - 1; // 2^log < units <= 2^(log + 1)
  size_t step = size_t{1} << (log - 2);
  size_t quarter = (units - (size_t{1} << log) + step - 1) / step; // 1..4
  return 4 * static_cast<size_t>(log - 1) + quarter - 1;
}

size_t class_bytes(size_t c) {
  if (c < 4) {
    return (c + 1) * alignment;
  }
  size_t log = c / 4 + 1, quarter = c % 4 + 1;
  return ((size_t{1} << log) + quarter * (size_t{1} << (log - 2))) * alignment;
}

constexpr size_t class_count = 4 * 48;

// Blocks of the smallest classes (up to 1 KiB) are carved from slabs, which are kept for ever: they are too many to be
// worth a trip to malloc each.
constexpr size_t small_classes = 12;
constexpr size_t slab_bytes = size_t{1} << 16;

size_t physical_memory() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
}

// A block is its Buffer header (padded to the alignment) followed by the data.
constexpr size_t header_bytes = (sizeof(Buffer) + alignment - 1) / alignment * alignment;

void release_block(Buffer* buffer);

// Processors take a load for one of what was just stored wherever the last 12 bits of the addresses agree, and wait, as
// a stencil does whose result begins where its operand does in a page: so large blocks begin at different places, one
// after another by more than strips are long.
constexpr size_t page = 4096, staggered = size_t{1} << 16; // bytes; from so large a block on
constexpr size_t begin_apart = 5 * 256;                    // 16 places, before they come again

// Large blocks are in large pages where the system has them: each is one fault, and one entry of the tables that find
// where memory is, instead of 512. Null where there is no memory.
void* new_block(size_t bytes) {
  static std::atomic<size_t> turn{0};
  if (bytes < staggered) {
    return std::aligned_alloc(alignment, bytes);
  }
  const size_t all = (bytes + 2 * page - 1) / page * page;
  char* raw = nullptr;
#ifdef MADV_HUGEPAGE
  constexpr size_t large_page = size_t{2} << 20, worth_large = 2 * large_page;
  if (bytes >= worth_large) {
    raw = static_cast<char*>(std::aligned_alloc(large_page, all));
    if (raw) {
      madvise(raw, all, MADV_HUGEPAGE); // fails where the system has none: then the pages are small
    }
  } else
#endif
    raw = static_cast<char*>(std::aligned_alloc(page, all));
  return raw ? raw + turn.fetch_add(1, std::memory_order_relaxed) * begin_apart % page : nullptr;
}

// The block's pages begin at the one that it begins in.
void free_block(void* block, size_t capacity) {
  const auto at = reinterpret_cast<uintptr_t>(block);
  std::free(header_bytes + capacity < staggered ? block : reinterpret_cast<void*>(at / page * page));
}

// Held for a few instructions, thousands of times in a graph of small arrays: unlike a mutex, left by a plain store.
class Spin {
 public:
  void lock() {
    while (held_.exchange(true, std::memory_order_acquire)) {
      while (held_.load(std::memory_order_relaxed)) {
        std::this_thread::yield();
      }
    }
  }
  void unlock() { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

struct Cache {
  Spin mutex;
  Buffer* free[class_count] = {};                     // linked through `owner`
  std::atomic<size_t>& active = detail::bytes_in_use; // written under the mutex
  size_t peak = 0, cached = 0;
  std::atomic<size_t> memory_limit = physical_memory() / 4 * 3;
  size_t cache_limit = physical_memory() / 4;

  void drop_all() {
    for (size_t c = small_classes; c < class_count; ++c) {
      while (Buffer* block = free[c]) {
        free[c] = static_cast<Buffer*>(block->owner);
        free_block(block, class_bytes(c));
      }
    }
    cached = 0;
  }

  static Buffer* make_block(void* raw) {
    Buffer* block = new (raw) Buffer;
    block->data = static_cast<char*>(raw) + header_bytes;
    block->release = release_block;
    return block;
  }

  void carve_slab(size_t c) {
    size_t stride = header_bytes + class_bytes(c);
    char* slab = static_cast<char*>(std::aligned_alloc(alignment, slab_bytes));
    for (size_t at = 0; slab && at + stride <= slab_bytes; at += stride) {
      Buffer* block = make_block(slab + at);
      block->owner = free[c];
      free[c] = block;
    }
  }

  Buffer* take(size_t bytes) {
    size_t c = class_of(bytes), capacity = class_bytes(c);
    std::lock_guard lock(mutex);
    if (!free[c] && c < small_classes) {
      carve_slab(c);
    }
    Buffer* block = free[c];
    if (block) {
      free[c] = static_cast<Buffer*>(block->owner);
      cached -= c < small_classes ? 0 : capacity;
    } else {
      if (active + cached + capacity > memory_limit) {
        drop_all();
      }
      void* raw = new_block(header_bytes + capacity);
      if (!raw) {
        drop_all();
        raw = new_block(header_bytes + capacity);
      }
      if (!raw) {
        throw OutOfMemory(bytes, active);
      }
      block = make_block(raw);
    }
    block->references.store(1, std::memory_order_relaxed);
    block->size = bytes;
    size_t now = active.load(std::memory_order_relaxed) + capacity;
    active.store(now, std::memory_order_relaxed);
    peak = std::max(peak, now);
    return block;
  }

  void give(Buffer* block) {
    size_t c = class_of(block->size), capacity = class_bytes(c);
    std::lock_guard lock(mutex);
    active.store(active.load(std::memory_order_relaxed) - capacity, std::memory_order_relaxed);
    if (c < small_classes) {
      block->owner = free[c];
      free[c] = block;
      return;
    }
    if (cached + capacity > cache_limit) {
      free_block(block, capacity);
      return;
    }
    block->owner = free[c];
    free[c] = block;
    cached += capacity;
  }
};

// Never destroyed: arrays may be released during process exit.
Cache& cache() {
  static Cache& instance = *[] {
    // A forked child must not find the lock taken by a thread that it does not have.
    pthread_atfork([] { cache().mutex.lock(); }, [] { cache().mutex.unlock(); }, [] { cache().mutex.unlock(); });
    return new Cache;
  }();
  return instance;
}

void release_block(Buffer* buffer) { cache().give(buffer); }

} // namespace

OutOfMemory::OutOfMemory(size_t wanted, size_t active) {
  std::snprintf(
      text_, sizeof text_, "[allocate] There is no memory for %zu bytes; arrays hold %zu bytes.", wanted, active);
}

namespace {
// Memory is the GPU's where there is one, and the host's elsewhere; a build may have had arrays before it knew.
bool on_gpu() { return gpu::built_in && gpu::is_available(); }
} // namespace

BufferRef allocate(size_t bytes) {
  if (bytes > (size_t{1} << 47)) {
    throw OutOfMemory(bytes, get_active_memory());
  }
  if (on_gpu()) {
    return gpu::allocate(bytes);
  }
#ifdef MLX_GUARD_PAGES
  return GuardedBuffer::make(bytes);
#else
  return BufferRef(cache().take(bytes));
#endif
}

namespace {
std::atomic<size_t> foreign{0};
}

BufferRef adopt(void* data, size_t bytes, void* owner, void (*release)(void* owner)) {
  struct Adopted : Buffer {
    void (*release_owner)(void*);
  };
  auto* buffer = new Adopted;
  buffer->data = data;
  buffer->size = bytes;
  buffer->pinned = true;
  buffer->owner = owner;
  buffer->release_owner = release;
  foreign.fetch_add(bytes, std::memory_order_relaxed);
  buffer->release = [](Buffer* b) {
    auto* adopted = static_cast<Adopted*>(b);
    foreign.fetch_sub(b->size, std::memory_order_relaxed);
    adopted->release_owner(adopted->owner);
    delete adopted;
  };
  return BufferRef(buffer);
}

bool memory_is_tight(size_t more) {
  if (on_gpu()) {
    return gpu::memory_is_tight(more);
  }
  const Cache& c = cache();
  return c.active.load(std::memory_order_relaxed) + more > c.memory_limit.load(std::memory_order_relaxed);
}

size_t get_active_memory() {
  size_t others = on_gpu() ? gpu::memory().active : 0;
  std::lock_guard lock(cache().mutex);
  return cache().active + others;
}
size_t get_peak_memory() {
  size_t others = on_gpu() ? gpu::memory().peak : 0;
  std::lock_guard lock(cache().mutex);
  return cache().peak + others;
}
void reset_peak_memory() {
  if (on_gpu()) {
    gpu::reset_peak_memory();
  }
  std::lock_guard lock(cache().mutex);
  cache().peak = cache().active;
}
size_t get_cache_memory() {
  size_t others = on_gpu() ? gpu::memory().cache : 0;
  std::lock_guard lock(cache().mutex);
  return cache().cached + others;
}
size_t get_foreign_memory() { return foreign.load(std::memory_order_relaxed); }
size_t get_memory_limit() {
  if (on_gpu()) {
    return gpu::memory().limit;
  }
  std::lock_guard lock(cache().mutex);
  return cache().memory_limit;
}
size_t set_memory_limit(size_t limit) {
  detail::bytes_to_look_at.store(0);
  if (on_gpu()) {
    return gpu::set_memory_limit(limit);
  }
  std::lock_guard lock(cache().mutex);
  return cache().memory_limit.exchange(limit);
}
size_t set_cache_limit(size_t limit) {
  if (on_gpu()) {
    return gpu::set_cache_limit(limit);
  }
  std::lock_guard lock(cache().mutex);
  if (cache().cached > limit) {
    cache().drop_all();
  }
  return std::exchange(cache().cache_limit, limit);
}
void clear_cache() {
  if (on_gpu()) {
    gpu::clear_cache();
  }
  std::lock_guard lock(cache().mutex);
  cache().drop_all();
}

} // namespace mlx::core
