// A stack of matrices as LAPACK takes them, one by one and column-major; and sharing the matrices out among threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>

#include "mlx_core/backend/request.h"
#include "mlx_core/cpu/blocked.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/lapack.h"
#include "mlx_core/cpu/nan_search.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

using lapack::Int;
using lapack::Real;

inline bool is_finite(float x) { return std::isfinite(x); }
inline bool is_finite(double x) { return std::isfinite(x); }
template <typename R>
bool is_finite(std::complex<R> x) {
  return std::isfinite(x.real()) && std::isfinite(x.imag());
}
template <typename T>
T not_a_number() {
  return T(std::numeric_limits<Real<T>>::quiet_NaN());
}
using lapack::conj_of;

// The matrices, or with one axis the vectors, with none the numbers, that the last axes of a view hold.
template <typename T>
class Stack {
 public:
  explicit Stack(const View& view, int axes = 2)
      : view_(view), leading_(view.ndim() - static_cast<size_t>(axes)), axes_(axes) {}
  Int rows() const { return axes_ > 0 ? to_blas_int(view_.sizes[leading_]) : 1; }
  Int columns() const { return axes_ == 2 ? to_blas_int(view_.sizes[leading_ + 1]) : 1; }
  int64_t count() const {
    int64_t count = 1;
    for (size_t i = 0; i < leading_; ++i) count *= view_.sizes[i];
    return count;
  }
  int64_t down() const { return axes_ > 0 ? view_.strides[leading_] : 0; }
  int64_t across() const { return axes_ == 2 ? view_.strides[leading_ + 1] : 0; }
  bool is_dense() const { return view_.is_row_major(); }
  int64_t elements() const { return static_cast<int64_t>(rows()) * columns(); }

  // Copies matrix i, column by column, as another type where that is wider. Whether all of it is finite.
  template <typename To>
  bool read(int64_t i, To* to) const {
    return read(i, to, 1, rows());
  }
  // The same, row by row.
  template <typename To>
  bool read_rows(int64_t i, To* to) const {
    return read(i, to, columns(), 1);
  }
  // Matrix i from columns `leading` apart. Of outputs, which are row-major.
  template <typename From>
  void write(int64_t i, const From* from, int64_t leading) const {
    T* to = at(i);
    int64_t m = rows(), n = columns();
    if (std::is_same_v<From, T> && m * n >= large) {
      const int64_t shape[] = {m, n}, strides[] = {1, leading}, to_strides[] = {n, 1};
      copy_strided(from, strides, to, to_strides, shape, sizeof(T));
      return;
    }
    in_blocks(
        m, n, [&](int64_t row, int64_t column) { to[row * n + column] = narrowed(from[column * leading + row]); });
  }
  template <typename From>
  void write(int64_t i, const From* from) const {
    write(i, from, rows());
  }
  void write_rows(int64_t i, const T* from) const { std::copy_n(from, elements(), at(i)); }
  void fill(int64_t i, T value) const { std::fill_n(at(i), elements(), value); }
  // Ones on the diagonal.
  void write_identity(int64_t i) const {
    fill(i, T(0));
    T* to = at(i);
    for (int64_t k = 0, n = columns(), m = rows(); k < std::min(m, n); ++k) to[k * n + k] = T(1);
  }
  T* at(int64_t i) const {
    int64_t offset = 0;
    for (size_t axis = leading_; axis-- > 1;) {
      offset += i % view_.sizes[axis] * view_.strides[axis];
      i /= view_.sizes[axis];
    }
    return view_.host<T>() + offset + (leading_ > 0 ? i * view_.strides[0] : 0);
  }

 private:
  static constexpr int64_t large = 1024; // elements: quicker copied as a whole

  template <typename To>
  bool read(int64_t i, To* to, int64_t to_row, int64_t to_column) const {
    const T* from = at(i);
    int64_t m = rows(), n = columns(), row_step = down(), column_step = across();
    if constexpr (std::is_same_v<T, To>) {
      if (m * n >= large) {
        const int64_t shape[] = {m, n}, strides[] = {row_step, column_step}, to_strides[] = {to_row, to_column};
        copy_strided(from, strides, to, to_strides, shape, sizeof(T));
        if constexpr (std::is_integral_v<T>) {
          return true;
        } else {
          return !any_not_finite(view_.dtype, m * n, to);
        }
      }
    }
    bool finite = true;
    in_blocks(m, n, [&](int64_t row, int64_t column) {
      T value = from[row * row_step + column * column_step];
      if constexpr (!std::is_integral_v<T>) finite = finite && is_finite(value);
      to[row * to_row + column * to_column] = static_cast<To>(value);
    });
    return finite;
  }
  template <typename From>
  static T narrowed(From value) {
    if constexpr (lapack::is_complex<From> && !lapack::is_complex<T>) {
      return static_cast<T>(value.real());
    } else {
      return static_cast<T>(value);
    }
  }
  // Every place once, in squares that stay in the cache.
  template <typename F>
  static void in_blocks(int64_t m, int64_t n, F&& f) {
    constexpr int64_t side = 32;
    for (int64_t i = 0; i < m; i += side) {
      for (int64_t j = 0; j < n; j += side) {
        for (int64_t row = i; row < std::min(m, i + side); ++row) {
          for (int64_t column = j; column < std::min(n, j + side); ++column) f(row, column);
        }
      }
    }
  }

  const View& view_;
  size_t leading_;
  int axes_;
};

// Memory for one matrix after another: slot by slot, as large as was ever asked for.
template <typename T>
class Workspace {
 public:
  T* matrix(size_t slot, int64_t elements) { return grown(matrices_, slot, elements).data(); }
  Real<T>* reals(size_t slot, int64_t elements) { return grown(reals_, slot, elements).data(); }
  Int* integers(int64_t elements) { return grown(integers_, 0, elements).data(); }
  lapack::Work<T> work;

 private:
  template <typename V>
  static V& grown(std::vector<V>& slots, size_t slot, int64_t elements) {
    if (slots.size() <= slot) slots.resize(slot + 1);
    auto size = static_cast<size_t>(std::max<int64_t>(1, elements));
    if (slots[slot].size() < size) slots[slot].resize(size);
    return slots[slot];
  }
  std::vector<std::vector<T>> matrices_;
  std::vector<std::vector<Real<T>>> reals_;
  std::vector<std::vector<Int>> integers_;
};

// The first matrix of a stack that has no result, and why.
class Failures {
 public:
  explicit Failures(int64_t count) : count_(count), first_(count) {}
  void note(int64_t i, int64_t info) {
    std::lock_guard lock(mutex_);
    if (i < first_) first_ = i, info_ = info;
  }
  template <typename Explain>
  void raise(const char* op, Explain&& explain) const {
    if (first_ == count_) return;
    std::string which =
        count_ == 1 ? "The matrix" : "Matrix " + std::to_string(first_) + " of " + std::to_string(count_);
    fail<LinalgError>(op, which, " ", explain(info_));
  }

 private:
  std::mutex mutex_;
  int64_t count_, first_, info_ = 0;
};

// Calls body(i, workspace), which returns LAPACK's info, for each of `count` matrices; `cost` is about the number of
// multiplications for one of them. The first matrix, in their order, whose info is not 0 is the error that
// explain(info) puts into words.
template <typename T, typename Body, typename Explain>
void for_each_matrix(const char* op, int64_t count, double cost, Body&& body, Explain&& explain) {
  if (count == 0) return;
  use_one_blas_thread();
  auto together = static_cast<int64_t>(std::clamp(50000 / (cost + 50), 1.0, 1e6));
  int64_t pieces = (count + together - 1) / together;
  Failures failures(count);
  parallel_for(pieces, [&](int64_t piece) {
    Workspace<T> space;
    for (int64_t i = piece * together; i < std::min(count, (piece + 1) * together); ++i) {
      throw_if_interrupted();
      if (int64_t info = body(i, space); info != 0) failures.note(i, info);
    }
  });
  failures.raise(op, explain);
}

inline std::string did_not_converge(int64_t) { return "has no result: the iteration did not converge."; }

template <typename F>
void with_matrix_type(Dtype dtype, F&& f) {
  switch (dtype.val) {
    case Dtype::Val::float64: return f(std::type_identity<double>());
    case Dtype::Val::complex64: return f(std::type_identity<std::complex<float>>());
    case Dtype::Val::complex128: return f(std::type_identity<std::complex<double>>());
    default: return f(std::type_identity<float>());
  }
}

} // namespace mlx::core::cpu
