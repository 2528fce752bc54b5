// complex64_t: two floats in memory, and its arithmetic.
#pragma once

#include "special_math.h"

struct complex64_t {
  float re, im;
};

inline complex64_t make_complex64(float re, float im) {
  complex64_t z;
  z.re = re;
  z.im = im;
  return z;
}
inline bool operator==(complex64_t a, complex64_t b) { return a.re == b.re && a.im == b.im; }
inline bool operator!=(complex64_t a, complex64_t b) { return !(a == b); }
inline complex64_t operator+(complex64_t a, complex64_t b) { return make_complex64(a.re + b.re, a.im + b.im); }
inline complex64_t operator-(complex64_t a, complex64_t b) { return make_complex64(a.re - b.re, a.im - b.im); }
inline complex64_t operator-(complex64_t a) { return make_complex64(-a.re, -a.im); }
// The textbook product: no recovery of infinities from NaN, as in NumPy and MLX.
inline complex64_t operator*(complex64_t a, complex64_t b) {
  return make_complex64(a.re * b.re - a.im * b.im, a.im * b.re + a.re * b.im);
}

namespace accurate {

inline bool is_nan(complex64_t z) { return is_nan(z.re) || is_nan(z.im); }
inline bool is_zero(complex64_t z) { return z.re == 0.0f && z.im == 0.0f; }

// By real, then imaginary part; nothing comes before or after a number with a NaN part.
inline bool comes_before(complex64_t a, complex64_t b) {
  return (a.re < b.re && !is_nan(a.im) && !is_nan(b.im)) || (a.re == b.re && a.im < b.im);
}
inline bool comes_before_or_with(complex64_t a, complex64_t b) {
  return (a.re < b.re && !is_nan(a.im) && !is_nan(b.im)) || (a.re == b.re && a.im <= b.im);
}
// The order of extrema, which looks at NaN apart.
inline bool is_less(complex64_t a, complex64_t b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }

// z / |z|, and 0 at 0. Where one part is infinite, that part alone counts, unless the other is NaN.
inline complex64_t direction(complex64_t z) {
  const float h = length(z.re, z.im);
  if (h == infinity && (is_infinite(z.re) || is_infinite(z.im))) {
    const float re = is_infinite(z.re) ? with_sign(1.0f, z.re) : 0.0f;
    const float im = is_infinite(z.im) ? with_sign(1.0f, z.im) : 0.0f;
    return (re != 0.0f && im != 0.0f) || is_nan(z) ? make_complex64(quiet_nan(), quiet_nan()) : make_complex64(re, im);
  }
  if (is_nan(h)) {
    return make_complex64(h, h);
  }
  if (h == 0.0f) {
    return make_complex64(0.0f, 0.0f);
  }
  if (h == infinity || h < 0x1p-100f) { // the length alone is beyond float, or few of its bits are
    const float factor = h == infinity ? 0.25f : 0x1p64f;
    const float scaled = length(z.re * factor, z.im * factor);
    return make_complex64(z.re * factor / scaled, z.im * factor / scaled);
  }
  return make_complex64(z.re / h, z.im / h);
}

// Smith's division
inline complex64_t quick_quotient(complex64_t a, complex64_t b) {
  if (magnitude(b.re) >= magnitude(b.im)) {
    const float ratio = b.im / b.re, by = 1.0f / (b.re + b.im * ratio);
    return make_complex64((a.re + a.im * ratio) * by, (a.im - a.re * ratio) * by);
  }
  const float ratio = b.re / b.im, by = 1.0f / (b.re * ratio + b.im);
  return make_complex64((a.re * ratio + a.im) * by, (a.im * ratio - a.re) * by);
}

// The power of two that brings x to about 1
inline int normalizing_shift(float x) {
  const uint exponent = as_type<uint>(x) >> 23;
  return x == 0.0f ? 0 : exponent == 0u ? 149 : 127 - int(exponent);
}

// Whether one part, the other being about 1, is so small that products of it would lose bits.
inline bool is_lost_in_pairs(complex64_t z) {
  const float smaller = least(magnitude(z.re), magnitude(z.im));
  return smaller != 0.0f && smaller < 0x1p-50f;
}

// a conj(b) / |b|^2 in pairs, both scaled to about 1; by zero, each part over the zero.
inline complex64_t quotient(complex64_t a, complex64_t b) {
  const float abs_re = magnitude(b.re), abs_im = magnitude(b.im);
  if (abs_re == 0.0f && abs_im == 0.0f) {
    return make_complex64(a.re / abs_re, a.im / abs_re);
  }
  const complex64_t quick = quick_quotient(a, b);
  if (!(abs_re < infinity && abs_im < infinity && magnitude(a.re) < infinity && magnitude(a.im) < infinity)) {
    return quick; // for what it makes of infinities and NaN
  }
  const int shift = normalizing_shift(most(abs_re, abs_im));
  const int shift_a = normalizing_shift(most(magnitude(a.re), magnitude(a.im)));
  const complex64_t c = make_complex64(scale(b.re, shift), scale(b.im, shift));
  const complex64_t n = make_complex64(scale(a.re, shift_a), scale(a.im, shift_a));
  if (is_lost_in_pairs(c) || is_lost_in_pairs(n)) {
    const complex64_t z = quick_quotient(a, c);
    return make_complex64(scale(z.re, shift), scale(z.im, shift));
  }
  const Pair norm = add(exact_product(c.re, c.re), exact_product(c.im, c.im));
  const Pair re = divide(add(exact_product(n.re, c.re), exact_product(n.im, c.im)), norm);
  const Pair im = divide(add(exact_product(n.im, c.re), exact_product(-n.re, c.im)), norm);
  const int back = shift - shift_a;
  const complex64_t z = make_complex64(scale(re.hi + re.lo, back), scale(im.hi + im.lo, back));
  // pairs lose the sign of a zero
  return make_complex64(
      z.re == 0.0f ? with_sign(z.re, quick.re) : z.re, z.im == 0.0f ? with_sign(z.im, quick.im) : z.im);
}

} // namespace accurate
