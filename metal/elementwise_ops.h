// A functor for each Body of mlx_core/backend/body.h, with its name, for every element type that it is defined for.
#pragma once

#include "convert.h"
#include "integer_ops.h"
#include "trigonometry.h"

namespace body {

using accurate::is_nan;
using accurate::quiet_nan;

// half and bfloat compute as float, and round once.
#define ON_FLOATS1(function)                                         \
  float operator()(float x) const { return function(x); }            \
  half operator()(half x) const { return half(function(float(x))); } \
  bfloat operator()(bfloat x) const { return bfloat(function(float(x))); }
#define ON_FLOATS2(function)                                                           \
  float operator()(float a, float b) const { return function(a, b); }                  \
  half operator()(half a, half b) const { return half(function(float(a), float(b))); } \
  bfloat operator()(bfloat a, bfloat b) const { return bfloat(function(float(a), float(b))); }
#define ON_INTEGERS1(expression) \
  template <typename T>          \
  T operator()(T x) const {      \
    return expression;           \
  }
#define ON_INTEGERS2(expression) \
  template <typename T>          \
  T operator()(T a, T b) const { \
    return expression;           \
  }
#define ON_BOOLS2(expression) \
  bool operator()(bool a, bool b) const { return expression; }
#define ON_COMPLEX1(expression) \
  complex64_t operator()(complex64_t z) const { return expression; }
#define ON_COMPLEX2(expression) \
  complex64_t operator()(complex64_t a, complex64_t b) const { return expression; }

// ---- movement ----

struct copy {
  ON_INTEGERS1(x)
};
struct conjugate {
  ON_INTEGERS1(x)
  ON_COMPLEX1(make_complex64(z.re, -z.im))
};
struct real {
  float operator()(complex64_t z) const { return z.re; }
};
struct imag {
  float operator()(complex64_t z) const { return z.im; }
};
struct make_complex {
  complex64_t operator()(float re, float im) const { return make_complex64(re, im); }
};
struct select {
  template <typename T>
  T operator()(bool condition, T a, T b) const {
    return condition ? a : b;
  }
};

// ---- arithmetic, unary; on half and bfloat signs change on the bits ----

struct negative {
  ON_INTEGERS1(integers::negative(x))
  float operator()(float x) const { return -x; }
  half operator()(half x) const { return as_type<half>(ushort(as_type<ushort>(x) ^ 0x8000)); }
  bfloat operator()(bfloat x) const { return as_type<bfloat>(ushort(as_type<ushort>(x) ^ 0x8000)); }
  ON_COMPLEX1(-z)
};
struct abs {
  ON_INTEGERS1(x < T(0) ? integers::negative(x) : x)
  bool operator()(bool x) const { return x; }
  float operator()(float x) const { return accurate::magnitude(x); }
  half operator()(half x) const { return as_type<half>(ushort(as_type<ushort>(x) & 0x7fff)); }
  bfloat operator()(bfloat x) const { return as_type<bfloat>(ushort(as_type<ushort>(x) & 0x7fff)); }
  float operator()(complex64_t z) const { return accurate::length(z.re, z.im); }
};
inline float sign_of(float x) { return is_nan(x) ? x : x == 0.0f ? 0.0f : accurate::with_sign(1.0f, x); }
struct sign {
  ON_INTEGERS1(T((x > T(0) ? 1 : 0) - (x < T(0) ? 1 : 0)))
  bool operator()(bool x) const { return x; }
  ON_FLOATS1(sign_of)
  ON_COMPLEX1(accurate::direction(z))
};
inline float square_of(float x) { return x * x; }
struct square {
  ON_INTEGERS1(integers::multiply(x, x))
  bool operator()(bool x) const { return x; }
  ON_FLOATS1(square_of)
  ON_COMPLEX1(z* z)
};
struct sqrt {
  ON_FLOATS1(metal::sqrt)
};
inline float rsqrt_of(float x) { return 1.0f / metal::sqrt(x); }
struct rsqrt {
  ON_FLOATS1(rsqrt_of)
};
inline float reciprocal_of(float x) { return 1.0f / x; }
struct reciprocal {
  ON_FLOATS1(reciprocal_of)
  ON_COMPLEX1(accurate::quotient(make_complex64(1.0f, 0.0f), z))
};

// ---- exponential, trigonometric, hyperbolic ----

#define FLOAT_FUNCTION(name, function) \
  struct name {                        \
    ON_FLOATS1(accurate::function)     \
  };
FLOAT_FUNCTION(exp, exponential)
FLOAT_FUNCTION(exp2, exponential2)
FLOAT_FUNCTION(expm1, exponential_minus_one)
FLOAT_FUNCTION(log, logarithm)
FLOAT_FUNCTION(log2, logarithm2)
FLOAT_FUNCTION(log10, logarithm10)
FLOAT_FUNCTION(log1p, log_one_plus)
FLOAT_FUNCTION(sigmoid, logistic)
FLOAT_FUNCTION(erf, error_function)
FLOAT_FUNCTION(erfinv, inverse_error_function)
FLOAT_FUNCTION(sin, sine)
FLOAT_FUNCTION(cos, cosine)
FLOAT_FUNCTION(tan, tangent)
FLOAT_FUNCTION(arcsin, arcsine)
FLOAT_FUNCTION(arccos, arccosine)
FLOAT_FUNCTION(arctan, arctangent)
FLOAT_FUNCTION(sinh, hyperbolic_sine)
FLOAT_FUNCTION(cosh, hyperbolic_cosine)
FLOAT_FUNCTION(tanh, hyperbolic_tangent)
FLOAT_FUNCTION(arcsinh, inverse_hyperbolic_sine)
FLOAT_FUNCTION(arccosh, inverse_hyperbolic_cosine)
FLOAT_FUNCTION(arctanh, inverse_hyperbolic_tangent)
#undef FLOAT_FUNCTION

// ---- rounding; integers are whole ----

#define ROUNDING(name)      \
  struct name {             \
    ON_INTEGERS1(x)         \
    ON_FLOATS1(metal::name) \
  };
ROUNDING(floor)
ROUNDING(ceil)
ROUNDING(trunc)
#undef ROUNDING
struct rint {
  ON_INTEGERS1(x)
  ON_FLOATS1(metal::rint)
  ON_COMPLEX1(make_complex64(metal::rint(z.re), metal::rint(z.im)))
};

// ---- predicates, on the bits ----

inline uint bits_of(float x) { return as_type<uint>(x); }
// As those of the float of the same value.
inline uint bits_of(half x) { return as_type<uint>(float(x)); }
inline uint bits_of(bfloat x) { return uint(as_type<ushort>(x)) << 16; }
constant constexpr uint infinity_bits = 0x7f800000u, magnitude_bits = 0x7fffffffu;

#define PREDICATE(name, of_integer, of_bits, of_complex)        \
  struct name {                                                 \
    template <typename T>                                       \
    bool operator()(T x) const {                                \
      return of_integer;                                        \
    }                                                           \
    bool of(uint x) const { return of_bits; }                   \
    bool operator()(float x) const { return of(bits_of(x)); }   \
    bool operator()(half x) const { return of(bits_of(x)); }    \
    bool operator()(bfloat x) const { return of(bits_of(x)); }  \
    bool operator()(complex64_t z) const { return of_complex; } \
  };
PREDICATE(isnan, (x, false), (x & magnitude_bits) > infinity_bits, is_nan(z))
PREDICATE(isinf, (x, false), (x & magnitude_bits) == infinity_bits, of(bits_of(z.re)) || of(bits_of(z.im)))
PREDICATE(isfinite, (x, true), (x & magnitude_bits) < infinity_bits, of(bits_of(z.re)) && of(bits_of(z.im)))
PREDICATE(isposinf, (x, false), x == infinity_bits, of(bits_of(z.re)) && z.im == 0.0f)
PREDICATE(isneginf, (x, false), x == (infinity_bits | ~magnitude_bits), of(bits_of(z.re)) && z.im == 0.0f)
PREDICATE(logical_not, x == T(0), (x & magnitude_bits) == 0u, accurate::is_zero(z))
PREDICATE(signbit, x<T(0), x> magnitude_bits, (z.re, false))
#undef PREDICATE

// ---- bitwise; bools are 0 and 1 ----

struct bitwise_invert {
  ON_INTEGERS1(T(~x))
  bool operator()(bool x) const { return !x; }
};
struct bitwise_and {
  ON_INTEGERS2(T(a& b))
  ON_BOOLS2(a&& b)
};
struct bitwise_or {
  ON_INTEGERS2(T(a | b))
  ON_BOOLS2(a || b)
};
struct bitwise_xor {
  ON_INTEGERS2(T(a ^ b))
  ON_BOOLS2(a != b)
};
struct left_shift {
  ON_INTEGERS2(integers::left_shift(a, b))
};
struct right_shift {
  ON_INTEGERS2(integers::right_shift(a, b))
};

// ---- arithmetic, binary; on bools addition and multiplication are or and and ----

inline float sum_of(float a, float b) { return a + b; }
struct add {
  ON_INTEGERS2(integers::add(a, b))
  ON_BOOLS2(a || b)
  ON_FLOATS2(sum_of)
  ON_COMPLEX2(a + b)
};
inline float difference_of(float a, float b) { return a - b; }
struct subtract {
  ON_INTEGERS2(integers::subtract(a, b))
  ON_BOOLS2(a != b)
  ON_FLOATS2(difference_of)
  ON_COMPLEX2(a - b)
};
inline float product_of(float a, float b) { return a * b; }
struct multiply {
  ON_INTEGERS2(integers::multiply(a, b))
  ON_BOOLS2(a&& b)
  ON_FLOATS2(product_of)
  ON_COMPLEX2(a* b)
};
inline float quotient_of(float a, float b) { return a / b; }
struct divide {
  ON_FLOATS2(quotient_of)
  ON_COMPLEX2(accurate::quotient(a, b))
};
struct floor_divide {
  ON_INTEGERS2(integers::floor_divide(a, b))
  ON_BOOLS2(a&& b)
  ON_FLOATS2(accurate::floored_quotient)
};
struct remainder {
  ON_INTEGERS2(integers::remainder(a, b))
  bool operator()(bool, bool) const { return false; }
  ON_FLOATS2(accurate::floored_remainder)
};
inline float cube_of(float x) { return accurate::power(x, 3.0f); }
struct cube {
  ON_FLOATS1(cube_of)
};
struct power {
  ON_INTEGERS2(integers::power(a, b))
  ON_BOOLS2(a || !b)
  ON_FLOATS2(accurate::power)
};
// NaN in either operand gives NaN; of equal numbers, the second, and of complex ones the first
inline float larger_of(float a, float b) { return a > b || is_nan(a) ? a : b; }
struct maximum {
  ON_INTEGERS2(a > b ? a : b)
  ON_BOOLS2(a || b)
  ON_FLOATS2(larger_of)
  ON_COMPLEX2(is_nan(a) || (!is_nan(b) && !accurate::is_less(a, b)) ? a : b)
};
inline float smaller_of(float a, float b) { return a < b || is_nan(a) ? a : b; }
struct minimum {
  ON_INTEGERS2(a < b ? a : b)
  ON_BOOLS2(a&& b)
  ON_FLOATS2(smaller_of)
  ON_COMPLEX2(is_nan(a) || (!is_nan(b) && !accurate::is_less(b, a)) ? a : b)
};
struct logaddexp {
  ON_FLOATS2(accurate::log_sum_exp)
};
struct arctan2 {
  ON_FLOATS2(accurate::arctangent2)
};
// 0 for equal operands, infinities too
inline float gap_of(float a, float b) { return a == b ? 0.0f : a - b; }
struct gap {
  ON_FLOATS2(gap_of)
  ON_COMPLEX2(make_complex64(gap_of(a.re, b.re), gap_of(a.im, b.im)))
};
inline float zero_product(float a, float b) { return a == 0.0f || b == 0.0f ? 0.0f : a * b; }
struct zero_times {
  ON_INTEGERS2(integers::multiply(a, b))
  ON_BOOLS2(a&& b)
  ON_FLOATS2(zero_product)
  ON_COMPLEX2(accurate::is_zero(a) || accurate::is_zero(b) ? make_complex64(0.0f, 0.0f) : a * b)
};
inline float zero_quotient(float a, float b) { return a == 0.0f || accurate::is_infinite(b) ? 0.0f : a / b; }
struct zero_divide {
  ON_FLOATS2(zero_quotient)
  ON_COMPLEX2(accurate::is_zero(a) || accurate::is_infinite(b.re) || accurate::is_infinite(b.im)
                  ? make_complex64(0.0f, 0.0f)
                  : accurate::quotient(a, b))
};
inline float share_of(float g, float a, float b) { return a > b ? g : a == b ? g * 0.5f : 0.0f; }
struct share {
  float operator()(float g, float a, float b) const { return share_of(g, a, b); }
  half operator()(half g, half a, half b) const { return half(share_of(float(g), float(a), float(b))); }
  bfloat operator()(bfloat g, bfloat a, bfloat b) const { return bfloat(share_of(float(g), float(a), float(b))); }
};
struct hypot {
  ON_FLOATS2(accurate::length)
};
struct nextafter {
  float operator()(float a, float b) const {
    return as_type<float>(accurate::neighbour(as_type<uint>(a), as_type<uint>(b), 0x80000000u, 0x7f800000u));
  }
  half operator()(half a, half b) const {
    return as_type<half>(accurate::neighbour(as_type<ushort>(a), as_type<ushort>(b), ushort(0x8000), ushort(0x7c00)));
  }
  bfloat operator()(bfloat a, bfloat b) const {
    return as_type<bfloat>(accurate::neighbour(as_type<ushort>(a), as_type<ushort>(b), ushort(0x8000), ushort(0x7f80)));
  }
};
inline ushort sign_bits(ushort a, ushort b) { return ushort((a & 0x7fff) | (b & 0x8000)); }
struct copysign {
  float operator()(float a, float b) const { return accurate::with_sign(a, b); }
  half operator()(half a, half b) const { return as_type<half>(sign_bits(as_type<ushort>(a), as_type<ushort>(b))); }
  bfloat operator()(bfloat a, bfloat b) const {
    return as_type<bfloat>(sign_bits(as_type<ushort>(a), as_type<ushort>(b)));
  }
};

// ---- comparison and logic ----

#define COMPARISON(name, of_values, of_complex)                                       \
  struct name {                                                                       \
    template <typename T>                                                             \
    bool operator()(T a, T b) const {                                                 \
      return of_values;                                                               \
    }                                                                                 \
    bool operator()(half a, half b) const { return (*this)(float(a), float(b)); }     \
    bool operator()(bfloat a, bfloat b) const { return (*this)(float(a), float(b)); } \
    bool operator()(complex64_t a, complex64_t b) const { return of_complex; }        \
  };
COMPARISON(equal, a == b, a == b)
COMPARISON(not_equal, a != b, a != b)
COMPARISON(less, a < b, accurate::comes_before(a, b))
COMPARISON(less_equal, a <= b, accurate::comes_before_or_with(a, b))
COMPARISON(greater, a > b, accurate::comes_before(b, a))
COMPARISON(greater_equal, a >= b, accurate::comes_before_or_with(b, a))
COMPARISON(nan_equal, a == b || (a != a && b != b), a == b || (is_nan(a) && is_nan(b)))
COMPARISON(logical_and, a != T(0) && b != T(0), !accurate::is_zero(a) && !accurate::is_zero(b))
COMPARISON(logical_or, a != T(0) || b != T(0), !accurate::is_zero(a) || !accurate::is_zero(b))
COMPARISON(logical_xor, (a != T(0)) != (b != T(0)), accurate::is_zero(a) != accurate::is_zero(b))
#undef COMPARISON

#undef ON_FLOATS1
#undef ON_FLOATS2
#undef ON_INTEGERS1
#undef ON_INTEGERS2
#undef ON_BOOLS2
#undef ON_COMPLEX1
#undef ON_COMPLEX2

} // namespace body
