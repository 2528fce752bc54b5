// One product of small matrices.
#include "mlx_core/cpu/small_product.h"

#include <algorithm>

#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/nan_search.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/zero_terms.h"

namespace mlx::core::cpu {

void SmallProduct::run(const void* left, const void* right, void* out) const {
  const Matrix from_a{left, a.row_stride, a.column_stride}, from_b{right, b.row_stride, b.column_stride};
  if (tiny.way) {
    if (!tiny.way(tiny, left, right, out)) {
      gemm(dtype, 1, m, n, k, from_a, 0, from_b, 0, out);
    }
  } else {
    std::optional<FlushSubnormals> mode;
    if (dtype.is_inexact()) {
      mode.emplace();
    }
    kernels->tiles(m, n, k, left, a.row_stride, a.column_stride, right, b.row_stride, kernels->width, false, nullptr,
        out, n, 1, false);
  }
  if (zero_terms && any_nan(dtype, m * n, out)) {
    leave_out_zero_terms(dtype, 1, m, n, k, from_a, 0, from_b, 0, out, m * n);
  }
}

std::optional<SmallProduct> small_product(
    Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool zero_terms, bool whole) {
  constexpr int64_t most_work = 4096, most_terms = 256, short_vector = 16; // as in gemm.cpp
  if (multiplied_dtype(dtype) != dtype || std::min({m, n, k}) == 0 || m * n * k > most_work || k > most_terms) {
    return {};
  }
  const ProductKernels& kernels = product_kernels(dtype);
  SmallProduct small{&kernels, dtype, m, n, k, a, b, zero_terms, {}};
  if (whole) {
    small.tiny = tiny_product(dtype, m, n, k, a, b);
    if (small.tiny.way) {
      return small;
    }
  }
  bool vector = dtype.is_inexact() && (m == 1 || n == 1) && k > short_vector;
  bool in_place = (b.column_stride == 1 || n == 1) && (n % kernels.width == 0 || kernels.reads_tail);
  if (vector || !in_place) {
    return {};
  }
  return small;
}

} // namespace mlx::core::cpu
