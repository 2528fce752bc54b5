// Two, three or four lines made into one that takes an element of each in turn, by vectors.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// to[count i + k] = element i of line k, for as many of the first i < n as vectors reach
// that read nothing beyond; returns how many. 2, 3 or 4 lines of elements of 1, 2, 4 or 8 bytes; of others none.
int64_t interleave(int64_t count, void* to, const void* const* lines, int64_t n, int item_size);

} // namespace mlx::core::cpu
