// Many short runs of bytes, copied one after another.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// Rows of `bytes` bytes, `step` apart, to rows `pitch` apart; memory of its own, of any alignment.
void copy_rows(int64_t rows, int64_t bytes, const void* from, int64_t step, void* to, int64_t pitch);

// Rows that begin places[i] items of item_size bytes after `from`, to rows one after the other.
void copy_rows_at(int64_t rows, int64_t bytes, const void* from, const int64_t* places, int64_t item_size, void* to);

} // namespace mlx::core::cpu
