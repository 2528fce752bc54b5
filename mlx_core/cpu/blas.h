// The BLAS and LAPACK that this build uses, under one set of names.
//
// MLX_CBLAS(sgemm) and MLX_LAPACK(sgesdd) are the functions' symbols; blas_int is the integer they take. The build
// defines MLX_BLAS_SCIPY_OPENBLAS (the scipy-openblas64 package: prefixed symbols, 64-bit integers) or
// MLX_BLAS_GENERIC_CBLAS (any other; MLX_BLAS_INT names its integer where that is not int).
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>

#include <cblas.h>

#if defined(MLX_BLAS_SCIPY_OPENBLAS)
#define MLX_CBLAS(name) scipy_cblas_##name##64_
#define MLX_LAPACK(name) scipy_##name##_64_
#elif defined(MLX_BLAS_GENERIC_CBLAS)
#define MLX_CBLAS(name) cblas_##name
#define MLX_LAPACK(name) name##_
#else
#error "Define MLX_BLAS_SCIPY_OPENBLAS or MLX_BLAS_GENERIC_CBLAS."
#endif

namespace mlx::core::cpu {

#if defined(MLX_BLAS_SCIPY_OPENBLAS)
using blas_int = blasint;
#elif defined(MLX_BLAS_INT)
using blas_int = MLX_BLAS_INT;
#else
using blas_int = int;
#endif

inline blas_int to_blas_int(int64_t value) {
  if (value > static_cast<int64_t>(std::numeric_limits<blas_int>::max())) {
    throw std::overflow_error("[blas] a dimension or stride exceeds the integer type of this build's BLAS.");
  }
  return static_cast<blas_int>(value);
}

// BLAS runs on the calling thread; parallelism is our pool's.
inline void use_one_blas_thread() {
#if defined(MLX_BLAS_SCIPY_OPENBLAS)
  static const bool done = (scipy_openblas_set_num_threads64_(1), true);
  (void)done;
#elif defined(OPENBLAS_VERSION)
  static const bool done = (openblas_set_num_threads(1), true);
  (void)done;
#endif
}

} // namespace mlx::core::cpu
