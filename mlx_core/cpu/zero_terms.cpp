// The NaN of a matrix product, found and computed again without the terms that have a factor 0.
#include "mlx_core/cpu/zero_terms.h"

#include <algorithm>
#include <complex>
#include <vector>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/nan_search.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t task_elements = 1 << 15;

template <typename T>
bool has_nan(const T* data, int64_t count) {
  return any_nan(dtype_of<T>::val, count, data);
}

template <typename T>
bool all_finite_in(const Matrix& m, int64_t rows, int64_t columns) {
  const T* data = static_cast<const T*>(m.data);
  bool by_rows = m.column_stride == 1 || columns == 1;
  if (!by_rows && m.row_stride != 1 && rows != 1) { // neither its rows nor its columns are consecutive
    constexpr int64_t most = 256;
    T line[most];
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t first = 0; first < columns; first += most) {
        int64_t count = std::min(most, columns - first);
        for (int64_t j = 0; j < count; ++j) {
          line[j] = data[i * m.row_stride + (first + j) * m.column_stride];
        }
        if (any_not_finite(dtype_of<T>::val, count, line)) {
          return false;
        }
      }
    }
    return true;
  }
  int64_t lines = by_rows ? rows : columns, length = by_rows ? columns : rows;
  int64_t stride = by_rows ? m.row_stride : m.column_stride;
  if (stride == length) { // no gaps
    length *= lines;
    lines = 1;
  }
  for (int64_t i = 0; i < lines; ++i) {
    if (any_not_finite(dtype_of<T>::val, length, data + i * stride)) {
      return false;
    }
  }
  return true;
}

// Of `count` matrices. Small ones are looked at together or, where they lie apart, not at all: the answer is no.
template <typename T>
bool all_finite(const Matrix& m, int64_t rows, int64_t columns, int64_t count, int64_t batch_stride) {
  constexpr int64_t worth_a_look = 64;
  if (count > 1 && m.column_stride == 1 && m.row_stride == columns && batch_stride == rows * columns) {
    return all_finite_in<T>(m, count * rows, columns);
  }
  if (count > 1 && rows * columns < worth_a_look) {
    return false;
  }
  for (int64_t i = 0; i < count; ++i) {
    if (!all_finite_in<T>(offset(m, i * batch_stride, dtype_of<T>::val), rows, columns)) {
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
    if (!has_nan(out + from * n, (to - from) * n)) {
      return;
    }
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
    Matrix b, int64_t b_batch_stride, void* out) {
  if (!dtype.is_inexact() || batch == 0 || m == 0 || n == 0 || k == 0) {
    return;
  }
  with_inexact_type(dtype, [&]<typename T>(std::type_identity<T>) {
    int64_t of_a = a_batch_stride == 0 ? 1 : batch, of_b = b_batch_stride == 0 ? 1 : batch;
    if (of_a * m * k + of_b * k * n < batch * m * n && all_finite<T>(a, m, k, of_a, a_batch_stride) &&
        all_finite<T>(b, k, n, of_b, b_batch_stride)) {
      return;
    }
    // Rows of the whole batch, which lie one behind the other: parts of one result, or many small ones.
    auto* to = static_cast<T*>(out);
    const int64_t rows = batch * m, per_task = std::clamp<int64_t>(task_elements / n, 1, rows);
    parallel_for((rows + per_task - 1) / per_task, [&](int64_t task) {
      const int64_t first = task * per_task, last = std::min(rows, first + per_task);
      if (!has_nan(to + first * n, (last - first) * n)) {
        return;
      }
      for (int64_t row = first, next; row < last; row = next) {
        const int64_t i = row / m;
        next = std::min(last, (i + 1) * m);
        Product<T> p{
            m, n, k, offset(a, i * a_batch_stride, dtype), offset(b, i * b_batch_stride, dtype), to + i * m * n};
        p.mend(row - i * m, next - i * m);
      }
    });
  });
}

} // namespace mlx::core::cpu
