// Symmetric matrices by their eigenvectors (LAPACK's divide and conquer).
#include "mlx_core/cpu/symmetric.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "mlx_core/cpu/blas.h"
#include "mlx_core/cpu/thread_pool.h"

extern "C" void MLX_LAPACK(dsyevd)(const char* job, const char* triangle, const mlx::core::cpu::blas_int* n, double* a,
    const mlx::core::cpu::blas_int* leading, double* values, double* work, const mlx::core::cpu::blas_int* work_size,
    mlx::core::cpu::blas_int* int_work, const mlx::core::cpu::blas_int* int_work_size, mlx::core::cpu::blas_int* info);

namespace mlx::core::cpu {

namespace {

using Matrix64 = std::vector<double>;

template <typename T>
bool read(const T* from, Matrix64& to) {
  bool finite = true;
  for (size_t i = 0; i < to.size(); ++i) {
    to[i] = static_cast<double>(from[i]);
    finite = finite && std::isfinite(to[i]);
  }
  return finite;
}

// Eigenvalues ascending, eigenvectors in the rows of `vectors`, which holds the matrix on entry.
void decompose(int64_t n, Matrix64& vectors, std::vector<double>& values) {
  blas_int side = to_blas_int(n), size = -1, int_size = -1, info = 0, least_int = 0;
  double least = 0;
  MLX_LAPACK(dsyevd)(
      "V", "U", &side, vectors.data(), &side, values.data(), &least, &size, &least_int, &int_size, &info);
  size = static_cast<blas_int>(least);
  int_size = least_int;
  std::vector<double> work(static_cast<size_t>(size));
  std::vector<blas_int> int_work(static_cast<size_t>(int_size));
  MLX_LAPACK(dsyevd)(
      "V", "U", &side, vectors.data(), &side, values.data(), work.data(), &size, int_work.data(), &int_size, &info);
  if (info != 0) {
    throw std::runtime_error("[symmetric_root] The eigenvalues of a matrix did not converge.");
  }
}

// out = op(a) op(b)
void multiply(int64_t n, const Matrix64& a, bool flip_a, const Matrix64& b, bool flip_b, Matrix64& out) {
  blas_int side = to_blas_int(n);
  MLX_CBLAS(dgemm)(CblasRowMajor, flip_a ? CblasTrans : CblasNoTrans, flip_b ? CblasTrans : CblasNoTrans, side, side,
      side, 1.0, a.data(), side, b.data(), side, 0.0, out.data(), side);
}

template <typename T>
void root(int64_t n, const T* a, T* out) {
  auto size = static_cast<size_t>(n * n);
  Matrix64 vectors(size), product(size);
  if (!read(a, vectors)) {
    std::fill_n(out, size, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  std::vector<double> values(static_cast<size_t>(n));
  decompose(n, vectors, values);
  double largest = std::max(std::abs(values.front()), std::abs(values.back()));
  double noise = static_cast<double>(n) * std::numeric_limits<double>::epsilon() * largest;
  for (int64_t i = 0; i < n; ++i) {
    double value = values[static_cast<size_t>(i)], fourth = value > noise ? std::sqrt(std::sqrt(value)) : 0;
    for (int64_t j = 0; j < n; ++j) {
      vectors[static_cast<size_t>(i * n + j)] *= fourth;
    }
  }
  multiply(n, vectors, true, vectors, false, product);
  std::transform(product.begin(), product.end(), out, [](double v) { return static_cast<T>(v); });
}

template <typename T>
void sylvester(int64_t n, const T* s, const T* b, T* out) {
  auto size = static_cast<size_t>(n * n);
  Matrix64 vectors(size), x(size), product(size);
  if (!read(s, vectors)) {
    std::fill_n(out, size, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  read(b, x);
  std::vector<double> values(static_cast<size_t>(n));
  decompose(n, vectors, values);
  multiply(n, vectors, false, x, false, product);
  multiply(n, product, false, vectors, true, x);
  // s was rounded to its dtype: what is left of a zero eigenvalue.
  double noise = 4 * static_cast<double>(n) * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                 std::max(std::abs(values.front()), std::abs(values.back()));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = values[static_cast<size_t>(i)] + values[static_cast<size_t>(j)];
      double& element = x[static_cast<size_t>(i * n + j)];
      element = sum > noise ? element / sum : 0;
    }
  }
  multiply(n, vectors, true, x, false, product);
  multiply(n, product, false, vectors, false, x);
  std::transform(x.begin(), x.end(), out, [](double v) { return static_cast<T>(v); });
}

} // namespace

void symmetric_root(Dtype dtype, int64_t count, int64_t n, const void* a, void* out) {
  use_one_blas_thread();
  parallel_for(count, [&](int64_t i) {
    if (dtype == float64) {
      root(n, static_cast<const double*>(a) + i * n * n, static_cast<double*>(out) + i * n * n);
    } else {
      root(n, static_cast<const float*>(a) + i * n * n, static_cast<float*>(out) + i * n * n);
    }
  });
}

void symmetric_sylvester(Dtype dtype, int64_t count, int64_t n, const void* s, const void* b, void* x) {
  use_one_blas_thread();
  parallel_for(count, [&](int64_t i) {
    int64_t at = i * n * n;
    if (dtype == float64) {
      sylvester(
          n, static_cast<const double*>(s) + at, static_cast<const double*>(b) + at, static_cast<double*>(x) + at);
    } else {
      sylvester(n, static_cast<const float*>(s) + at, static_cast<const float*>(b) + at, static_cast<float*>(x) + at);
    }
  });
}

} // namespace mlx::core::cpu
