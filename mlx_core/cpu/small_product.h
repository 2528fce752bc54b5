// One product of small matrices, done again and again: where everything is was found out before.
#pragma once

#include <cstdint>
#include <optional>

#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/product_kernels.h"

namespace mlx::core::cpu {

// With the bits of gemm(): an element is the sum of its terms in their order, whichever body adds them up.
struct SmallProduct {
  const ProductKernels* kernels;
  Dtype dtype;
  int64_t m, n, k;
  Matrix a, b; // without memory
  bool zero_terms; // leave_out_zero_terms() follows

  void run(const void* left, const void* right, void* out) const;
};

// None where that has other terms or other ways: see gemm(). a and b tell strides only; b's columns are consecutive.
std::optional<SmallProduct> small_product(
    Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, bool zero_terms);

} // namespace mlx::core::cpu
