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

// ---- lanes of a simdgroup, for every type ----

inline float from_lane(float x, ushort lane) { return metal::simd_shuffle(x, lane); }
inline int from_lane(int x, ushort lane) { return metal::simd_shuffle(x, lane); }
inline uint from_lane(uint x, ushort lane) { return metal::simd_shuffle(x, lane); }
inline bool from_lane(bool x, ushort lane) { return metal::simd_shuffle(uint(x), lane) != 0; }
inline char from_lane(char x, ushort lane) { return char(metal::simd_shuffle(int(x), lane)); }
inline uchar from_lane(uchar x, ushort lane) { return uchar(metal::simd_shuffle(uint(x), lane)); }
inline short from_lane(short x, ushort lane) { return short(metal::simd_shuffle(int(x), lane)); }
inline ushort from_lane(ushort x, ushort lane) { return ushort(metal::simd_shuffle(uint(x), lane)); }
inline long from_lane(long x, ushort lane) {
  return as_type<long>(metal::simd_shuffle(as_type<metal::uint2>(x), lane));
}
inline ulong from_lane(ulong x, ushort lane) {
  return as_type<ulong>(metal::simd_shuffle(as_type<metal::uint2>(x), lane));
}
inline complex64_t from_lane(complex64_t z, ushort lane) {
  return make_complex64(metal::simd_shuffle(z.re, lane), metal::simd_shuffle(z.im, lane));
}

// The tree of every reduction: element e of a block of 1024 goes to virtual lane e % 32, in order; then lane l takes
// lane l + 16, l + 8, ... where there is one; the blocks' results are elements in turn. Here `width` lanes, a power of
// two up to 32, of which `lane` is this one and `live` have elements, become one value, which all of them get.
template <typename Op, typename T>
inline T fold_lanes(T value, uint lane, uint width, uint live, uint lane_of_simdgroup) {
  for (uint half_width = width / 2; half_width > 0; half_width /= 2) {
    const bool takes = lane + half_width < live;
    const T other = from_lane(value, ushort(takes ? lane_of_simdgroup + half_width : lane_of_simdgroup));
    value = takes ? Op::apply(value, other) : value;
  }
  return from_lane(value, ushort(lane_of_simdgroup - lane));
}

} // namespace reduction
