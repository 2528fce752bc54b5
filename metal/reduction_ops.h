// What reductions combine, by name: the operations of mlx_core/backend/body.h's Reduction on accumulators. The first
// operand is what has been reduced so far. half and bfloat accumulate as float, all and any as bool.
#pragma once

#include "convert.h"
#include "integer_ops.h"

// What elements of a type are accumulated in.
template <typename T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<half> {
  using type = float;
};
template <>
struct Accumulator<bfloat> {
  using type = float;
};

namespace reduction {

struct sum {
  template <typename T>
  static T identity() {
    return T(0);
  }
  template <typename T>
  static T apply(T a, T b) {
    return integers::add(a, b);
  }
  static float apply(float a, float b) { return a + b; }
  static complex64_t apply(complex64_t a, complex64_t b) { return a + b; }
  static bool apply(bool a, bool b) { return a || b; }
};
template <>
inline complex64_t sum::identity<complex64_t>() {
  return make_complex64(0.0f, 0.0f);
}

struct prod {
  template <typename T>
  static T identity() {
    return T(1);
  }
  template <typename T>
  static T apply(T a, T b) {
    return integers::multiply(a, b);
  }
  static float apply(float a, float b) { return a * b; }
  static complex64_t apply(complex64_t a, complex64_t b) { return a * b; }
  static bool apply(bool a, bool b) { return a && b; }
};
template <>
inline complex64_t prod::identity<complex64_t>() {
  return make_complex64(1.0f, 0.0f);
}

// A NaN, once met, stays: the first one.
struct min {
  template <typename T>
  static T identity() {
    return metal::numeric_limits<T>::max();
  }
  template <typename T>
  static T apply(T a, T b) {
    return b < a ? b : a;
  }
  static float apply(float a, float b) { return (b < a || accurate::is_nan(b)) && !accurate::is_nan(a) ? b : a; }
  static complex64_t apply(complex64_t a, complex64_t b) {
    return (accurate::is_less(b, a) || accurate::is_nan(b)) && !accurate::is_nan(a) ? b : a;
  }
  static bool apply(bool a, bool b) { return a && b; }
};
template <>
inline float min::identity<float>() {
  return INFINITY;
}
template <>
inline bool min::identity<bool>() {
  return true;
}
template <>
inline complex64_t min::identity<complex64_t>() {
  return make_complex64(INFINITY, INFINITY);
}

struct max {
  template <typename T>
  static T identity() {
    return metal::numeric_limits<T>::lowest();
  }
  template <typename T>
  static T apply(T a, T b) {
    return a < b ? b : a;
  }
  static float apply(float a, float b) { return (a < b || accurate::is_nan(b)) && !accurate::is_nan(a) ? b : a; }
  static complex64_t apply(complex64_t a, complex64_t b) {
    return (accurate::is_less(a, b) || accurate::is_nan(b)) && !accurate::is_nan(a) ? b : a;
  }
  static bool apply(bool a, bool b) { return a || b; }
};
template <>
inline float max::identity<float>() {
  return -INFINITY;
}
template <>
inline bool max::identity<bool>() {
  return false;
}
template <>
inline complex64_t max::identity<complex64_t>() {
  return make_complex64(-INFINITY, -INFINITY);
}

// Elements are converted to bool before.
struct all {
  template <typename T>
  static T identity() {
    return T(true);
  }
  static bool apply(bool a, bool b) { return a && b; }
};
struct any {
  template <typename T>
  static T identity() {
    return T(false);
  }
  static bool apply(bool a, bool b) { return a || b; }
};

} // namespace reduction
