// One element, again and again.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// Writes the element `value` n times, n >= 0. Serial; fill() in copy.h uses all threads.
using Spread = void (*)(void* to, const void* value, int64_t n);
// For elements of 1, 2, 4, 8 or 16 bytes.
Spread find_spread(int item_size);

} // namespace mlx::core::cpu
