// metal_type_traits and metal_limits.
#pragma once

#include "types.h"

namespace metal {
template <class T, T V>
struct integral_constant {
  static constexpr T value = V;
  using value_type = T;
  MSL_TINY constexpr operator T() const { return V; }
};
template <bool V>
using bool_constant = integral_constant<bool, V>;
using true_type = bool_constant<true>;
using false_type = bool_constant<false>;

template <bool C, class T = void>
struct enable_if {};
template <class T>
struct enable_if<true, T> {
  using type = T;
};
template <bool C, class T = void>
using enable_if_t = typename enable_if<C, T>::type;
template <bool C, class A, class B>
struct conditional {
  using type = A;
};
template <class A, class B>
struct conditional<false, A, B> {
  using type = B;
};
template <bool C, class A, class B>
using conditional_t = typename conditional<C, A, B>::type;
template <class T>
struct remove_cv {
  using type = __remove_cv(T);
};
template <class T>
using remove_cv_t = typename remove_cv<T>::type;
template <class T>
struct remove_reference {
  using type = __remove_reference_t(T);
};
template <class T>
using remove_reference_t = typename remove_reference<T>::type;
template <class T>
using remove_addrspace_t = T; // address spaces are not part of types here
template <class T>
struct remove_pointer {
  using type = __remove_pointer(T);
};
template <class T>
using remove_pointer_t = typename remove_pointer<T>::type;
template <class T>
struct remove_const {
  using type = __remove_const(T);
};
template <class T>
using remove_const_t = typename remove_const<T>::type;
template <class T>
struct make_unsigned {
  using type = __make_unsigned(T);
};
template <class T>
using make_unsigned_t = typename make_unsigned<T>::type;
template <class T>
struct make_signed {
  using type = __make_signed(T);
};
template <class T>
using make_signed_t = typename make_signed<T>::type;

template <class A, class B>
struct is_same : bool_constant<__is_same(A, B)> {};
template <class A, class B>
constexpr bool is_same_v = __is_same(A, B);
template <class T>
struct is_integral : bool_constant<__is_integral(T)> {};
template <class T>
constexpr bool is_integral_v = __is_integral(T);
template <class T>
struct is_floating_point : bool_constant<__is_same(remove_cv_t<T>, float) || __is_same(remove_cv_t<T>, half) ||
                                         __is_same(remove_cv_t<T>, bfloat)> {};
template <class T>
constexpr bool is_floating_point_v = is_floating_point<T>::value;
template <class T>
struct is_arithmetic : bool_constant<__is_integral(T) || is_floating_point<T>::value> {};
template <class T>
constexpr bool is_arithmetic_v = is_arithmetic<T>::value;
template <class T>
struct is_signed : bool_constant<__is_signed(T) || is_floating_point<T>::value> {};
template <class T>
constexpr bool is_signed_v = is_signed<T>::value;
template <class T>
struct is_unsigned : bool_constant<__is_unsigned(T)> {};
template <class T>
constexpr bool is_unsigned_v = __is_unsigned(T);
template <class T>
struct is_pointer : bool_constant<__is_pointer(T)> {};
template <class T>
struct is_enum : bool_constant<__is_enum(T)> {};
template <class T>
constexpr bool is_enum_v = __is_enum(T);
template <class T>
struct is_const : bool_constant<__is_const(T)> {};
template <class T>
struct is_trivially_copyable : bool_constant<__is_trivially_copyable(T)> {};
template <class A, class B>
struct is_convertible : bool_constant<__is_convertible(A, B)> {};
template <class A, class B>
constexpr bool is_convertible_v = __is_convertible(A, B);

template <class T>
struct numeric_limits {
  static constexpr bool is_specialized = false;
};
namespace detail_limits {
template <class T, int Bits, bool Signed>
struct Integer {
  static constexpr bool is_specialized = true, is_integer = true, is_exact = true, is_signed = Signed;
  static constexpr bool has_infinity = false, has_quiet_NaN = false;
  static constexpr int digits = Bits - Signed, radix = 2, digits10 = (Bits - Signed) * 30103 / 100000;
  MSL_TINY static constexpr T max() { return (T)((~0ul >> (64 - Bits)) >> Signed); }
  MSL_TINY static constexpr T min() { return Signed ? (T)(-(long)max() - 1) : (T)0; }
  MSL_TINY static constexpr T lowest() { return min(); }
  MSL_TINY static constexpr T epsilon() { return 0; }
};
template <class T, class B, B Max, B Min, B Epsilon, B Inf, B Nan, B Denormal, int Digits>
struct Float {
  static constexpr bool is_specialized = true, is_integer = false, is_exact = false, is_signed = true;
  static constexpr bool has_infinity = true, has_quiet_NaN = true;
  static constexpr int digits = Digits, radix = 2;
  MSL_TINY static constexpr T max() { return __builtin_bit_cast(T, Max); }
  MSL_TINY static constexpr T lowest() { return -max(); }
  MSL_TINY static constexpr T min() { return __builtin_bit_cast(T, Min); }
  MSL_TINY static constexpr T epsilon() { return __builtin_bit_cast(T, Epsilon); }
  MSL_TINY static constexpr T infinity() { return __builtin_bit_cast(T, Inf); }
  MSL_TINY static constexpr T quiet_NaN() { return __builtin_bit_cast(T, Nan); }
  MSL_TINY static constexpr T denorm_min() { return __builtin_bit_cast(T, Denormal); }
};
} // namespace detail_limits
#define MSL_LIMITS(T, bits, is_signed) \
  template <>                          \
  struct numeric_limits<T> : detail_limits::Integer<T, bits, is_signed> {};
MSL_LIMITS(bool, 1, false)
MSL_LIMITS(char, 8, true)
MSL_LIMITS(signed char, 8, true)
MSL_LIMITS(uchar, 8, false)
MSL_LIMITS(short, 16, true)
MSL_LIMITS(ushort, 16, false)
MSL_LIMITS(int, 32, true)
MSL_LIMITS(uint, 32, false)
MSL_LIMITS(long, 64, true)
MSL_LIMITS(ulong, 64, false)
#undef MSL_LIMITS
template <>
struct numeric_limits<float>
    : detail_limits::Float<float, uint, 0x7f7fffff, 0x00800000, 0x34000000, 0x7f800000, 0x7fc00000, 1, 24> {};
template <>
struct numeric_limits<half> : detail_limits::Float<half, ushort, 0x7bff, 0x0400, 0x1400, 0x7c00, 0x7e00, 1, 11> {};
template <>
struct numeric_limits<bfloat> : detail_limits::Float<bfloat, ushort, 0x7f7f, 0x0080, 0x3c00, 0x7f80, 0x7fc0, 1, 8> {};
} // namespace metal

#define FLT_MAX 3.402823466e+38f
#define FLT_MIN 1.175494351e-38f
#define FLT_EPSILON 1.192092896e-07f
#define HALF_MAX 6.5504e+4h
#define INT_MAX 2147483647
#define INT_MIN (-2147483647 - 1)
#define UINT_MAX 4294967295u
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define HUGE_VALF __builtin_inff()
#define M_PI_F 3.14159265358979323846264338327950288f
#define M_PI_2_F 1.57079632679489661923132169163975144f
#define M_1_PI_F 0.318309886183790671537767526745028724f
#define M_2_SQRTPI_F 1.12837916709551257389615890312154517f
#define M_SQRT2_F 1.41421356237309504880168872420969808f
#define M_SQRT1_2_F 0.707106781186547524400844362104849039f
#define M_E_F 2.71828182845904523536028747135266250f
#define M_LN2_F 0.693147180559945309417232121458176568f
#define M_LN10_F 2.30258509299404568401799145468436421f
#define M_LOG2E_F 1.44269504088896340735992468100189214f
#define M_LOG10E_F 0.434294481903251827651128918916605082f
