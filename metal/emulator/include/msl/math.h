// metal_math, metal_common, metal_geometric, metal_relational, metal_integer: functions of scalars and, by component,
// vectors.
#pragma once

#include "traits.h"

// Each family of macros defines the overloads for scalars; MSL_LIFT gives the same names to vectors.
#define MSL_LIFT1(name)                                                      \
  template <class T, int N>                                                  \
  MSL_TINY auto name(const vec<T, N>& a) -> vec<decltype(name(a.v[0])), N> { \
    vec<decltype(name(a.v[0])), N> r;                                        \
    for (int i = 0; i < N; ++i) r.v[i] = name(a.v[i]);                       \
    return r;                                                                \
  }
#define MSL_LIFT2(name)                                             \
  template <class T, int N>                                         \
  MSL_TINY vec<T, N> name(const vec<T, N>& a, const vec<T, N>& b) { \
    vec<T, N> r;                                                    \
    for (int i = 0; i < N; ++i) r.v[i] = name(a.v[i], b.v[i]);      \
    return r;                                                       \
  }
#define MSL_LIFT2S(name)                             \
  MSL_LIFT2(name)                                    \
  template <class T, int N>                          \
  MSL_TINY vec<T, N> name(const vec<T, N>& a, T b) { \
    return name(a, vec<T, N>(b));                    \
  }
#define MSL_LIFT3(name)                                                                 \
  template <class T, int N>                                                             \
  MSL_TINY vec<T, N> name(const vec<T, N>& a, const vec<T, N>& b, const vec<T, N>& c) { \
    vec<T, N> r;                                                                        \
    for (int i = 0; i < N; ++i) r.v[i] = name(a.v[i], b.v[i], c.v[i]);                  \
    return r;                                                                           \
  }
#define MSL_LIFT3S(name)                                  \
  MSL_LIFT3(name)                                         \
  template <class T, int N>                               \
  MSL_TINY vec<T, N> name(const vec<T, N>& a, T b, T c) { \
    return name(a, vec<T, N>(b), vec<T, N>(c));           \
  }

#define MSL_FLOAT1(name, expression)                  \
  MSL_TINY float name(float x) { return expression; } \
  MSL_TINY half name(half h) {                        \
    float x = h;                                      \
    return (half)(expression);                        \
  }                                                   \
  MSL_LIFT1(name)
#define MSL_FLOAT2(name, expression)                           \
  MSL_TINY float name(float x, float y) { return expression; } \
  MSL_TINY half name(half h, half i) {                         \
    float x = h, y = i;                                        \
    return (half)(expression);                                 \
  }                                                            \
  MSL_LIFT2(name)
#define MSL_FUNCTIONS                                                                                        \
  MSL_FLOAT1(acos, __builtin_acosf(x))                                                                       \
  MSL_FLOAT1(acosh, __builtin_acoshf(x))                                                                     \
  MSL_FLOAT1(asin, __builtin_asinf(x))                                                                       \
  MSL_FLOAT1(asinh, __builtin_asinhf(x))                                                                     \
  MSL_FLOAT1(atan, __builtin_atanf(x))                                                                       \
  MSL_FLOAT1(atanh, __builtin_atanhf(x))                                                                     \
  MSL_FLOAT1(ceil, __builtin_ceilf(x))                                                                       \
  MSL_FLOAT1(cos, __builtin_cosf(x))                                                                         \
  MSL_FLOAT1(cosh, __builtin_coshf(x))                                                                       \
  MSL_FLOAT1(cospi, __builtin_cosf(::msl::pi_times(x)))                                                      \
  MSL_FLOAT1(exp, __builtin_expf(x))                                                                         \
  MSL_FLOAT1(exp2, __builtin_exp2f(x))                                                                       \
  MSL_FLOAT1(exp10, (float)__builtin_exp10((double)x))                                                       \
  MSL_FLOAT1(fabs, __builtin_fabsf(x))                                                                       \
  MSL_FLOAT1(floor, __builtin_floorf(x))                                                                     \
  MSL_FLOAT1(fract, __builtin_fminf(x - __builtin_floorf(x), 0x1.fffffep-1f))                                \
  MSL_FLOAT1(log, __builtin_logf(x))                                                                         \
  MSL_FLOAT1(log2, __builtin_log2f(x))                                                                       \
  MSL_FLOAT1(log10, __builtin_log10f(x))                                                                     \
  MSL_FLOAT1(rint, __builtin_rintf(x))                                                                       \
  MSL_FLOAT1(round, __builtin_roundf(x))                                                                     \
  MSL_FLOAT1(rsqrt, 1.0f / __builtin_sqrtf(x))                                                               \
  MSL_FLOAT1(sin, __builtin_sinf(x))                                                                         \
  MSL_FLOAT1(sinh, __builtin_sinhf(x))                                                                       \
  MSL_FLOAT1(sinpi, __builtin_sinf(::msl::pi_times(x)))                                                      \
  MSL_FLOAT1(sqrt, __builtin_sqrtf(x))                                                                       \
  MSL_FLOAT1(tan, __builtin_tanf(x))                                                                         \
  MSL_FLOAT1(tanh, __builtin_tanhf(x))                                                                       \
  MSL_FLOAT1(tanpi, __builtin_tanf(::msl::pi_times(x)))                                                      \
  MSL_FLOAT1(trunc, __builtin_truncf(x))                                                                     \
  MSL_FLOAT2(atan2, __builtin_atan2f(x, y))                                                                  \
  MSL_FLOAT2(copysign, __builtin_copysignf(x, y))                                                            \
  MSL_FLOAT2(fdim, __builtin_fdimf(x, y))                                                                    \
  MSL_FLOAT2(fmax, __builtin_fmaxf(x, y))                                                                    \
  MSL_FLOAT2(fmin, __builtin_fminf(x, y))                                                                    \
  MSL_FLOAT2(fmod, __builtin_fmodf(x, y))                                                                    \
  MSL_FLOAT2(pow, __builtin_powf(x, y))                                                                      \
  MSL_FLOAT2(powr, __builtin_powf(x, y))                                                                     \
  MSL_FLOAT2(nextafter, __builtin_nextafterf(x, y))                                                          \
  MSL_TINY float sincos(float x, float& c) {                                                                 \
    c = __builtin_cosf(x);                                                                                   \
    return __builtin_sinf(x);                                                                                \
  }                                                                                                          \
  MSL_TINY half sincos(half x, half& c) {                                                                    \
    c = (half)__builtin_cosf(x);                                                                             \
    return (half)__builtin_sinf(x);                                                                          \
  }                                                                                                          \
  MSL_TINY float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }                          \
  MSL_TINY half fma(half a, half b, half c) { return (half)__builtin_fma((double)a, (double)b, (double)c); } \
  MSL_LIFT3(fma)                                                                                             \
  MSL_TINY float frexp(float x, int& e) { return __builtin_frexpf(x, &e); }                                  \
  MSL_TINY half frexp(half x, int& e) { return (half)__builtin_frexpf((float)x, &e); }                       \
  MSL_TINY float modf(float x, float& whole) {                                                               \
    whole = __builtin_truncf(x);                                                                             \
    return __builtin_isinf(x) ? __builtin_copysignf(0, x) : x - whole;                                       \
  }                                                                                                          \
  MSL_TINY float ldexp(float x, int e) { return __builtin_ldexpf(x, e); }                                    \
  MSL_TINY half ldexp(half x, int e) { return (half)__builtin_ldexpf((float)x, e); }                         \
  MSL_TINY int ilogb(float x) { return __builtin_ilogbf(x); }

namespace msl {
// pi x for the remainder of x in [-1, 1], which is exact.
MSL_TINY float pi_times(float x) { return (float)(3.14159265358979323846 * (double)__builtin_remainderf(x, 2)); }
} // namespace msl

namespace metal {
MSL_FUNCTIONS
namespace precise {
MSL_FUNCTIONS
}
namespace fast {
MSL_FUNCTIONS
}

// NaN tests: metal_relational.
#define MSL_TEST(name, expression)                   \
  MSL_TINY bool name(float x) { return expression; } \
  MSL_TINY bool name(half h) {                       \
    float x = h;                                     \
    return expression;                               \
  }                                                  \
  MSL_LIFT1(name)
MSL_TEST(isnan, __builtin_isnan(x))
MSL_TEST(isinf, __builtin_isinf(x))
MSL_TEST(isfinite, __builtin_isfinite(x))
MSL_TINY bool isnormal(float x) { return __builtin_isnormal(x); }
MSL_TEST(signbit, __builtin_bit_cast(uint, x) >> 31)
#undef MSL_TEST
template <int N>
MSL_TINY bool any(const vec<bool, N>& a) {
  bool r = false;
  for (int i = 0; i < N; ++i) r = r || a.v[i];
  return r;
}
template <int N>
MSL_TINY bool all(const vec<bool, N>& a) {
  bool r = true;
  for (int i = 0; i < N; ++i) r = r && a.v[i];
  return r;
}

// min, max, clamp, abs, select for every type, without conversions between them. Of two floats, one of them NaN, the
// other.
#define MSL_ORDER(T, least, most, magnitude)                              \
  MSL_TINY T min(T x, T y) { return least; }                              \
  MSL_TINY T max(T x, T y) { return most; }                               \
  MSL_TINY T clamp(T x, T low, T high) { return min(max(x, low), high); } \
  MSL_TINY T select(T x, T y, bool c) { return c ? y : x; }               \
  MSL_TINY T abs(T x) { return magnitude; }
#define MSL_INTEGERS(X) X(char) X(uchar) X(short) X(ushort) X(int) X(uint) X(long) X(ulong)
#define MSL_INTEGER(T)                                                                                             \
  MSL_ORDER(T, y < x ? y : x, x < y ? y : x, (T)(x < (T)0 ? (T)(0 - x) : x))                                       \
  MSL_TINY T clz(T x) {                                                                                            \
    return (T)(x == 0 ? sizeof(T) * 8 : __builtin_clzl((ulong)(make_unsigned_t<T>)x) - (64 - sizeof(T) * 8));      \
  }                                                                                                                \
  MSL_TINY T ctz(T x) { return (T)(x == 0 ? sizeof(T) * 8 : __builtin_ctzl((ulong)x)); }                           \
  MSL_TINY T popcount(T x) { return (T)__builtin_popcountl((ulong)(make_unsigned_t<T>)x); }                        \
  MSL_TINY T mulhi(T x, T y) { return (T)(((__int128)x * (__int128)y) >> (sizeof(T) * 8)); }                       \
  MSL_TINY T rotate(T x, T n) {                                                                                    \
    using U = make_unsigned_t<T>;                                                                                  \
    unsigned bits = sizeof(T) * 8, k = (unsigned)(U)n & (bits - 1);                                                \
    return (T)(U)(((U)x << k) | ((U)x >> ((bits - k) & (bits - 1))));                                              \
  }                                                                                                                \
  MSL_TINY T reverse_bits(T x) { return (T)(__builtin_bitreverse64((ulong)x) >> (64 - sizeof(T) * 8)); }           \
  MSL_TINY T addsat(T x, T y) {                                                                                    \
    T r;                                                                                                           \
    return !__builtin_add_overflow(x, y, &r) ? r : y < (T)0 ? numeric_limits<T>::min() : numeric_limits<T>::max(); \
  }                                                                                                                \
  MSL_TINY T subsat(T x, T y) {                                                                                    \
    T r;                                                                                                           \
    return !__builtin_sub_overflow(x, y, &r) ? r : x < y ? numeric_limits<T>::min() : numeric_limits<T>::max();    \
  }                                                                                                                \
  MSL_TINY make_unsigned_t<T> absdiff(T x, T y) {                                                                  \
    using U = make_unsigned_t<T>;                                                                                  \
    return x < y ? (U)((U)y - (U)x) : (U)((U)x - (U)y);                                                            \
  }                                                                                                                \
  MSL_TINY T hadd(T x, T y) { return (T)(((__int128)x + y) >> 1); }                                                \
  MSL_TINY T rhadd(T x, T y) { return (T)(((__int128)x + y + 1) >> 1); }                                           \
  MSL_TINY T madhi(T a, T b, T c) { return (T)(mulhi(a, b) + c); }                                                 \
  MSL_TINY T extract_bits(T x, uint from, uint bits) {                                                             \
    return bits == 0 ? (T)0                                                                                        \
                     : (T)((T)((make_unsigned_t<T>)x << (sizeof(T) * 8 - from - bits)) >> (sizeof(T) * 8 - bits)); \
  }                                                                                                                \
  MSL_TINY T insert_bits(T base, T x, uint from, uint bits) {                                                      \
    ulong mask = bits >= 64 ? ~0ul : ((1ul << bits) - 1) << from;                                                  \
    return (T)(((ulong)base & ~mask) | (((ulong)x << from) & mask));                                               \
  }
MSL_INTEGERS(MSL_INTEGER)
#define MSL_LEAST(f) (x != x ? y : y != y ? x : f)
MSL_ORDER(float, MSL_LEAST(y < x ? y : x), MSL_LEAST(x < y ? y : x), __builtin_fabsf(x))
MSL_ORDER(half, MSL_LEAST(y < x ? y : x), MSL_LEAST(x < y ? y : x), (half)__builtin_fabsf(x))
#undef MSL_LEAST
MSL_TINY bool select(bool x, bool y, bool c) { return c ? y : x; }
MSL_TINY bfloat select(bfloat x, bfloat y, bool c) { return c ? y : x; }
template <class T, int N>
MSL_TINY vec<T, N> select(const vec<T, N>& x, const vec<T, N>& y, const vec<bool, N>& c) {
  vec<T, N> r;
  for (int i = 0; i < N; ++i) r.v[i] = c.v[i] ? y.v[i] : x.v[i];
  return r;
}
// clang-format off
MSL_LIFT1(abs) MSL_LIFT2S(min) MSL_LIFT2S(max) MSL_LIFT3S(clamp) MSL_LIFT1(clz) MSL_LIFT1(ctz) MSL_LIFT1(popcount)
MSL_LIFT2(mulhi) MSL_LIFT2(rotate) MSL_LIFT2(addsat) MSL_LIFT2(subsat)
    // clang-format on
    MSL_TINY int mad24(int a, int b, int c) {
  return a * b + c;
}
MSL_TINY uint mad24(uint a, uint b, uint c) { return a * b + c; }
MSL_TINY int mul24(int a, int b) { return a * b; }
MSL_TINY uint mul24(uint a, uint b) { return a * b; }

// metal_common and metal_geometric.
#define MSL_COMMON(T)                                                                      \
  MSL_TINY T mix(T x, T y, T a) { return (T)(x + (y - x) * a); }                           \
  MSL_TINY T saturate(T x) { return clamp(x, (T)0, (T)1); }                                \
  MSL_TINY T sign(T x) { return (T)(x > 0 ? (T)1 : x < 0 ? (T) - 1 : x == x ? x : (T)0); } \
  MSL_TINY T step(T edge, T x) { return x < edge ? (T)0 : (T)1; }                          \
  MSL_TINY T smoothstep(T a, T b, T x) {                                                   \
    T t = saturate((T)((x - a) / (b - a)));                                                \
    return (T)(t * t * (3 - 2 * t));                                                       \
  }
MSL_COMMON(float)
MSL_COMMON(half)
#undef MSL_COMMON
// clang-format off
MSL_LIFT3(mix) MSL_LIFT1(saturate) MSL_LIFT1(sign) MSL_LIFT2(step) MSL_LIFT3(smoothstep)
    // clang-format on
    template <class T, int N>
    MSL_TINY T dot(const vec<T, N>& a, const vec<T, N>& b) {
  T r = (T)(a.v[0] * b.v[0]);
  for (int i = 1; i < N; ++i) r = (T)(r + a.v[i] * b.v[i]);
  return r;
}
template <class T, int N>
MSL_TINY T length_squared(const vec<T, N>& a) {
  return dot(a, a);
}
template <class T, int N>
MSL_TINY T length(const vec<T, N>& a) {
  return sqrt(dot(a, a));
}
template <class T, int N>
MSL_TINY T distance(const vec<T, N>& a, const vec<T, N>& b) {
  return length(a - b);
}
template <class T, int N>
MSL_TINY vec<T, N> normalize(const vec<T, N>& a) {
  return a / vec<T, N>(length(a));
}
template <class T>
MSL_TINY vec<T, 3> cross(const vec<T, 3>& a, const vec<T, 3>& b) {
  return vec<T, 3>(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
} // namespace metal
