// One product of small matrices.
#include "mlx_core/cpu/small_product.h"

#include <algorithm>

#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/nan_search.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/zero_terms.h"

namespace mlx::core::cpu {

void SmallProduct::run(const void* left, const void* right, void* out) const {
  auto multiply = [&] {
    kernels->tiles(m, n, k, left, a.row_stride, a.column_stride, right, b.row_stride, kernels->width, false, nullptr,
        out, n, 1, false);
  };
  if (!dtype.is_inexact()) {
    return multiply();
  }
  {
    FlushSubnormals mode;
    multiply();
  }
  if (zero_terms && any_nan(dtype, m * n, out)) {
    leave_out_zero_terms(dtype, 1, m, n, k, {left, a.row_stride, a.column_stride}, 0,
        {right, b.row_stride, b.column_stride}, 0, out, m * n);
  }
}

std::optional<SmallProduct> small_product(
    Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool zero_terms) {
  constexpr int64_t most_work = 4096, most_terms = 256, short_vector = 16; // as in gemm.cpp
  if (multiplied_dtype(dtype) != dtype || std::min({m, n, k}) == 0 || m * n * k > most_work || k > most_terms) {
    return {};
  }
  const ProductKernels& kernels = product_kernels(dtype);
  bool vector = dtype.is_inexact() && (m == 1 || n == 1) && k > short_vector;
  bool in_place = (b.column_stride == 1 || n == 1) && (n % kernels.width == 0 || kernels.reads_tail);
  if (vector || !in_place) {
    return {};
  }
  return SmallProduct{&kernels, dtype, m, n, k, a, b, zero_terms};
}

} // namespace mlx::core::cpu
