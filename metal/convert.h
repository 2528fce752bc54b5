// Conversions between element types, as the CPU makes them: floats to integers toward zero, saturating, NaN to 0; wide
// integers to half and bfloat rounded once; to bool whether it is not zero; complex numbers by their real part.
#pragma once

#include "complex.h"

template <typename To>
inline To truncated(float x) {
  const To largest = metal::numeric_limits<To>::max(), lowest = metal::numeric_limits<To>::lowest();
  const float too_large = float(To(largest / 2 + 1)) * 2.0f; // the largest integer is not always a float
  if (accurate::is_nan(x)) {
    return To(0);
  }
  if (x >= too_large) {
    return largest;
  }
  return x <= float(lowest) ? lowest : To(x);
}
template <>
inline uchar truncated<uchar>(float x) {
  return uchar(x >= 255.0f ? 255 : x >= 0.0f ? int(x) : 0);
}
template <>
inline ushort truncated<ushort>(float x) {
  return ushort(x >= 65535.0f ? 65535 : x >= 0.0f ? int(x) : 0);
}
template <>
inline char truncated<char>(float x) {
  return char(accurate::is_nan(x) ? 0 : x >= 127.0f ? 127 : x > -128.0f ? int(x) : -128);
}
template <>
inline short truncated<short>(float x) {
  return short(accurate::is_nan(x) ? 0 : x >= 32767.0f ? 32767 : x > -32768.0f ? int(x) : -32768);
}

// To float, rounded to odd: an inexact result gets an odd last bit. Rounding that to fewer bits then equals rounding
// the integer once.
inline float odd_float(ulong x) {
  if (x < 0x1000000ul) {
    return float(uint(x));
  }
  const uint shift = 40u - uint(metal::clz(x)); // 24 bits stay
  const uint kept = uint(x >> shift);
  const bool exact = (ulong(kept) << shift) == x;
  return float(exact ? kept : kept | 1u) * accurate::power_of_two(int(shift));
}
inline float odd_float(long x) { return x < 0 ? -odd_float(0ul - ulong(x)) : odd_float(ulong(x)); }
inline float odd_float(uint x) { return odd_float(ulong(x)); }
inline float odd_float(int x) { return odd_float(long(x)); }
template <typename T>
inline float odd_float(T x) {
  return float(x); // exact
}

// From anything to To, by what To is.
template <typename To>
struct Conversion {
  template <typename From>
  static To of(From x) {
    return To(x);
  }
  static To of(float x) { return truncated<To>(x); }
  static To of(half x) { return truncated<To>(float(x)); }
  static To of(bfloat x) { return truncated<To>(float(x)); }
  static To of(complex64_t z) { return truncated<To>(z.re); }
};
template <>
struct Conversion<bool> {
  template <typename From>
  static bool of(From x) {
    return x != From(0);
  }
  static bool of(bool x) { return x; }
  static bool of(half x) { return float(x) != 0.0f; }
  static bool of(bfloat x) { return float(x) != 0.0f; }
  static bool of(complex64_t z) { return !accurate::is_zero(z); }
};
template <>
struct Conversion<float> {
  template <typename From>
  static float of(From x) {
    return float(x);
  }
  static float of(complex64_t z) { return z.re; }
};
template <typename To>
struct HalfConversion {
  template <typename From>
  static To of(From x) {
    return To(odd_float(x));
  }
  static To of(bool x) { return To(x ? 1.0f : 0.0f); }
  static To of(float x) { return To(x); }
  static To of(half x) { return To(float(x)); }
  static To of(bfloat x) { return To(float(x)); }
  static To of(complex64_t z) { return To(z.re); }
};
template <>
struct Conversion<half> : HalfConversion<half> {};
template <>
struct Conversion<bfloat> : HalfConversion<bfloat> {};
template <>
struct Conversion<complex64_t> {
  template <typename From>
  static complex64_t of(From x) {
    return make_complex64(float(x), 0.0f);
  }
  static complex64_t of(complex64_t z) { return z; }
};

template <typename To, typename From>
inline To convert(From x) {
  return Conversion<To>::of(x);
}
