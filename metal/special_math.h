// Functions of float that need care: powers, sums of exponentials, error functions, hypot, and division with Python's
// signs, which is exact.
#pragma once

#include "float_math.h"

namespace accurate {

// exp(y log |x|) with the logarithm in a pair, then C's rules for signs and edges
inline float power(float x, float y) {
  const float ax = magnitude(x);
  if (y == 0.0f || x == 1.0f) {
    return 1.0f;
  }
  if (is_nan(x) || is_nan(y)) {
    return x + y;
  }
  const bool whole = is_infinite(y) || trunc(y) == y; // infinities are even
  const float half_y = y * 0.5f;
  const bool odd = whole && !is_infinite(y) && trunc(half_y) != half_y;
  const bool negative = is_negative(x);
  float result;
  if (ax == 1.0f) {
    result = 1.0f; // also 1^inf
  } else if (ax == 0.0f || ax == infinity) {
    result = (ax == 0.0f) == (y < 0.0f) ? infinity : 0.0f;
  } else if (is_infinite(y)) {
    result = (ax > 1.0f) == (y > 0.0f) ? infinity : 0.0f;
  } else {
    const Pair log_x = logarithm_pair({ax, 0.0f});
    const float estimate = log_x.hi * y;
    if (estimate > 89.0f) {
      result = infinity;
    } else if (estimate < -105.0f) {
      result = 0.0f;
    } else {
      const Pair e = exponential_pair(multiply(log_x, y));
      result = e.hi + e.lo;
    }
  }
  if (negative && !whole && ax > 0.0f && ax < infinity) {
    return quiet_nan();
  }
  return negative && odd ? -result : result;
}

// max + log1p(exp(-|a - b|)) in pairs, equal infinities included
inline float log_sum_exp(float a, float b) {
  if (is_nan(a) || is_nan(b)) {
    return a + b;
  }
  const float larger = a > b ? a : b;
  if (a == b) {
    return is_infinite(a) ? a : add(exact_sum(larger, 0x1.62e43p-1f), -0x1.05c61p-29f).hi;
  }
  if (is_infinite(a) || is_infinite(b)) {
    return larger + 0.0f; // -0 becomes 0
  }
  const Pair gap = exact_sum(larger, -(a > b ? b : a));
  if (!(gap.hi < 80.0f)) {
    return larger + exponential(-gap.hi);
  }
  const Pair e = exponential_pair({-gap.hi, -gap.lo});
  if (e.hi < 0x1p-13f) { // log1p(e) = e - e^2 / 2 + ...
    return add(add(exact_sum(larger, e.hi), e.lo), -0.5f * e.hi * e.hi).hi;
  }
  return add(logarithm_pair(add(e, 1.0f)), larger).hi;
}

// In pairs of numbers scaled to where squares neither overflow nor vanish
inline float length(float x, float y) {
  const float ax = magnitude(x), ay = magnitude(y);
  if (ax == infinity || ay == infinity) {
    return infinity; // even beside NaN
  }
  if (is_nan(x) || is_nan(y)) {
    return quiet_nan();
  }
  const float larger = ax > ay ? ax : ay;
  const float down = larger > 0x1p60f ? 0x1p-66f : larger < 0x1p-40f ? 0x1p80f : 1.0f;
  const float up = larger > 0x1p60f ? 0x1p66f : larger < 0x1p-40f ? 0x1p-80f : 1.0f;
  const float u = ax * down, v = ay * down;
  const Pair root = square_root(add(exact_product(u, u), exact_product(v, v)));
  return (root.hi + root.lo) * up;
}

// Up to 1 an odd polynomial; above, 1 - exp(a polynomial fitted to log erfc), until erfc no longer counts
inline float error_function(float x) {
  if (is_nan(x)) {
    return x;
  }
  const float y = least(magnitude(x), 4.05f);
  if (y < 1.0f) {
    const float z = y * y;
    float p = 7.84651638e-05f;
    p = fma(p, z, -0.000800797483f);
    p = fma(p, z, 0.00518808141f);
    p = fma(p, z, -0.0268536936f);
    p = fma(p, z, 0.112835832f);
    p = fma(p, z, -0.37612626f);
    p = fma(p, z, 0.128379166f);
    return with_sign(fma(p, y, y), x);
  }
  float p = -2.16992757e-05f;
  p = fma(p, y, 0.000441489479f);
  p = fma(p, y, -0.00420535915f);
  p = fma(p, y, 0.0252105296f);
  p = fma(p, y, -0.108422406f);
  p = fma(p, y, -0.633216083f);
  p = fma(p, y, -1.1295805f);
  p = fma(p, y, 0.000188516162f);
  const Reduced a = reduce_log_two(p);
  const float erfc = (expm1_reduced(a.r) + 1.0f) * power_of_two(small_integer(a.n));
  return with_sign(1.0f - erfc, x);
}

// x p(w), w = -log(1 - x^2), which is smooth in w, and in sqrt(w) for larger w
inline float inverse_error_function(float x) {
  const float y = magnitude(x);
  if (!(y < 1.0f)) {
    return y == 1.0f ? with_sign(infinity, x) : is_nan(x) ? x : quiet_nan();
  }
  const Pair square = exact_product(x, x);
  const Pair log_rest = logarithm_pair(add(Pair{-square.hi, -square.lo}, 1.0f));
  const float w = -log_rest.hi;
  if (w < 5.0f) {
    const float c = w - 2.5f;
    float p = -8.65819327e-09f;
    p = fma(p, c, 2.42507934e-08f);
    p = fma(p, c, 4.64262229e-07f);
    p = fma(p, c, -3.47692276e-06f);
    p = fma(p, c, -4.95412814e-06f);
    p = fma(p, c, 0.000218410481f);
    p = fma(p, c, -0.00125275867f);
    p = fma(p, c, -0.00417750003f);
    p = fma(p, c, 0.246640295f);
    p = fma(p, c, 1.50140941f);
    return x * p;
  }
  const float s = sqrt(w) - 3.0f;
  float p = 9.88064203e-05f;
  p = fma(p, s, -0.000291884033f);
  p = fma(p, s, -3.26888985e-05f);
  p = fma(p, s, 0.00146253745f);
  p = fma(p, s, -0.00361010619f);
  p = fma(p, s, 0.00569583802f);
  p = fma(p, s, -0.00763444975f);
  p = fma(p, s, 0.00944422279f);
  p = fma(p, s, 1.00167477f);
  p = fma(p, s, 2.83297682f);
  return x * p;
}

// ---- division of magnitudes: floor(x / m), and x less that many m, which is in [0, m) ----

struct Division {
  float quotient, rest;
};

constant constexpr float quotient_limit = 0x1p24f; // from here on, whole numbers are not all floats

// The rest by steps, each of which takes a quotient rounded to the digits there are away from x, exactly. A quotient
// that is infinite is made with both sides scaled towards each other.
inline float rest_of_huge(float x, float m) {
  float r = x;
  for (uint step = 0; step < 64u && magnitude(r) >= quotient_limit * m; ++step) {
    if (magnitude(r / m) == infinity) {
      const float from = r * 0x1p-75f, by = m * 0x1p75f;
      r = fma(-(from / by), by, from) * 0x1p75f;
    } else {
      r = fma(-(r / m), m, r);
    }
  }
  const float q = trunc(r / m);
  r = q == 0.0f ? r : fma(-q, m, r);
  return r < 0.0f ? r + m : r;
}

// The huge quotient rounded to nearest. Where the whole number is half way between two floats and x / m lies beyond,
// the tie goes to the even one.
inline float huge_quotient(float x, float m, float rounded, bool up) {
  const uint bits = as_type<uint>(rounded);
  const float half_gap = as_type<float>(bits & 0x7f800000u) * (1.0f / quotient_limit);
  const float r = fma(-rounded, m, x);
  const float beyond = up ? fma(half_gap, m, -r) : fma(half_gap, m, r);
  const bool tie = (bits & 1u) != 0u && beyond > 0.0f && beyond < m && rounded < infinity;
  const float gap = half_gap + half_gap;
  const float result = tie ? (up ? rounded + gap : rounded - gap) : rounded;
  return rounded == quotient_limit && r < 0.0f && !up ? result - 1.0f : result;
}

inline Division divide_magnitudes(float x, float m, float rounded, bool opposite) {
  if (rounded >= quotient_limit) {
    if (m == 0.0f || x == infinity) {
      return {rounded, quiet_nan()};
    }
    return {huge_quotient(x, m, rounded, opposite), rest_of_huge(x, m)};
  }
  float q = trunc(rounded);
  float r = q == 0.0f ? x : fma(-q, m, x); // 0 times an infinite m is no number
  if (r < 0.0f) {
    r += m;
    q -= 1.0f;
  }
  return {q, r};
}

inline float floored_quotient(float a, float b) {
  const float x = magnitude(a), m = magnitude(b), rounded = x / m;
  const bool opposite = is_negative(a) != is_negative(b);
  const Division z = divide_magnitudes(x, m, rounded, opposite);
  const bool up = opposite && z.rest != 0.0f && m < infinity && !(rounded >= quotient_limit);
  const float q = up ? z.quotient + 1.0f : z.quotient;
  return opposite ? -q : q;
}

// With the divisor's sign, which a remainder of 0 has, too
inline float floored_remainder(float a, float b) {
  const float x = magnitude(a), m = magnitude(b), rounded = x / m;
  const bool opposite = is_negative(a) != is_negative(b);
  const Division z = divide_magnitudes(x, m, rounded, opposite);
  return with_sign(opposite && z.rest != 0.0f ? m - z.rest : z.rest, b);
}

// The neighbour of a towards b, on the bits of a type: magnitudes are ordered as their bits are.
template <typename U>
inline U neighbour(U a, U b, U sign, U infinite) {
  const U ma = U(a & U(~sign)), mb = U(b & U(~sign));
  if (ma > infinite) {
    return a;
  }
  if (mb > infinite || a == b || (ma == 0 && mb == 0)) {
    return b;
  }
  if (ma == 0) {
    return U((b & sign) | 1);
  }
  const bool same_sign = ((a ^ b) & sign) == 0;
  return U(same_sign && mb > ma ? a + 1 : a - 1);
}

} // namespace accurate
