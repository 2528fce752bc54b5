// Transposes in registers, of tiles whose rows are whole lines of the cache on both sides.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// dst[r, c] = src[r, c], where the source is contiguous along r and the destination along c; strides in bytes. Of rows
// and columns a multiple of what a line has of elements; past_caches: to where lines begin.
using TransposeTiles = void (*)(
    const void* src, int64_t src_column, void* dst, int64_t dst_row, int64_t rows, int64_t columns, bool past_caches);
// Null where a vector is no line, or for elements of another size than 4 and 8 bytes.
TransposeTiles find_transpose_tiles(int item_size);

} // namespace mlx::core::cpu
