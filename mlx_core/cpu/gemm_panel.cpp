// One panel of a matrix product: small ones by plain loops, vectors by gemv, the others by gemm.
#include "mlx_core/cpu/gemm_panel.h"

#include <algorithm>
#include <complex>
#include <memory>
#include <type_traits>

#include "mlx_core/cpu/blas.h"
#include "mlx_core/cpu/copy.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t small_product = 64; // multiplications for which BLAS costs more to call than to compute

template <typename T>
struct Real {
  using type = T;
};
template <typename R>
struct Real<std::complex<R>> {
  using type = R;
};

// A matrix as BLAS takes it, row-major: NoTrans where its rows are consecutive, Trans where its columns are.
template <typename T>
struct Operand {
  const T* data;
  CBLAS_TRANSPOSE order;
  int64_t leading;
  std::unique_ptr<T[]> copy; // where neither was the case

  Operand(Matrix matrix, int64_t rows, int64_t columns) : data(static_cast<const T*>(matrix.data)) {
    int64_t rs = matrix.row_stride, cs = matrix.column_stride;
    if ((cs == 1 || columns == 1) && (rs >= columns || rows == 1)) {
      order = CblasNoTrans, leading = std::max<int64_t>({1, columns, rows == 1 ? 1 : rs});
    } else if ((rs == 1 || rows == 1) && (cs >= rows || columns == 1)) {
      order = CblasTrans, leading = std::max<int64_t>({1, rows, columns == 1 ? 1 : cs});
    } else {
      copy.reset(new T[static_cast<size_t>(rows * columns)]);
      int64_t shape[] = {rows, columns}, from[] = {rs, cs}, to[] = {columns, 1};
      copy_strided(matrix.data, from, copy.get(), to, shape, sizeof(T));
      data = copy.get(), order = CblasNoTrans, leading = std::max<int64_t>(1, columns);
    }
  }
};

template <typename T>
void blas_gemm(const Operand<T>& a, const Operand<T>& b, int64_t m, int64_t n, int64_t k, T alpha, T beta, T* out,
    int64_t stride) {
  auto call = [&](auto gemm, auto alpha_argument, auto beta_argument) {
    gemm(CblasRowMajor, a.order, b.order, to_blas_int(m), to_blas_int(n), to_blas_int(k), alpha_argument, a.data,
        to_blas_int(a.leading), b.data, to_blas_int(b.leading), beta_argument, out, to_blas_int(stride));
  };
  if constexpr (std::is_same_v<T, float>)
    call(MLX_CBLAS(sgemm), alpha, beta);
  else if constexpr (std::is_same_v<T, double>)
    call(MLX_CBLAS(dgemm), alpha, beta);
  else if constexpr (std::is_same_v<T, complex64_t>)
    call(MLX_CBLAS(cgemm), &alpha, &beta);
  else
    call(MLX_CBLAS(zgemm), &alpha, &beta);
}

// out (consecutive) = alpha * matrix @ x + beta * out, or with the matrix transposed.
template <typename T>
void blas_gemv(const Operand<T>& matrix, int64_t rows, int64_t columns, bool transpose, T alpha, const T* x,
    int64_t x_stride, T beta, T* out) {
  // Operand's order says how it lies in memory; gemv is told that shape, and what to do with it.
  bool flipped = matrix.order == CblasTrans;
  auto order = flipped != transpose ? CblasTrans : CblasNoTrans;
  auto call = [&](auto gemv, auto alpha_argument, auto beta_argument) {
    gemv(CblasRowMajor, order, to_blas_int(flipped ? columns : rows), to_blas_int(flipped ? rows : columns),
        alpha_argument, matrix.data, to_blas_int(matrix.leading), x, to_blas_int(x_stride), beta_argument, out, 1);
  };
  if constexpr (std::is_same_v<T, float>)
    call(MLX_CBLAS(sgemv), alpha, beta);
  else if constexpr (std::is_same_v<T, double>)
    call(MLX_CBLAS(dgemv), alpha, beta);
  else if constexpr (std::is_same_v<T, complex64_t>)
    call(MLX_CBLAS(cgemv), &alpha, &beta);
  else
    call(MLX_CBLAS(zgemv), &alpha, &beta);
}

template <typename T>
inline T multiply(T a, T b) {
  if constexpr (std::is_arithmetic_v<T>)
    return a * b;
  else
    return T(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
}

template <typename T>
void small_gemm(int64_t m, int64_t n, int64_t k, T alpha, Matrix a, Matrix b, T beta, T* out, int64_t stride) {
  T row[small_product];
  for (int64_t i = 0; i < m; ++i) {
    auto* left = static_cast<const T*>(a.data) + i * a.row_stride;
    std::fill_n(row, n, T(0));
    for (int64_t p = 0; p < k; ++p) {
      T x = left[p * a.column_stride];
      auto* right = static_cast<const T*>(b.data) + p * b.row_stride;
      if (b.column_stride == 1) {
        for (int64_t j = 0; j < n; ++j) row[j] += multiply(x, right[j]);
      } else {
        for (int64_t j = 0; j < n; ++j) row[j] += multiply(x, right[j * b.column_stride]);
      }
    }
    T* to = out + i * stride;
    if (beta == T(0)) {
      for (int64_t j = 0; j < n; ++j) to[j] = multiply(alpha, row[j]);
    } else {
      for (int64_t j = 0; j < n; ++j) to[j] = multiply(alpha, row[j]) + multiply(beta, to[j]);
    }
  }
}

template <typename T>
void panel(
    int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, void* out_data, int64_t stride) {
  auto* out = static_cast<T*>(out_data);
  using R = typename Real<T>::type;
  T scale(static_cast<R>(alpha)), keep(static_cast<R>(beta));
  if (m * n * k <= small_product && m * n <= small_product) return small_gemm(m, n, k, scale, a, b, keep, out, stride);
  use_one_blas_thread();
  bool column = n == 1 && stride == 1 && b.row_stride > 0, row = m == 1 && a.column_stride > 0;
  if (column || row) {
    if (beta == 0) std::fill_n(out, m * n, T(0)); // gemv may scale what it finds, NaNs included
    if (column) {
      blas_gemv(Operand<T>(a, m, k), m, k, false, scale, static_cast<const T*>(b.data), b.row_stride, keep, out);
    } else {
      blas_gemv(Operand<T>(b, k, n), k, n, true, scale, static_cast<const T*>(a.data), a.column_stride, keep, out);
    }
    return;
  }
  blas_gemm(Operand<T>(a, m, k), Operand<T>(b, k, n), m, n, k, scale, keep, out, stride);
}

} // namespace

void gemm_panel(Dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, Matrix a, Matrix b, double beta, void* out,
    int64_t out_stride) {
  switch (dtype.val) {
    case Dtype::Val::float64: return panel<double>(m, n, k, alpha, a, b, beta, out, out_stride);
    case Dtype::Val::complex64: return panel<complex64_t>(m, n, k, alpha, a, b, beta, out, out_stride);
    case Dtype::Val::complex128: return panel<complex128_t>(m, n, k, alpha, a, b, beta, out, out_stride);
    default: return panel<float>(m, n, k, alpha, a, b, beta, out, out_stride);
  }
}

} // namespace mlx::core::cpu
