// Products of small matrices.
#include "mlx_core/cpu/small_product.h"

#include <algorithm>

#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/nan_search.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/zero_terms.h"

namespace mlx::core::cpu {

void SmallProduct::run(const void* left, const void* right, void* out) const {
  const int64_t results = m * n, bytes = results * dtype.size();
  auto each = [&](auto body) {
    for (int64_t i = 0; i < batch; ++i) {
      body(Matrix{static_cast<const char*>(left) + i * a_batch, a.row_stride, a.column_stride},
          Matrix{static_cast<const char*>(right) + i * b_batch, b.row_stride, b.column_stride},
          static_cast<char*>(out) + i * bytes);
    }
  };
  if (tiny.way) { // each is written on into the next one's place
    each([&](Matrix x, Matrix y, char* to) {
      if (!tiny.way(tiny, x.data, y.data, to)) {
        gemm(dtype, 1, m, n, k, x, 0, y, 0, to);
      }
    });
  } else {
    std::optional<FlushSubnormals> mode;
    if (dtype.is_inexact()) {
      mode.emplace();
    }
    each([&](Matrix x, Matrix y, char* to) {
      kernels->tiles(m, n, k, x.data, x.row_stride, x.column_stride, y.data, y.row_stride, kernels->width, false,
          nullptr, to, n, 1, false);
    });
  }
  if (zero_terms && any_nan(dtype, batch * results, out)) {
    each([&](Matrix x, Matrix y, char* to) { leave_out_zero_terms(dtype, 1, m, n, k, x, 0, y, 0, to); });
  }
}

std::optional<SmallProduct> small_product(
    Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool zero_terms, bool whole) {
  if (std::min({m, n, k}) == 0 || !is_small_product(dtype, m, n, k)) {
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
  if (is_vector_product(dtype, m, n, k) || !reads_where_it_lies(kernels, b, n)) {
    return {};
  }
  return small;
}

} // namespace mlx::core::cpu
