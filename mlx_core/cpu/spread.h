// One element, again and again.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// Writes the element `value` n times, n >= 0. Serial; fill() in copy.h uses all threads.
using Spread = void (*)(void* to, const void* value, int64_t n);
// For elements of 1, 2, 4, 8 or 16 bytes.
Spread find_spread(int item_size);

// Writes each of `count` elements n times.
using SpreadEach = void (*)(void* to, const void* values, int64_t count, int64_t n);
SpreadEach find_spread_each(int item_size);

} // namespace mlx::core::cpu
