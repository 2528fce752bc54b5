// Buffers whose end touches a page that nobody may touch, and addresses for what is not bound.
#include "guarded.h"

#include <sys/mman.h>

#include <mutex>
#include <new>
#include <unordered_map>

namespace mlx::core::metal_emulator {

namespace {

constexpr size_t page = 4096;

struct Mappings {
  std::mutex mutex;
  std::unordered_map<void*, std::pair<void*, size_t>> of;
};

Mappings& mappings() {
  static auto* all = new Mappings; // outlives buffers that static objects free
  return *all;
}

} // namespace

void* allocate_guarded(size_t size, size_t alignment) noexcept {
  if (size > size_t(1) << 47) return nullptr;
  size_t rounded = (size + alignment - 1) & ~(alignment - 1);
  size_t inner = (rounded + page - 1) & ~(page - 1);
  size_t whole = inner + 2 * page;
  void* begin = mmap(nullptr, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (begin == MAP_FAILED) return nullptr;
  char* first = static_cast<char*>(begin) + page;
  if (inner && mprotect(first, inner, PROT_READ | PROT_WRITE) != 0) {
    munmap(begin, whole);
    return nullptr;
  }
  void* data = first + inner - rounded;
  try {
    std::lock_guard lock(mappings().mutex);
    mappings().of[data] = {begin, whole};
  } catch (const std::bad_alloc&) {
    munmap(begin, whole);
    return nullptr;
  }
  return data;
}

void free_guarded(void* data) noexcept {
  std::pair<void*, size_t> mapping;
  {
    std::lock_guard lock(mappings().mutex);
    auto found = mappings().of.find(data);
    if (found == mappings().of.end()) return;
    mapping = found->second;
    mappings().of.erase(found);
  }
  munmap(mapping.first, mapping.second);
}

mlx_msl::Address unbound_begin() {
  static mlx_msl::Address begin = [] {
    void* region =
        mmap(nullptr, unbound_bytes * unbound_slots, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) throw std::bad_alloc();
    return reinterpret_cast<mlx_msl::Address>(region);
  }();
  return begin;
}

} // namespace mlx::core::metal_emulator
