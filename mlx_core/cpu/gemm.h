// Matrix products through BLAS: panels cut by shape, one BLAS call on one thread per panel, run on our pool, so
// that the bits do not depend on the number of threads.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

struct Matrix {
  const void* data;
  int64_t row_stride, column_stride; // in elements; one of the two is 1 (the caller copies otherwise)
};

// out[b] = alpha * a[b] @ b[b] + beta * out[b] for each of `batch` products; a is (m, k), b is (k, n), out is row-major
// (m, n) with rows n apart. batch_strides in elements. float32, float64, complex64, complex128 through BLAS; float16
// and bfloat16 accumulate in float32 and round once. beta is 0 or the given real; when beta is 0 out is not read.
// k == 0 gives beta * out.
void gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, double alpha, Matrix a, int64_t a_batch_stride,
    Matrix b, int64_t b_batch_stride, double beta, void* out, int64_t out_batch_stride);

} // namespace mlx::core::cpu
