// Reductions whose bits depend on shape alone: not on threads, fusion, or instruction set.
//
// A row is cut into blocks of `reduce_block` elements. A block is reduced on a fixed number of virtual lanes in a
// fixed tree to one partial; partials combine in a fixed binary tree. Fused kernels call the same block functions.
#pragma once

#include <cstdint>

#include "mlx_core/backend/body.h"
#include "mlx_core/cpu/copy.h"

namespace mlx::core::cpu {

inline constexpr int64_t reduce_block = 1024;

struct RowReducer {
  int partial_size; // bytes of one partial
  // Reduces 1 <= n <= reduce_block consecutive elements to one partial.
  void (*block)(const void* in, int64_t n, void* partial);
  // out[r] = the reduction of the n elements, as many as a block has at most, at in + r * row_bytes.
  void (*rows)(const void* in, int64_t n, int64_t row_bytes, int64_t rows, void* out);
  // Combines `count` partials (count >= 1) in the fixed tree and writes the output element. Clobbers partials.
  void (*finish)(void* partials, int64_t count, void* out);
  // Writes the identity (0, 1, -inf or lowest, ...) as an output element, for empty rows.
  void (*identity)(void* out);
};
// input dtype == output dtype, except all/any: any dtype -> bool. Sums promote small integers before this.
RowReducer find_row_reducer(Reduction op, Dtype dtype);

// Rows that reduce() takes many at a time, transposed: vectors then run across rows.
inline constexpr int64_t short_row = 16, short_row_of_halves = 32; // of elements, and of those widened first
inline bool is_short_rows(int64_t length, int64_t rows, bool widened) {
  return length <= (widened ? short_row_of_halves : short_row) && rows >= 16;
}

// Reduces `axes` (sorted, unique, non-negative) of a strided input into consecutive out (row-major over the kept
// axes). Parallel when large. min and max propagate NaN. Equal to the row reducer's bits when the reduced axes are
// trailing and the layout is contiguous; other layouts have their own fixed order, also a function of shape only.
void reduce(Reduction op, Dtype dtype, const void* in, Ints shape, Ints strides, Ints axes, void* out);

// out (uint32, row-major over the kept axes): index of the first minimum or maximum along axis; NaN counts as the
// extreme, the first NaN wins.
void arg_reduce(bool max, Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out);

} // namespace mlx::core::cpu
