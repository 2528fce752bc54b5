// What holds of numbers of every type: NaN, order, and the type that results are carried in.
#pragma once

#include "reduction_ops.h"

template <typename T>
using Wide = typename Accumulator<T>::type;

template <typename T>
inline bool is_nan(T) {
  return false;
}
inline bool is_nan(float x) { return accurate::is_nan(x); }
inline bool is_nan(half x) { return accurate::is_nan(float(x)); }
inline bool is_nan(bfloat x) { return accurate::is_nan(float(x)); }
inline bool is_nan(complex64_t x) { return accurate::is_nan(x); }

template <typename T>
inline bool is_zero(T x) {
  return x == T(0);
}
inline bool is_zero(complex64_t x) { return accurate::is_zero(x); }

// a < b; of complex numbers by real, then imaginary part.
template <typename T>
inline bool is_less(T a, T b) {
  return a < b;
}
inline bool is_less(bfloat a, bfloat b) { return float(a) < float(b); }
inline bool is_less(complex64_t a, complex64_t b) { return accurate::is_less(a, b); }

// The order of sorting: NaNs come last, and are equal.
template <typename T>
inline bool comes_before(T a, T b) {
  const bool nan_a = is_nan(a), nan_b = is_nan(b);
  return nan_a || nan_b ? !nan_a && nan_b : is_less(a, b);
}
