// Stores past the caches: of results so large that what is stored first has left them before it can be read. A usual
// store reads the line it writes to from memory first; these do not.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// Whether a result is stored that way: smaller ones are mostly read, or written again, while they are there. On other
// processors than these there are no such stores.
constexpr bool is_past_caches(int64_t bytes) {
#ifdef __x86_64__
  return bytes >= int64_t{16} << 20;
#else
  return bytes < 0;
#endif
}

// Lines that `from` and `to` have in part are copied as usual; memory of its own, of any alignment. Other threads see
// what was stored after flush_past_caches, of this one.
void store_past_caches(void* to, const void* from, int64_t bytes);
// Lines of 64 bytes, to where lines begin.
void store_lines_past_caches(void* to, const void* from, int64_t lines);
void flush_past_caches();

} // namespace mlx::core::cpu
