// Small matrices, one in each lane. Products and sums are rounded apart, so that all instruction sets have the same
// bits.
#include "mlx_core/cpu/small_matrices.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/small_matrices.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The element of every matrix at a place of a row-major layout.
template <typename T>
struct Elements {
  static constexpr hn::ScalableTag<T> d{};
  using V = hn::Vec<hn::ScalableTag<T>>;
  T* data;
  int64_t columns;
  HWY_INLINE T* at(int64_t row, int64_t column) const {
    return data + (row * columns + column) * static_cast<int64_t>(hn::MaxLanes(d));
  }
  HWY_INLINE V get(int64_t row, int64_t column) const { return hn::Load(d, at(row, column)); }
  HWY_INLINE void set(int64_t row, int64_t column, V x) const { hn::Store(x, d, at(row, column)); }
};

template <typename T>
void small_cholesky(int64_t n, T* data, T* info) {
  const Elements<T> a{data, n};
  const auto d = a.d;
  auto failed = hn::Zero(d);
  for (int64_t j = 0; j < n; ++j) {
    auto pivot = a.get(j, j);
    for (int64_t k = 0; k < j; ++k) pivot = hn::Sub(pivot, hn::Mul(a.get(j, k), a.get(j, k)));
    const auto fails =
        hn::And(hn::VecFromMask(d, hn::Not(hn::Gt(pivot, hn::Zero(d)))), hn::Set(d, static_cast<T>(j + 1)));
    failed = hn::IfThenElse(hn::Eq(failed, hn::Zero(d)), fails, failed);
    pivot = hn::Sqrt(pivot);
    a.set(j, j, pivot);
    for (int64_t i = j + 1; i < n; ++i) {
      auto x = a.get(i, j);
      for (int64_t k = 0; k < j; ++k) x = hn::Sub(x, hn::Mul(a.get(i, k), a.get(j, k)));
      a.set(i, j, hn::Div(x, pivot));
    }
  }
  hn::Store(failed, d, info);
}

// Swaps row k with the row that is each lane's own, from k on.
template <typename T>
HWY_INLINE void swap_rows(const Elements<T>& a, int64_t n, int64_t k, hn::Vec<hn::ScalableTag<T>> with) {
  const auto d = a.d;
  for (int64_t i = k + 1; i < n; ++i) {
    const auto here = hn::Eq(with, hn::Set(d, static_cast<T>(i)));
    if (hn::AllFalse(d, here)) continue;
    for (int64_t c = 0; c < a.columns; ++c) {
      const auto x = a.get(k, c), y = a.get(i, c);
      a.set(k, c, hn::IfThenElse(here, y, x));
      a.set(i, c, hn::IfThenElse(here, x, y));
    }
  }
}

template <typename T>
void small_lu(int64_t n, T* data, T* swap_data, T* order_data) {
  const Elements<T> a{data, n}, swaps{swap_data, 1}, order{order_data, 1};
  const auto d = a.d;
  for (int64_t i = 0; i < n; ++i) order.set(i, 0, hn::Set(d, static_cast<T>(i)));
  for (int64_t k = 0; k < n; ++k) {
    auto largest = hn::Abs(a.get(k, k)), place = hn::Set(d, static_cast<T>(k));
    for (int64_t i = k + 1; i < n; ++i) {
      const auto size = hn::Abs(a.get(i, k));
      const auto larger = hn::Gt(size, largest);
      largest = hn::IfThenElse(larger, size, largest);
      place = hn::IfThenElse(larger, hn::Set(d, static_cast<T>(i)), place);
    }
    swaps.set(k, 0, place);
    swap_rows(a, n, k, place);
    swap_rows(order, n, k, place);
    const auto pivot = a.get(k, k);
    const auto none = hn::Eq(pivot, hn::Zero(d)); // then all below are 0, and stay
    for (int64_t i = k + 1; i < n; ++i) {
      const auto x = a.get(i, k), factor = hn::IfThenElse(none, x, hn::Div(x, pivot));
      a.set(i, k, factor);
      for (int64_t c = k + 1; c < n; ++c) a.set(i, c, hn::Sub(a.get(i, c), hn::Mul(factor, a.get(k, c))));
    }
  }
}

// info: the first 0 on each diagonal, counted from 1, else 0.
template <typename T>
HWY_INLINE void note_zeros(const Elements<T>& a, T* info) {
  const auto d = a.d;
  auto first = hn::Zero(d);
  for (int64_t i = a.columns; i-- > 0;) {
    first = hn::IfThenElse(hn::Eq(a.get(i, i), hn::Zero(d)), hn::Set(d, static_cast<T>(i + 1)), first);
  }
  hn::Store(first, d, info);
}

// b becomes x with a x = b, where a or its transpose is taken for a triangle, `unit` with ones on its diagonal.
template <typename T>
void substitute(const Elements<T>& a, bool transposed, bool lower, bool unit, const Elements<T>& b) {
  const int64_t n = a.columns;
  for (int64_t place = 0; place < n; ++place) {
    const int64_t i = lower ? place : n - 1 - place;
    for (int64_t k = lower ? 0 : i + 1; k < (lower ? i : n); ++k) {
      const auto factor = transposed ? a.get(k, i) : a.get(i, k);
      for (int64_t c = 0; c < b.columns; ++c) b.set(i, c, hn::Sub(b.get(i, c), hn::Mul(factor, b.get(k, c))));
    }
    if (unit) continue;
    for (int64_t c = 0; c < b.columns; ++c) b.set(i, c, hn::Div(b.get(i, c), a.get(i, i)));
  }
}

template <typename T>
void small_solve(bool transposed, int64_t n, int64_t columns, const T* lu, const T* swap_data, T* data, T* info) {
  const Elements<T> a{const_cast<T*>(lu), n}, swaps{const_cast<T*>(swap_data), 1}, b{data, columns};
  note_zeros(a, info);
  if (!transposed) {
    for (int64_t k = 0; k < n; ++k) swap_rows(b, n, k, swaps.get(k, 0));
  }
  substitute(a, transposed, true, !transposed, b);
  substitute(a, transposed, false, transposed, b);
  if (transposed) {
    for (int64_t k = n; k-- > 0;) swap_rows(b, n, k, swaps.get(k, 0));
  }
}

template <typename T>
void small_triangular(bool upper, bool transposed, int64_t n, int64_t columns, const T* matrix, T* data, T* info) {
  const Elements<T> a{const_cast<T*>(matrix), n}, b{data, columns};
  note_zeros(a, info);
  substitute(a, transposed, upper == transposed, false, b);
}

template <typename T>
const SmallKernels<T>& kernels_of() {
  static constexpr SmallKernels<T> table{static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>())), &small_cholesky<T>,
      &small_lu<T>, &small_solve<T>, &small_triangular<T>};
  return table;
}
const SmallKernels<float>& small_float_kernels() { return kernels_of<float>(); }
const SmallKernels<double>& small_double_kernels() { return kernels_of<double>(); }

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(small_float_kernels);
HWY_EXPORT(small_double_kernels);
template <>
const SmallKernels<float>& small_kernels<float>() {
  static const SmallKernels<float>& table = HWY_DYNAMIC_DISPATCH(small_float_kernels)();
  return table;
}
template <>
const SmallKernels<double>& small_kernels<double>() {
  static const SmallKernels<double>& table = HWY_DYNAMIC_DISPATCH(small_double_kernels)();
  return table;
}
} // namespace mlx::core::cpu
#endif
