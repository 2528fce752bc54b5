// Products of a long matrix, of lines of a few numbers, and one that has a few columns: points by a rotation, samples
// by weights, few rows by a long matrix.
#pragma once

#include "mlx_core/cpu/gemm.h"

namespace mlx::core::cpu {

// As gemm(), with the same bits, where that is quicker so; false where nothing was done.
bool multiply_thin(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, const Matrix& a, int64_t a_batch_stride,
    const Matrix& b, int64_t b_batch_stride, void* out, Dtype results);

// The long matrix has `lines` of `terms`, row by row or column by column. The other has a column for each result of a
// line.
struct ThinProduct {
  static constexpr int64_t least_lines = 64; // as many as are multiplied side by side, at least
  static constexpr int64_t most_columns = 32;
  static constexpr int64_t interleaved = 4; // terms that are loaded, and columns stored, by instructions of their own

  int64_t lines, terms, columns;
  Matrix numbers, factors; // (lines, terms), one of whose strides is 1; (terms, columns)
  void* out;
  int64_t out_apart; // of a column's results, which go along lines, from the next one's; 1: a line's lie side by side

  bool along_lines() const { return numbers.column_stride == 1; }
};
using MultiplyThin = void (*)(const ThinProduct&);

} // namespace mlx::core::cpu
