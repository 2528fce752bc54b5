// Memory that is brought into the caches before it is needed, where processors by themselves do so too late.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

inline constexpr int64_t cache_line = 64; // bytes

// What lies `ahead` of `from`, which may be no memory.
inline __attribute__((always_inline)) void fetch_lines(const void* from, int64_t ahead, int64_t bytes) {
#pragma GCC unroll 16
  for (int64_t i = 0; i < bytes; i += cache_line) {
    __builtin_prefetch(static_cast<const char*>(from) + ahead + i);
  }
}

} // namespace mlx::core::cpu
