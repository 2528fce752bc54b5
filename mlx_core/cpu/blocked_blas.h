// Products and triangular systems in parts of matrices, which are column-major with `leading` elements from column to
// column; for blocked.h.
#pragma once

#include <algorithm>

#include "mlx_core/cpu/lapack.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu::blocked {

using lapack::Int;

enum class Op { none, adjoint };
inline CBLAS_TRANSPOSE cblas(Op op) { return op == Op::none ? CblasNoTrans : CblasConjTrans; }

// A part of a matrix that starts at its first element.
template <typename T>
struct Part {
  T* data;
  Int leading;
  Part at(int64_t row, int64_t column) const { return {data + row + column * leading, leading}; }
  T* column(int64_t j) const { return data + j * leading; }
  operator Part<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, leading};
  }
};

// The function for T of BLAS' four, and a number as it takes it: of complex ones the address.
template <typename T, typename S, typename D, typename C, typename Z>
auto of_type(S single, D real, C complex, Z wide) {
  if constexpr (std::is_same_v<T, float>) {
    return single;
  } else if constexpr (std::is_same_v<T, double>) {
    return real;
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    return complex;
  } else {
    return wide;
  }
}
template <typename T>
auto scalar(const T& x) {
  if constexpr (lapack::is_complex<T>) {
    return static_cast<const void*>(&x);
  } else {
    return x;
  }
}

// c = beta c + alpha op(a) op(b), (m, k) times (k, n).
template <typename T>
void multiply(Op op_a, Op op_b, Int m, Int n, Int k, T alpha, Part<const T> a, Part<const T> b, T beta, Part<T> c) {
  if (m == 0 || n == 0) return;
  auto gemm = of_type<T>(MLX_CBLAS(sgemm), MLX_CBLAS(dgemm), MLX_CBLAS(cgemm), MLX_CBLAS(zgemm));
  gemm(CblasColMajor, cblas(op_a), cblas(op_b), m, n, k, scalar(alpha), a.data, a.leading, b.data, b.leading,
      scalar(beta), c.data, c.leading);
}

// b (m, n) becomes op(a)^-1 b for the triangle of a, or from the right b op(a)^-1.
template <typename T>
void divide(bool left, bool upper, Op op, bool unit, Int m, Int n, Part<const T> a, Part<T> b) {
  if (m == 0 || n == 0) return;
  const T one(1);
  auto trsm = of_type<T>(MLX_CBLAS(strsm), MLX_CBLAS(dtrsm), MLX_CBLAS(ctrsm), MLX_CBLAS(ztrsm));
  trsm(CblasColMajor, left ? CblasLeft : CblasRight, upper ? CblasUpper : CblasLower, cblas(op),
      unit ? CblasUnit : CblasNonUnit, m, n, scalar(one), a.data, a.leading, b.data, b.leading);
}

// Calls body(first, end) for strips of the columns [from, to), by several threads.
template <typename Body>
void in_strips(int64_t from, int64_t to, int64_t width, Body&& body) {
  if (to <= from) return;
  parallel_for((to - from + width - 1) / width, [&](int64_t s) {
    int64_t first = from + s * width;
    body(static_cast<Int>(first), static_cast<Int>(std::min(to, first + width)));
  });
}

#define MLX_FOR_MATRIX_TYPES(define) \
  define(float) define(double) define(std::complex<float>) define(std::complex<double>)

} // namespace mlx::core::cpu::blocked
