// Matrix products whose bits are a function of the operands' shapes and values: not of where or how they lie in memory,
// nor of the number of threads.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

struct Matrix {
  const void* data;
  int64_t row_stride, column_stride; // in elements, of any sign
};

// out[i] = a[i] @ b[i] for each of `batch` products; a is (m, k), b is (k, n), out is row-major (m, n), one after
// another. Batch strides in elements. float16 and bfloat16 are widened to float32 and rounded once, or not at all if
// the results are to be float32, as of no other dtypes; integers wrap; of bools, an element is whether any pair is
// true. float32 and float64 subnormals count as zeros, in the operands, in products and in sums. k == 0 gives zeros.
void gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out, Dtype results);
inline void gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride,
    Matrix b, int64_t b_batch_stride, void* out) {
  gemm(dtype, batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out, dtype);
}

inline Matrix offset(Matrix matrix, int64_t elements, Dtype dtype) {
  return {static_cast<const char*>(matrix.data) + elements * dtype.size(), matrix.row_stride, matrix.column_stride};
}

} // namespace mlx::core::cpu
