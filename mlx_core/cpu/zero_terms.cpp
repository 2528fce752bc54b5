// The NaN of a matrix product, found and computed again without the terms that have a factor 0.
#include "mlx_core/cpu/zero_terms.h"

#include <algorithm>
#include <complex>
#include <cstring>
#include <vector>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t task_elements = 1 << 15;

// The real numbers that an element consists of, as bits: those of the exponent are all set in what is not finite, and
// NaN is above infinity.
template <typename T>
struct Real;
template <>
struct Real<float16_t> {
  using Bits = uint16_t;
  static constexpr Bits infinity = 0x7c00, magnitude = 0x7fff;
};
template <>
struct Real<bfloat16_t> {
  using Bits = uint16_t;
  static constexpr Bits infinity = 0x7f80, magnitude = 0x7fff;
};
template <>
struct Real<float> {
  using Bits = uint32_t;
  static constexpr Bits infinity = 0x7f800000, magnitude = 0x7fffffff;
};
template <>
struct Real<double> {
  using Bits = uint64_t;
  static constexpr Bits infinity = 0x7ff0000000000000, magnitude = 0x7fffffffffffffff;
};
template <>
struct Real<complex64_t> : Real<float> {};
template <>
struct Real<complex128_t> : Real<double> {};

// Whether one of `count` adjacent elements has a magnitude of `least` bits or more. Eight chains, so that the compiler
// makes vectors of them.
template <typename T>
bool any_from(const T* data, int64_t count, typename Real<T>::Bits least) {
  using Bits = typename Real<T>::Bits;
  const char* at = reinterpret_cast<const char*>(data);
  int64_t numbers = count * static_cast<int64_t>(sizeof(T) / sizeof(Bits)), i = 0;
  Bits largest[8] = {};
  for (; i + 8 <= numbers; i += 8, at += 8 * sizeof(Bits)) {
    Bits bits[8];
    std::memcpy(bits, at, sizeof bits);
    for (int l = 0; l < 8; ++l) {
      Bits magnitude = bits[l] & Real<T>::magnitude;
      largest[l] = std::max(largest[l], magnitude);
    }
  }
  for (; i < numbers; ++i, at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, at, sizeof bits);
    largest[0] = std::max<Bits>(largest[0], bits & Real<T>::magnitude);
  }
  return *std::max_element(largest, largest + 8) >= least;
}

template <typename T>
bool has_nan(const T* data, int64_t count) {
  return any_from(data, count, static_cast<typename Real<T>::Bits>(Real<T>::infinity + 1));
}

template <typename T>
bool all_finite(const Matrix& m, int64_t rows, int64_t columns) {
  bool by_rows = m.column_stride == 1;
  int64_t lines = by_rows ? rows : columns, length = by_rows ? columns : rows;
  int64_t stride = by_rows ? m.row_stride : m.column_stride;
  const T* data = static_cast<const T*>(m.data);
  if (stride == length) { // no gaps
    length *= lines;
    lines = 1;
  }
  for (int64_t i = 0; i < lines; ++i) {
    if (any_from(data + i * stride, length, Real<T>::infinity)) {
      return false;
    }
  }
  return true;
}

template <typename T>
struct Product {
  // Sums are kept in double, also of those that are multiplied in float32.
  using C = std::conditional_t<is_complex<T>, complex128_t, double>;
  int64_t m, n, k;
  Matrix a, b;
  T* out;

  static C wide(T x) {
    if constexpr (is_half<T>) {
      return static_cast<double>(static_cast<float>(x));
    } else {
      return C(x);
    }
  }
  static T narrow(C x) {
    if constexpr (is_half<T>) {
      return T(static_cast<float>(x));
    } else {
      return T(x);
    }
  }
  static bool lost(C x) { // nothing that is added changes it
    if constexpr (is_complex<T>) {
      return x.real() != x.real() && x.imag() != x.imag();
    } else {
      return x != x;
    }
  }

  // Rows [from, to). By columns, so that the one of b is read once for all elements of it that are NaN.
  void mend(int64_t from, int64_t to) const {
    std::vector<char> bad;
    for (int64_t i = from; i < to; ++i) {
      if (!has_nan(out + i * n, n)) {
        continue;
      }
      bad.resize(static_cast<size_t>(n));
      for (int64_t j = 0; j < n; ++j) {
        bad[static_cast<size_t>(j)] |= static_cast<char>(has_nan(out + i * n + j, 1));
      }
    }
    if (bad.empty()) {
      return;
    }
    std::vector<C> column(static_cast<size_t>(k));
    const T *left = static_cast<const T*>(a.data), *right = static_cast<const T*>(b.data);
    for (int64_t j = 0; j < n; ++j) {
      if (!bad[static_cast<size_t>(j)]) {
        continue;
      }
      for (int64_t l = 0; l < k; ++l) {
        column[static_cast<size_t>(l)] = wide(right[l * b.row_stride + j * b.column_stride]);
      }
      for (int64_t i = from; i < to; ++i) {
        if (has_nan(out + i * n + j, 1)) {
          out[i * n + j] = narrow(dot(left + i * a.row_stride, column));
        }
      }
    }
  }
  C dot(const T* row, const std::vector<C>& column) const {
    C sum = 0;
    for (int64_t l = 0; l < k && !lost(sum); ++l) {
      C x = wide(row[l * a.column_stride]), y = column[static_cast<size_t>(l)];
      if (x != C(0) && y != C(0)) {
        if constexpr (is_complex<T>) { // as the elementwise kernels multiply, without the library's care for infinities
          sum += C(x.real() * y.real() - x.imag() * y.imag(), x.real() * y.imag() + x.imag() * y.real());
        } else {
          sum += x * y;
        }
      }
    }
    return sum;
  }
};

} // namespace

void leave_out_zero_terms(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride,
    Matrix b, int64_t b_batch_stride, void* out, int64_t out_batch_stride) {
  if (batch == 0 || m == 0 || n == 0 || k == 0) {
    return;
  }
  with_inexact_type(dtype, [&]<typename T>(std::type_identity<T>) {
    int64_t of_a = a_batch_stride == 0 ? 1 : batch, of_b = b_batch_stride == 0 ? 1 : batch;
    if (of_a * m * k + of_b * k * n < batch * m * n) {
      bool finite = true;
      for (int64_t i = 0; i < of_a && finite; ++i) {
        finite = all_finite<T>(offset(a, i * a_batch_stride, dtype), m, k);
      }
      for (int64_t i = 0; i < of_b && finite; ++i) {
        finite = all_finite<T>(offset(b, i * b_batch_stride, dtype), k, n);
      }
      if (finite) {
        return;
      }
    }
    int64_t rows = std::clamp<int64_t>(task_elements / n, 1, m), per_product = (m + rows - 1) / rows;
    parallel_for(batch * per_product, [&](int64_t task) {
      int64_t i = task / per_product, from = task % per_product * rows;
      Product<T> p{m, n, k, offset(a, i * a_batch_stride, dtype), offset(b, i * b_batch_stride, dtype),
          static_cast<T*>(out) + i * out_batch_stride};
      p.mend(from, std::min(m, from + rows));
    });
  });
}

} // namespace mlx::core::cpu
