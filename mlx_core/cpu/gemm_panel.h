// One matrix product on the calling thread: the panel that gemm() cuts its work into.
#pragma once

#include "mlx_core/cpu/gemm.h"

namespace mlx::core::cpu {

// out = alpha * a @ b + beta * out, out row-major with rows out_stride apart. float32, float64, complex64, complex128.
void gemm_panel(Dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, void* out,
    int64_t out_stride);

inline Matrix offset(Matrix matrix, int64_t elements, Dtype dtype) {
  return {static_cast<const char*>(matrix.data) + elements * dtype.size(), matrix.row_stride, matrix.column_stride};
}

} // namespace mlx::core::cpu
