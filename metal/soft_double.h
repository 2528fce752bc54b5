// The little of float64 that ranges need, on its bits, as GPUs have no such type: a whole number times a number, the
// sum of two, and conversion to float, each rounded once, to nearest and ties to even.
#pragma once

#include "convert.h"

namespace soft {

constant constexpr ulong sign_bit = 0x8000000000000000ul, fraction_bits = 0xffffffffffffful, infinite = 0x7fful << 52;

inline bool is_nan(ulong x) { return (x & ~sign_bit) > infinite; }
inline bool is_infinite(ulong x) { return (x & ~sign_bit) == infinite; }

// A magnitude: mantissa 2^exponent.
struct Parts {
  ulong mantissa;
  int exponent;
};
inline Parts parts_of(ulong x) {
  const int field = int((x >> 52) & 0x7ff);
  Parts p;
  p.mantissa = (x & fraction_bits) | (field != 0 ? 1ul << 52 : 0ul);
  p.exponent = (field != 0 ? field : 1) - 1075;
  return p;
}

// x >> by, with a last bit that says whether anything was lost
inline ulong shifted(ulong x, uint by) {
  if (by == 0) {
    return x;
  }
  if (by > 63) {
    return x != 0 ? 1ul : 0ul;
  }
  return (x >> by) | ((x << (64 - by)) != 0 ? 1ul : 0ul);
}

// mantissa 2^exponent, where the mantissa's last bit may stand for more below, rounded to float64
inline ulong packed(ulong sign, ulong mantissa, int exponent) {
  if (mantissa == 0) {
    return sign;
  }
  const int zeros = int(metal::clz(mantissa));
  ulong m = mantissa << zeros; // 64 bits, of which 53 stay
  exponent -= zeros;           // value: m 2^exponent
  int field = exponent + 63 + 1023;
  uint drop = 11;
  if (field <= 0) { // subnormal
    drop = uint(metal::min(12 - field, 100));
    field = 0;
  }
  m = shifted(m, drop - 2);
  const ulong low = m & 3;
  ulong kept = m >> 2;
  kept += low == 3 || (low == 2 && (kept & 1) != 0) ? 1 : 0;
  // a carry out of the fraction is the next exponent
  const ulong bits = field == 0 ? kept : (ulong(field - 1) << 52) + kept;
  return sign | (bits >= infinite ? infinite : bits);
}

// n x for a whole n below 2^53
inline ulong times(ulong x, ulong n) {
  const ulong sign = x & sign_bit;
  if (is_nan(x) || (is_infinite(x) && n == 0)) {
    return infinite | (1ul << 51);
  }
  if (is_infinite(x)) {
    return x;
  }
  const Parts p = parts_of(x);
  const ulong high = metal::mulhi(p.mantissa, n), low = p.mantissa * n;
  if (high == 0) {
    return packed(sign, low, p.exponent);
  }
  const uint up = 64u - uint(metal::clz(high)); // bits in `high`
  const ulong top = up == 64u ? high : (high << (64u - up)) | (low >> up);
  const bool lost = up == 64u ? low != 0 : (low << (64u - up)) != 0;
  return packed(sign, top | (lost ? 1ul : 0ul), p.exponent + int(up));
}

inline ulong plus(ulong a, ulong b) {
  if (is_nan(a) || is_nan(b) || (is_infinite(a) && is_infinite(b) && a != b)) {
    return infinite | (1ul << 51);
  }
  if (is_infinite(a) || is_infinite(b)) {
    return is_infinite(a) ? a : b;
  }
  const bool a_is_larger = (a & ~sign_bit) >= (b & ~sign_bit);
  const ulong larger = a_is_larger ? a : b, smaller = a_is_larger ? b : a;
  const Parts p = parts_of(larger), q = parts_of(smaller);
  // nine bits below the larger's last are kept, and whether there is more
  const ulong m = p.mantissa << 9, n = shifted(q.mantissa << 9, uint(p.exponent - q.exponent));
  const bool same = ((a ^ b) & sign_bit) == 0;
  const ulong sum = same ? m + n : m - n;
  if (sum == 0) {
    return same ? (a & sign_bit) : 0ul;
  }
  return packed(larger & sign_bit, sum, p.exponent - 9);
}

// To float: to nearest, or to odd, which another rounding to fewer bits leaves right.
inline float to_float(ulong x, bool odd) {
  const uint sign = uint(x >> 32) & 0x80000000u;
  if (is_nan(x)) {
    return accurate::quiet_nan();
  }
  if (is_infinite(x)) {
    return as_type<float>(sign | 0x7f800000u);
  }
  const Parts p = parts_of(x);
  if (p.mantissa == 0) {
    return as_type<float>(sign);
  }
  const int zeros = int(metal::clz(p.mantissa));
  ulong m = p.mantissa << zeros; // 64 bits, of which 24 stay
  int field = p.exponent - zeros + 63 + 127;
  uint drop = 40;
  if (field <= 0) {
    drop = uint(metal::min(41 - field, 100));
    field = 0;
  }
  m = shifted(m, drop - 2);
  const uint low = uint(m & 3);
  uint kept = uint(m >> 2);
  if (odd) {
    kept |= low != 0 ? 1u : 0u;
  } else {
    kept += low == 3 || (low == 2 && (kept & 1u) != 0) ? 1u : 0u;
  }
  if (field > 254) {
    return as_type<float>(sign | (odd ? 0x7f7fffffu : 0x7f800000u));
  }
  const uint bits = field == 0 ? kept : (uint(field - 1) << 23) + kept;
  return as_type<float>(sign | bits);
}

// Toward zero, saturating, NaN to 0; the lowest and the largest magnitude of the integer type are given.
inline ulong magnitude_toward_zero(ulong x) {
  const Parts p = parts_of(x);
  if (p.exponent >= 0) {
    return p.exponent > 11 ? ~0ul : p.mantissa << p.exponent;
  }
  return p.exponent < -63 ? 0ul : p.mantissa >> -p.exponent;
}

template <typename To>
struct FromDouble { // integers
  static To of(ulong x) {
    const To largest = metal::numeric_limits<To>::max(), lowest = metal::numeric_limits<To>::lowest();
    if (is_nan(x)) {
      return To(0);
    }
    const ulong m = magnitude_toward_zero(x);
    if ((x & sign_bit) != 0) {
      const ulong most = 0ul - ulong(long(lowest)); // 0 for unsigned types
      return m >= most ? lowest : To(0ul - m);
    }
    return m >= ulong(largest) ? largest : To(m);
  }
};
template <>
struct FromDouble<bool> {
  static bool of(ulong x) { return (x & ~sign_bit) != 0; }
};
template <>
struct FromDouble<float> {
  static float of(ulong x) { return to_float(x, false); }
};
template <>
struct FromDouble<half> {
  static half of(ulong x) { return half(to_float(x, true)); }
};
template <>
struct FromDouble<bfloat> {
  static bfloat of(ulong x) { return bfloat(to_float(x, true)); }
};
template <>
struct FromDouble<complex64_t> {
  static complex64_t of(ulong x) { return make_complex64(to_float(x, false), 0.0f); }
};

} // namespace soft
