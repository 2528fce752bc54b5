// Copies of one- and two-dimensional blocks: what every strided copy comes down to.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// dst[r, c] = src[r, c] for r < rows, c < columns; all strides in bytes, any sign, any alignment; source strides may
// be 0. Quickest when dst_column is item_size. Item sizes 1, 2, 4, 8, 16.
void copy_block(const void* src, int64_t src_row, int64_t src_column, void* dst, int64_t dst_row, int64_t dst_column,
    int64_t rows, int64_t columns, int item_size, bool past_caches = false);

// The same for one row.
void copy_line(const void* src, int64_t src_stride, void* dst, int64_t dst_stride, int64_t n, int item_size);

} // namespace mlx::core::cpu
