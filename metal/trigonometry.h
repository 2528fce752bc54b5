// Trigonometric and hyperbolic functions of float and their inverses, accurate to about two units in the last place for
// arguments of any size.
#pragma once

#include "float_math.h"

namespace accurate {

// An angle less a multiple of pi or pi/2, as an unevaluated sum.
struct Angle {
  float r, low;
};

// y - q unit, unit = share pi, exact enough while y <= 1600: the first pieces of pi are short, so that q times them is
// exact.
inline Angle subtract_multiple(float y, float q, float share) {
  const float a = fma(-q, share * 0x1.9218p+1f, y);
  const float b = q * (share * 0x1.ed5p-13f);
  const float c = q * (share * 0x1.10bp-29f);
  const float u = a - b;
  const float lost_b = (a - u) - b;
  const float r = u - c;
  const float lost_c = (u - r) - c;
  return {r, fma(-q, share * 0x1.184698p-43f, lost_b + lost_c)};
}

// Words of 2^-32 2/pi: an integer one, then fractions.
inline uint two_over_pi(uint i) {
  switch (i) {
    case 0:
    case 1: return 0u;
    case 2: return 0xa2f9836eu;
    case 3: return 0x4e441529u;
    case 4: return 0xfc2757d1u;
    case 5: return 0xf534ddc0u;
    case 6: return 0xdb629599u;
    case 7: return 0x3c439041u;
    default: return 0xfe5163abu;
  }
}

struct Quadrant {
  Angle angle; // in [-pi/4, pi/4]
  uint number; // of quarter turns, modulo 4
};

// y = number pi/2 + angle for y above 1600: the bits of y times those of 2/pi that matter, from the weight 4 on.
inline Quadrant reduce_large(float y) {
  const uint bits = as_type<uint>(y);
  const uint mantissa = (bits & 0x7fffffu) | 0x800000u;
  const uint shift = (bits >> 23) - 127u - 23u + 32u; // y = mantissa 2^(shift - 32); shift is in [19, 136]
  const uint word = shift >> 5, by = shift & 31u;
  uint w[4];
  for (uint i = 0; i < 4; ++i) {
    const uint upper = two_over_pi(word + i), lower = two_over_pi(word + i + 1);
    w[i] = by == 0u ? upper : (upper << by) | (lower >> (32u - by));
  }
  // mantissa * (w0 . w1 w2 w3), of which 32 bits of the integer and 64 of the fraction are kept
  const ulong p2 = ulong(mantissa) * w[2];
  const ulong p1 = ulong(mantissa) * w[1];
  const ulong p0 = ulong(mantissa) * w[0];
  const ulong p3 = ulong(mantissa) * w[3];
  const ulong lowest = p2 + (p3 >> 32);
  const ulong middle = p1 + (lowest >> 32);
  const uint integer = uint(p0) + uint(middle >> 32);
  const ulong fraction = (middle << 32) | (lowest & 0xffffffffu);
  // quarter turns: to the nearest
  const uint up = uint(fraction >> 63);
  const bool negative = up != 0u;
  ulong rest = negative ? 0ul - fraction : fraction;
  Quadrant result;
  result.number = (integer + up) & 3u;
  if (rest == 0ul) {
    result.angle = {0.0f, 0.0f};
    return result;
  }
  const int zeros = int(clz(rest));
  rest <<= zeros;
  const float hi = float(uint(rest >> 40)); // 24 bits
  const float lo = float(uint(rest >> 16) & 0xffffffu);
  const float unit = power_of_two(-24 - zeros);
  const Pair turn = {hi * unit, lo * unit * 0x1p-24f};
  const Pair angle = multiply(turn, Pair{0x1.921fb6p+0f, -0x1.777a5cp-25f});
  result.angle = {negative ? -angle.hi : angle.hi, negative ? -angle.lo : angle.lo};
  return result;
}

// sin(r + low) for |r| <= 1.575
inline float sin_reduced(Angle angle) {
  const float z = angle.r * angle.r;
  float p = -2.5017119e-08f;
  p = fma(p, z, 2.75996581e-06f);
  p = fma(p, z, -0.000198426002f);
  p = fma(p, z, 0.00833334774f);
  p = fma(p, z, -0.166666672f);
  const float slope = fma(-z, 0.5f, 1.0f);
  const float s = angle.r + fma(p * z, angle.r, angle.low * slope);
  return most(least(s, 1.0f), -1.0f); // rounding can lead past 1, and arcsin(sin(x)) to NaN
}
// cos(r + low) for |r| <= pi/4, as sin(pi/2 - |r|)
inline float cos_reduced(Angle angle) {
  const float flip = is_negative(angle.r) ? -1.0f : 1.0f;
  const float y = flip * angle.r;
  const Pair d = exact_sum(0x1.921fb6p+0f, -y);
  return sin_reduced({d.hi, d.lo - 0x1.777a5cp-25f - flip * angle.low});
}

constant constexpr float small_angle = 1600.0f;

inline float sine(float x) {
  const float y = magnitude(x);
  const uint sign = as_type<uint>(x) & 0x80000000u;
  if (y <= small_angle) {
    const float q = round_small(y * 0.31830988618379067154f);
    const float s = sin_reduced(subtract_multiple(y, q, 1.0f));
    return flip_sign(s, sign ^ (uint(int(q)) << 31));
  }
  if (!(y < infinity)) {
    return is_nan(x) ? x : quiet_nan();
  }
  const Quadrant a = reduce_large(y);
  const float s = (a.number & 1u) != 0u ? cos_reduced(a.angle) : sin_reduced(a.angle);
  return flip_sign(s, sign ^ ((a.number & 2u) << 30));
}

// cos(y) = -(-1)^k sin(y - (2k + 1) pi/2)
inline float cosine(float x) {
  const float y = magnitude(x);
  if (y <= small_angle) {
    const float k = round_small(fma(y, 0.31830988618379067154f, -0.5f));
    const float q = fma(k, 2.0f, 1.0f);
    const float s = sin_reduced(subtract_multiple(y, q, 0.5f));
    return flip_sign(s, uint(int(k) + 1) << 31);
  }
  if (!(y < infinity)) {
    return is_nan(x) ? x : quiet_nan();
  }
  const Quadrant a = reduce_large(y);
  const float s = (a.number & 1u) != 0u ? sin_reduced(a.angle) : cos_reduced(a.angle);
  return flip_sign(s, ((a.number + 1u) & 2u) << 30);
}

inline float tangent(float x) {
  const float y = magnitude(x);
  if (!(y < infinity)) {
    return is_nan(x) ? x : quiet_nan();
  }
  Angle a;
  bool is_odd;
  if (y <= small_angle) {
    const float q = round_small(y * 0.63661977236758134308f);
    a = subtract_multiple(y, q, 0.5f);
    is_odd = (int(q) & 1) != 0;
  } else {
    const Quadrant large = reduce_large(y);
    a = large.angle;
    is_odd = (large.number & 1u) != 0u;
  }
  const float z = a.r * a.r;
  float p = 0.00439036824f;
  p = fma(p, z, 6.55768381e-05f);
  p = fma(p, z, 0.0108503066f);
  p = fma(p, z, 0.021278739f);
  p = fma(p, z, 0.0540600307f);
  p = fma(p, z, 0.133326694f);
  p = fma(p, z, 0.333333492f);
  const float t = a.r + fma(p * z, a.r, fma(z, a.low, a.low));
  return flip_sign(is_odd ? -1.0f / t : t, as_type<uint>(x) & 0x80000000u);
}

// ---- inverses ----

constant constexpr float half_pi_high = 0x1.921fb6p+0f, half_pi_low = -0x1.777a5cp-25f;

// asin(s) - s for 0 <= s <= 1/2, z = s^2
inline float arcsin_correction(float s, float z) {
  float p = 0.0375731662f;
  p = fma(p, z, 0.0143932803f);
  p = fma(p, z, 0.0318214446f);
  p = fma(p, z, 0.0445150174f);
  p = fma(p, z, 0.0750051662f);
  p = fma(p, z, 0.166666597f);
  return (p * z) * s;
}

// Above 1/2: asin(y) = pi/2 - 2 asin(sqrt((1 - y) / 2))
inline float arcsine(float x) {
  const float y = magnitude(x);
  const bool large = y > 0.5f;
  const float z = large ? fma(-y, 0.5f, 0.5f) : y * y;
  const float s = large ? sqrt(z) : y;
  const float correction = arcsin_correction(s, z);
  const float folded = half_pi_high - 2.0f * s;
  const float lost = (half_pi_high - folded) - 2.0f * s;
  const float upper = folded + ((lost + half_pi_low) + -2.0f * correction);
  return with_sign(large ? upper : s + correction, x);
}

// acos(x) = pi/2 - asin(x); above 1/2, 2 asin(sqrt((1 - x) / 2)); below -1/2, pi less that of -x
inline float arccosine(float x) {
  const float y = magnitude(x);
  const bool large = y > 0.5f, negative = x < 0.0f;
  const float z = large ? fma(-y, 0.5f, 0.5f) : y * y;
  const float s = large ? sqrt(z) : y;
  const float correction = arcsin_correction(s, z);
  const bool inner = large && !negative;
  const float outer = inner ? 0.0f : half_pi_high, outer_low = inner ? 0.0f : half_pi_low;
  const uint flip = large != negative ? 0u : 0x80000000u;
  const float signed_s = flip_sign(s, flip);
  const float sum = outer + signed_s;
  const float lost = (outer - sum) + signed_s;
  const float result = sum + ((lost + outer_low) + flip_sign(correction, flip));
  return result * (large ? 2.0f : 1.0f);
}

// atan(y + low) for y >= 0 as a pair: about 0 up to tan(pi/8), about 1 up to tan(3 pi/8), about infinity above
inline Pair arctan_positive(float y, float low) {
  const bool high = y > 2.41421356237309504880f, middle = y > 0.41421356237309504880f;
  const float numerator = high ? -1.0f : middle ? y - 1.0f : y;
  const float denominator = high ? y : middle ? y + 1.0f : 1.0f;
  const float t = numerator / denominator;
  const float z = t * t;
  float p = -0.0609033071f;
  p = fma(p, z, 0.105993427f);
  p = fma(p, z, -0.142444208f);
  p = fma(p, z, 0.199985296f);
  p = fma(p, z, -0.333333164f);
  const float share = high ? 1.0f : middle ? 0.5f : 0.0f; // of pi/2
  const float from_low = low == 0.0f ? 0.0f : low / fma(y, y, 1.0f);
  const float small = fma(p * z, t, share * half_pi_low) + from_low;
  return quick_sum(share * half_pi_high, t + small);
}
inline float arctangent(float x) { return is_nan(x) ? x : with_sign(arctan_positive(magnitude(x), 0.0f).hi, x); }

// From the smaller over the larger magnitude, then the octant's reflections. 0 / 0 counts as 0, inf / inf as 1.
inline float arctangent2(float y, float x) {
  if (is_nan(x) || is_nan(y)) {
    return x + y;
  }
  const float ay = magnitude(y), ax = magnitude(x);
  const bool steep = ay > ax;
  float larger = steep ? ay : ax, smaller = steep ? ax : ay;
  if (larger < 0x1p-60f) { // so that what the quotient leaves is not lost
    larger *= 0x1p64f;
    smaller *= 0x1p64f;
  }
  float quotient = smaller / larger;
  float rest = fma(-quotient, larger, smaller) / larger;
  if (larger == 0.0f || larger == infinity) {
    quotient = larger == infinity && smaller == infinity ? 1.0f : 0.0f;
    rest = 0.0f;
  }
  rest = quotient < 0x1p-60f ? 0.0f : rest;
  Pair angle = arctan_positive(quotient, rest);
  if (steep) {
    angle = add(Pair{half_pi_high, half_pi_low}, Pair{-angle.hi, -angle.lo});
  }
  if (is_negative(x)) {
    angle = add(Pair{2.0f * half_pi_high, 2.0f * half_pi_low}, Pair{-angle.hi, -angle.lo});
  }
  return with_sign(angle.hi, y);
}

// ---- hyperbolic ----

inline float half_exp_magnitude(float x) { return scaled_exp(least(magnitude(x), 90.0f), -1); }

inline float hyperbolic_sine(float x) {
  const float y = magnitude(x), z = x * x;
  if (is_nan(x)) {
    return x;
  }
  if (y <= 1.0f) {
    float p = 2.7899996e-06f;
    p = fma(p, z, 0.000198416645f);
    p = fma(p, z, 0.00833331514f);
    p = fma(p, z, 0.166666672f);
    return with_sign(fma(p * z, y, y), x);
  }
  const float e = half_exp_magnitude(x);
  return with_sign(e - 0.25f / e, x);
}
inline float hyperbolic_cosine(float x) {
  const float e = half_exp_magnitude(x);
  return is_nan(x) ? x : e + 0.25f / e;
}
// An odd polynomial near 0, else 1 - 2 / (exp(2 y) + 1)
inline float hyperbolic_tangent(float x) {
  const float y = least(magnitude(x), 10.0f), z = y * y;
  if (is_nan(x)) {
    return x;
  }
  if (y < 0.625f) {
    float p = 0.00204071449f;
    p = fma(p, z, -0.00806078408f);
    p = fma(p, z, 0.0216510519f);
    p = fma(p, z, -0.0539370924f);
    p = fma(p, z, 0.133331224f);
    p = fma(p, z, -0.333333284f);
    return with_sign(fma(p * z, y, y), x);
  }
  const Reduced a = reduce_log_two(y + y);
  const float e = (expm1_reduced(a.r) + 1.0f) * power_of_two(small_integer(a.n));
  return with_sign(1.0f - 2.0f / (e + 1.0f), x);
}

// log(y + sqrt(y^2 + 1)) in pairs; below 2^-12 the odd series, above 2^40 log(2 y)
inline float inverse_hyperbolic_sine(float x) {
  const float y = magnitude(x);
  if (!(y < infinity)) {
    return x;
  }
  if (y < 0x1p-8f) {
    const float z = y * y;
    return with_sign(fma(fma(0.075f, z, -0x1.555556p-3f) * z, y, y), x);
  }
  const Pair log_two = {0x1.62e43p-1f, -0x1.05c61p-29f};
  Pair result;
  if (y > 0x1p40f) {
    result = add(logarithm_pair({y, 0.0f}), log_two);
  } else {
    result = logarithm_pair(add(square_root(add(exact_product(y, y), 1.0f)), y));
  }
  return with_sign(result.hi, x);
}

// log(x + sqrt(x^2 - 1)), x^2 - 1 = t (t + 2), t = x - 1
inline float inverse_hyperbolic_cosine(float x) {
  if (!(x >= 1.0f && x < infinity)) {
    return x < 1.0f ? quiet_nan() : x;
  }
  if (x > 0x1p40f) {
    return add(logarithm_pair({x, 0.0f}), Pair{0x1.62e43p-1f, -0x1.05c61p-29f}).hi;
  }
  const Pair t = exact_sum(x, -1.0f);
  const Pair root = square_root(multiply(t, add(t, 2.0f)));
  return logarithm_pair(add(root, x)).hi;
}

// log((1 + y) / (1 - y)) / 2; near 0 the odd series
inline float inverse_hyperbolic_tangent(float x) {
  const float y = magnitude(x);
  if (!(y < 1.0f)) {
    return y == 1.0f ? with_sign(infinity, x) : is_nan(x) ? x : quiet_nan();
  }
  if (y < 0x1p-7f) {
    const float z = y * y;
    return with_sign(fma(fma(fma(1.0f / 7.0f, z, 0.2f), z, 0x1.555556p-2f) * z, y, y), x);
  }
  const Pair ratio = divide(exact_sum(1.0f, y), exact_sum(1.0f, -y));
  return with_sign(0.5f * logarithm_pair(ratio).hi, x);
}

} // namespace accurate
