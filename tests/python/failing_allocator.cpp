// Preloaded into a process: lets the n-th allocation made by chosen libraries fail. tests/python/test_allocation_failure.py
// compiles it.
//
// Counted are calls of operator new, malloc, calloc, realloc, aligned_alloc and posix_memalign whose return address lies in
// a library whose path holds a word given to failing_watch().
#include <dlfcn.h>
#include <link.h>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

struct Range {
  uintptr_t begin, end;
};
Range watched[8];
std::atomic<int> watched_count{0};
std::atomic<long> countdown{-1}; // the number of allocations before the one that fails; negative: none fails
std::atomic<long> counted{0};

bool is_watched(const void* caller) {
  auto at = reinterpret_cast<uintptr_t>(caller);
  for (int i = 0; i < watched_count.load(std::memory_order_relaxed); ++i) {
    if (at >= watched[i].begin && at < watched[i].end) {
      return true;
    }
  }
  return false;
}

bool fails(const void* caller) {
  if (!is_watched(caller)) {
    return false;
  }
  counted.fetch_add(1, std::memory_order_relaxed);
  return countdown.load(std::memory_order_relaxed) >= 0 && countdown.fetch_sub(1) == 0;
}

template <typename F>
F next(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
// Those of the address sanitizer, where it is loaded.
[[gnu::weak]] void* __interceptor_malloc(size_t);
[[gnu::weak]] void* __interceptor_calloc(size_t, size_t);
[[gnu::weak]] void* __interceptor_realloc(void*, size_t);
[[gnu::weak]] void* __interceptor_memalign(size_t, size_t);

// Watches the executable segments of loaded libraries whose path contains `word`; the number of segments.
int failing_watch(const char* word) {
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* word) {
        if (std::strstr(info->dlpi_name, static_cast<const char*>(word))) {
          for (int i = 0; i < info->dlpi_phnum; ++i) {
            const ElfW(Phdr)& segment = info->dlpi_phdr[i];
            if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) && watched_count < 8) {
              uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
              watched[watched_count] = {begin, begin + segment.p_memsz};
              ++watched_count;
            }
          }
        }
        return 0;
      },
      const_cast<char*>(word));
  return watched_count;
}
// The allocation after `n` more fails.
void failing_after(long n) { countdown.store(n); }
// Whether the failure has happened; none happens after this.
int failing_stop() { return countdown.exchange(-1) < 0; }
long failing_count() { return counted.exchange(0); }

static void* allocate_malloc(size_t n) { return __interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n); }
static void* allocate_calloc(size_t n, size_t size) {
  return __interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}
static void* allocate_realloc(void* p, size_t n) {
  return __interceptor_realloc ? __interceptor_realloc(p, n) : __libc_realloc(p, n);
}
static void* allocate_memalign(size_t alignment, size_t n) {
  return __interceptor_memalign ? __interceptor_memalign(alignment, n) : __libc_memalign(alignment, n);
}

void* malloc(size_t n) { return fails(__builtin_return_address(0)) ? nullptr : allocate_malloc(n); }
void* calloc(size_t n, size_t m) { return fails(__builtin_return_address(0)) ? nullptr : allocate_calloc(n, m); }
void* realloc(void* p, size_t n) { return fails(__builtin_return_address(0)) ? nullptr : allocate_realloc(p, n); }
void* aligned_alloc(size_t a, size_t n) {
  return fails(__builtin_return_address(0)) ? nullptr : allocate_memalign(a, n);
}
int posix_memalign(void** out, size_t a, size_t n) {
  *out = fails(__builtin_return_address(0)) ? nullptr : allocate_memalign(a, n);
  return *out ? 0 : 12;
}

} // extern "C"

void* operator new(size_t n) {
  void* p = fails(__builtin_return_address(0)) ? nullptr : allocate_malloc(n);
  if (!p) {
    throw std::bad_alloc();
  }
  return p;
}
void* operator new[](size_t n) {
  void* p = fails(__builtin_return_address(0)) ? nullptr : allocate_malloc(n);
  if (!p) {
    throw std::bad_alloc();
  }
  return p;
}
void* operator new(size_t n, std::align_val_t a) {
  void* p = fails(__builtin_return_address(0)) ? nullptr : allocate_memalign(static_cast<size_t>(a), n);
  if (!p) {
    throw std::bad_alloc();
  }
  return p;
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
