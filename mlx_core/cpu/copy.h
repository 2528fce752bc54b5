// Moving elements between layouts. A layout is shape, strides (in elements, any sign, 0 for broadcast) and a
// pointer to the element at index 0; element sizes are 1, 2, 4, 8 or 16 bytes.
#pragma once

#include <cstdint>
#include <span>

namespace mlx::core::cpu {

using Ints = std::span<const int64_t>;

// Drops axes of length 1 and merges neighbours wherever every operand allows it. Rewrites shape and each strides
// array in place (all have the length of shape) and returns the new number of axes.
int collapse_axes(int ndim, int64_t* shape, std::span<int64_t*> strides);

// Reads the elements with row-major flat indices [first, first + n) of a strided layout into consecutive dst.
// shape and strides need not be collapsed, but are quicker so. Serial.
void read_strided(const void* src, Ints shape, Ints strides, int item_size, int64_t first, int64_t n, void* dst);

// dst[index] = src[index] for every index of shape. Parallel when large; transposes go through cache blocks.
// dst must not overlap src, and dst_strides must not alias (no 0 strides on axes longer than 1).
void copy_strided(const void* src, Ints src_strides, void* dst, Ints dst_strides, Ints shape, int item_size);

// Fills n consecutive elements with the one at value. Parallel when large.
void fill(void* dst, const void* value, int64_t n, int item_size);

} // namespace mlx::core::cpu
