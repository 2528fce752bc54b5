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

// The length of column k from row `first` on. The squares of what is far from 1 are taken after dividing by the
// largest.
template <typename T>
hn::Vec<hn::ScalableTag<T>> length_of_column(const Elements<T>& a, int64_t k, int64_t first, int64_t rows) {
  const auto d = a.d;
  const auto sum_of_squares = [&](auto divisor) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (int64_t i = first; i < rows; ++i) {
      const auto x = hn::Div(a.get(i, k), divisor);
      sum = hn::Add(sum, hn::Mul(x, x));
    }
    return sum;
  };
  const auto one = hn::Set(d, T(1)), sum = sum_of_squares(one), length = hn::Sqrt(sum);
  const auto most = hn::Set(d, sizeof(T) == 4 ? T(0x1p100) : T(0x1p900));
  const auto precise = hn::And(hn::Lt(sum, most), hn::Gt(hn::Mul(sum, most), one));
  if (hn::AllTrue(d, precise)) return length;
  auto largest = hn::Zero(d);
  for (int64_t i = first; i < rows; ++i) largest = hn::Max(largest, hn::Abs(a.get(i, k)));
  const auto scale = hn::IfThenElse(hn::Eq(largest, hn::Zero(d)), one, largest);
  return hn::IfThenElse(precise, length, hn::Mul(scale, hn::Sqrt(sum_of_squares(scale))));
}

// What the reflection along column k of a, that begins with a 1 at row k, makes of column c of b.
template <typename T>
HWY_INLINE void reflect(
    const Elements<T>& a, int64_t k, int64_t rows, const T* factor, const Elements<T>& b, int64_t c) {
  auto along = b.get(k, c);
  for (int64_t i = k + 1; i < rows; ++i) along = hn::Add(along, hn::Mul(a.get(i, k), b.get(i, c)));
  along = hn::Mul(along, hn::Load(a.d, factor));
  b.set(k, c, hn::Sub(b.get(k, c), along));
  for (int64_t i = k + 1; i < rows; ++i) b.set(i, c, hn::Sub(b.get(i, c), hn::Mul(a.get(i, k), along)));
}

// By reflections, with LAPACK's signs: what is 0 below the diagonal is left as it is.
template <typename T>
void small_qr(int64_t m, int64_t n, int64_t q_columns, T* data, T* q_data) {
  const Elements<T> a{data, n}, q{q_data, q_columns};
  const auto d = a.d;
  const auto zero = hn::Zero(d), one = hn::Set(d, T(1));
  const int64_t rank = HWY_MIN(m, n);
  HWY_ALIGN T factor_data[largest_small * hn::MaxLanes(Elements<T>::d)];
  const Elements<T> factors{factor_data, 1};
  for (int64_t k = 0; k < rank; ++k) {
    const auto first = a.get(k, k), length = length_of_column(a, k, k, m);
    const auto none = hn::Eq(length_of_column(a, k, k + 1, m), zero);
    const auto turned = hn::IfThenElse(none, first, hn::Neg(hn::CopySign(length, first)));
    const auto divisor = hn::IfThenElse(none, one, hn::Sub(first, turned));
    factors.set(k, 0, hn::IfThenElse(none, zero, hn::Div(hn::Sub(turned, first), turned)));
    a.set(k, k, turned);
    for (int64_t i = k + 1; i < m; ++i) a.set(i, k, hn::Div(a.get(i, k), divisor));
    for (int64_t c = k + 1; c < n; ++c) reflect(a, k, m, factors.at(k, 0), a, c);
  }
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t c = 0; c < q_columns; ++c) q.set(i, c, i == c ? one : zero);
  }
  for (int64_t k = rank; k-- > 0;) {
    for (int64_t c = k; c < q_columns; ++c) reflect(a, k, m, factors.at(k, 0), q, c);
  }
  for (int64_t i = 1; i < m; ++i) {
    for (int64_t c = 0; c < HWY_MIN(i, n); ++c) a.set(i, c, zero);
  }
}

template <typename T>
const SmallKernels<T>& kernels_of() {
  static constexpr SmallKernels<T> table{static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>())), &small_cholesky<T>,
      &small_lu<T>, &small_solve<T>, &small_triangular<T>, &small_qr<T>};
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
