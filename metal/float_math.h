// Elementary functions of float, accurate to about one unit in the last place and the same on every device: made of
// additions, products, fma, division and sqrt, which are exact to half a unit where fast math is off.
#pragma once

#include <metal_stdlib>

// A product and a sum that are written apart are rounded apart, as on the CPU.
#pragma METAL fp contract(off)

namespace accurate {

using namespace metal;

constant constexpr float infinity = INFINITY;

inline float quiet_nan() { return as_type<float>(0x7fc00000u); }
inline bool is_nan(float x) { return (as_type<uint>(x) & 0x7fffffffu) > 0x7f800000u; }
inline bool is_infinite(float x) { return (as_type<uint>(x) & 0x7fffffffu) == 0x7f800000u; }
inline bool is_negative(float x) { return (as_type<uint>(x) >> 31) != 0; }
inline float magnitude(float x) { return as_type<float>(as_type<uint>(x) & 0x7fffffffu); }
inline float with_sign(float x, float sign) {
  return as_type<float>((as_type<uint>(x) & 0x7fffffffu) | (as_type<uint>(sign) & 0x80000000u));
}
inline float flip_sign(float x, uint sign_bit) { return as_type<float>(as_type<uint>(x) ^ sign_bit); }
inline float least(float a, float b) { return b < a ? b : a; }
inline float most(float a, float b) { return b > a ? b : a; }

// To the nearest integer, ties to even, for |x| < 2^22.
inline float round_small(float x) {
  const float magic = 12582912.0f; // 1.5 * 2^23
  return (x + magic) - magic;
}
inline int small_integer(float n) { return int(n); }

// 2^n as a number, for n in [-126, 127].
inline float power_of_two(int n) { return as_type<float>(uint(n + 127) << 23); }
// x 2^n, rounded once where the first factor keeps x normal. Beyond [-252, 254] it counts as the nearer of them.
inline float scale(float x, int n) {
  n = n < -252 ? -252 : n > 254 ? 254 : n;
  const int half_n = n >> 1;
  return x * power_of_two(half_n) * power_of_two(n - half_n);
}

// ---- pairs: an unevaluated sum hi + lo with |lo| at most half a unit of hi, about 48 bits ----

struct Pair {
  float hi, lo;
};

inline Pair quick_sum(float a, float b) { // |a| >= |b|, or a == 0
  const float s = a + b;
  return {s, b - (s - a)};
}
inline Pair exact_sum(float a, float b) {
  const float s = a + b;
  const float from_b = s - a;
  return {s, (a - (s - from_b)) + (b - from_b)};
}
inline Pair exact_product(float a, float b) {
  const float p = a * b;
  return {p, fma(a, b, -p)};
}
inline Pair add(Pair a, Pair b) {
  const Pair s = exact_sum(a.hi, b.hi);
  const Pair t = exact_sum(a.lo, b.lo);
  const Pair u = quick_sum(s.hi, s.lo + t.hi);
  return quick_sum(u.hi, u.lo + t.lo);
}
inline Pair add(Pair a, float b) {
  const Pair s = exact_sum(a.hi, b);
  return quick_sum(s.hi, s.lo + a.lo);
}
inline Pair multiply(Pair a, Pair b) {
  const Pair p = exact_product(a.hi, b.hi);
  return quick_sum(p.hi, p.lo + fma(a.hi, b.lo, a.lo * b.hi));
}
inline Pair multiply(Pair a, float b) {
  const Pair p = exact_product(a.hi, b);
  return quick_sum(p.hi, fma(a.lo, b, p.lo));
}
inline Pair divide(Pair a, Pair b) {
  const float q = a.hi / b.hi;
  const Pair back = multiply(b, q);
  const float rest = ((a.hi - back.hi) - back.lo) + a.lo;
  return quick_sum(q, rest / b.hi);
}
inline Pair square_root(Pair a) {
  const float s = sqrt(a.hi);
  if (s == 0.0f) {
    return {s, 0.0f};
  }
  const float rest = fma(-s, s, a.hi) + a.lo;
  return quick_sum(s, rest / (2.0f * s));
}

// ---- exponential ----

struct Reduced {
  float n, r;
};
// x = n ln 2 + r, |r| <= ln(2) / 2. The high part of ln 2 ends in zeros, so that n times it is exact.
inline Reduced reduce_log_two(float x) {
  const float n = round_small(x * 1.44269504088896340736f);
  float r = fma(-n, 0x1.62e4p-1f, x);
  r = fma(-n, 0x1.7f7d1cp-20f, r);
  return {n, r};
}

// exp(r) - 1 for |r| <= 0.3475
inline float expm1_reduced(float r) {
  float p = 0.000197436108f;
  p = fma(p, r, 0.00139337394f);
  p = fma(p, r, 0.0083335666f);
  p = fma(p, r, 0.0416664779f);
  p = fma(p, r, 0.166666657f);
  p = fma(p, r, 0.5f);
  return fma(p, r * r, r);
}

inline float clamp_exponent(float x) { return least(most(x, -105.0f), 90.0f); }

inline float scaled_exp(float x, int shift) { // for clamped x, times 2^shift
  const Reduced a = reduce_log_two(x);
  return scale(expm1_reduced(a.r) + 1.0f, small_integer(a.n) + shift);
}

inline float exponential(float x) { return is_nan(x) ? x : scaled_exp(clamp_exponent(x), 0); }

inline float exponential2(float x) {
  const float y = least(most(x, -151.0f), 129.0f);
  const float n = round_small(y);
  const float r = (y - n) * 0.693147180559945309417f;
  return is_nan(x) ? x : scale(expm1_reduced(r) + 1.0f, small_integer(n));
}

// exp(x) - 1 as 2^n expm1(r) + (2^n - 1), 2^n = s t, the bracket taken as (s - 1/t) t
inline float exponential_minus_one(float x) {
  const float y = least(most(x, -30.0f), 90.0f);
  const Reduced a = reduce_log_two(y);
  const float p = expm1_reduced(a.r);
  const int n = small_integer(a.n);
  const int half_n = n >> 1;
  const float s = power_of_two(half_n), t = power_of_two(n - half_n), inverse = power_of_two(half_n - n);
  const float z = fma(p, s, s - inverse) * t;
  return is_nan(x) ? x : with_sign(z, x);
}

inline float logistic(float x) {
  const float e = scaled_exp(clamp_exponent(-magnitude(x)), 0);
  return is_nan(x) ? x : (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// exp(a) as a pair, for a.hi in [-87, 88]; relative error about 2^-31
inline Pair exponential_pair(Pair a) {
  const float n = round_small(a.hi * 1.44269504088896340736f);
  const float high = fma(-n, 0x1.62e4p-1f, a.hi); // exact
  const Pair low = exact_product(n, 0x1.7f7d1cp-20f);
  Pair r = exact_sum(high, -low.hi);
  r = quick_sum(r.hi, r.lo + (a.lo - low.lo));
  float p = 0.000197436108f;
  p = fma(p, r.hi, 0.00139337394f);
  p = fma(p, r.hi, 0.0083335666f);
  p = fma(p, r.hi, 0.0416664779f);
  p = fma(p, r.hi, 0.166666657f);
  const Pair square = multiply(r, r);
  Pair sum = add(r, Pair{0.5f * square.hi, 0.5f * square.lo});
  sum = add(sum, p * r.hi * square.hi);
  sum = add(sum, 1.0f);
  const int e = small_integer(n);
  const int half_e = e >> 1;
  const float f = power_of_two(half_e), g = power_of_two(e - half_e);
  return {sum.hi * f * g, sum.lo * f * g};
}

// ---- logarithm ----

struct LogReduced {
  float exponent, fraction;
};
// x = 2^exponent (1 + fraction), sqrt(1/2) <= 1 + fraction < sqrt(2), for normal x > 0
inline LogReduced reduce_log_normal(float x) {
  const uint shifted = as_type<uint>(x) + (0x3f800000u - 0x3f3504f3u);
  const float exponent = float(int(shifted >> 23) - 127);
  const float m = as_type<float>((shifted & 0x7fffffu) + 0x3f3504f3u);
  return {exponent, m - 1.0f};
}
inline LogReduced reduce_log(float x) {
  const bool tiny = x < 0x1p-126f;
  LogReduced a = reduce_log_normal(tiny ? x * 0x1p25f : x);
  a.exponent -= tiny ? 25.0f : 0.0f;
  return a;
}

// log(1 + f) - f + extra
inline float log_correction(float f, float extra) {
  const float half_square = (f * f) * 0.5f;
  float p = 0.0673294216f;
  p = fma(p, f, -0.116613567f);
  p = fma(p, f, 0.11886581f);
  p = fma(p, f, -0.124081269f);
  p = fma(p, f, 0.142201856f);
  p = fma(p, f, -0.166678563f);
  p = fma(p, f, 0.200020745f);
  p = fma(p, f, -0.250000119f);
  p = fma(p, f, 0.333333135f);
  return fma(p * f, f * f, extra) - half_square;
}
inline float assemble_log(float exponent, float fraction, float extra) {
  const float low = fma(exponent, 0x1.7f7d1cp-20f, extra);
  return exponent * 0x1.62e4p-1f + (fraction + log_correction(fraction, low));
}
inline float log_edges(float x, float result) {
  if (x > 0.0f && x < infinity) {
    return result;
  }
  return x == 0.0f ? -infinity : x < 0.0f ? quiet_nan() : x;
}

inline float logarithm(float x) {
  const LogReduced a = reduce_log(x);
  return log_edges(x, assemble_log(a.exponent, a.fraction, 0.0f));
}

// In another base: log(1 + f) splits into a short high part, whose product with a short constant is exact, and the
// rest, so that powers of the base give exact results.
inline float log_in_base(
    float x, float per_log_high, float per_log_low, float per_log, float per_exponent_high, float per_exponent_low) {
  const LogReduced r = reduce_log(x);
  const float correction = log_correction(r.fraction, 0.0f);
  const float high = as_type<float>(as_type<uint>(r.fraction + correction) & 0xfffff000u);
  const float low = (r.fraction - high) + correction;
  const float a = r.exponent * per_exponent_high;
  const float b = high * per_log_high;
  const float sum = a + b;
  const float lost = (a - sum) + b;
  const float small = fma(r.exponent, per_exponent_low, fma(high, per_log_low, low * per_log));
  return log_edges(x, sum + (lost + small));
}
inline float logarithm2(float x) {
  return log_in_base(x, 0x1.716000p+0f, -0x1.7135a8p-13f, 1.44269504088896340736f, 1.0f, 0.0f);
}
inline float logarithm10(float x) {
  return log_in_base(x, 0x1.bcc000p-2f, -0x1.09d5b2p-15f, 0.43429448190325182765f, 0x1.344000p-2f, 0x1.3509f8p-18f);
}

// log(1 + x) for finite x > -1: u = 1 + x is rounded, and log(u) corrected by the rounding error over u.
inline float log1p_finite(float x) {
  const float u = 1.0f + x;
  const float error = x > 1.0f ? 1.0f - (u - x) : x - (u - 1.0f);
  const LogReduced a = reduce_log_normal(u);
  const bool unreduced = a.exponent == 0.0f; // then f is x itself
  return assemble_log(a.exponent, unreduced ? x : a.fraction, unreduced ? 0.0f : error / u);
}
inline float log_one_plus(float x) {
  if (x > -1.0f && x < infinity && x != 0.0f) {
    return log1p_finite(x);
  }
  return x == -1.0f ? -infinity : x < -1.0f ? quiet_nan() : x;
}

// log(a) for a normal pair a > 0, relative error about 2^-36 where a is not near 1, absolute 2^-45 there:
// log(m) = 2 s (1 + z / 3 + z^2 / 5 + ...), s = (m - 1) / (m + 1), z = s^2
inline Pair logarithm_pair(Pair a) {
  const bool tiny = a.hi < 0x1p-100f;
  a.hi = tiny ? a.hi * 0x1p100f : a.hi;
  a.lo = tiny ? a.lo * 0x1p100f : a.lo;
  const LogReduced r = reduce_log_normal(a.hi);
  const int e = small_integer(r.exponent);
  const int half_e = e >> 1;
  const float low = a.lo * power_of_two(-half_e) * power_of_two(half_e - e);
  const Pair top = exact_sum(r.fraction, low);
  const Pair bottom = add(exact_sum(r.fraction, 2.0f), low);
  const Pair s = divide(top, bottom);
  const Pair z = multiply(s, s);
  float q = 1.0f / 15.0f;
  q = fma(q, z.hi, 1.0f / 13.0f);
  q = fma(q, z.hi, 1.0f / 11.0f);
  q = fma(q, z.hi, 1.0f / 9.0f);
  q = fma(q, z.hi, 1.0f / 7.0f);
  q = fma(q, z.hi, 1.0f / 5.0f);
  Pair factor = multiply(z, Pair{0x1.555556p-2f, -0x1.555556p-27f}); // z / 3
  factor = add(factor, q * z.hi * z.hi);
  factor = add(factor, 1.0f);
  Pair result = multiply(Pair{2.0f * s.hi, 2.0f * s.lo}, factor);
  const float exponent = r.exponent - (tiny ? 100.0f : 0.0f);
  const Pair high = exact_product(exponent, 0x1.62e4p-1f); // exact
  const Pair middle = exact_product(exponent, 0x1.7f7d1cp-20f);
  result = add(result, middle);
  return add(result, high);
}

} // namespace accurate
