// Every other element of a line, or each third or fourth, read or written, or all from the last to the first, by
// vectors.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// to[i] = from[step i] for as many of the first i < n as vectors reach that read nothing beyond from[step (n - 1)];
// returns how many. With steps of 2 and -1 elements of up to 8 bytes, with 3 and 4 of 4; of others none.
int64_t copy_every(int64_t step, void* to, const void* from, int64_t n, int item_size);

// to[step i] = from[i], and nothing between, for as many of the first i < n as whole vectors have; returns how many.
// With steps of 2, 3 and 4 of elements of 4 and 8 bytes, where vectors store some of their elements only.
int64_t store_every(int64_t step, void* to, const void* from, int64_t n, int item_size);

} // namespace mlx::core::cpu
