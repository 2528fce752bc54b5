// Every other element of a line, by vectors.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// to[i] = from[2 i] for as many of the first i < n as vectors reach that read nothing beyond from[2 (n - 1)]; returns
// how many. Elements of 2, 4 or 8 bytes; of others none.
int64_t copy_every_other(void* to, const void* from, int64_t n, int item_size);

} // namespace mlx::core::cpu
