// From a dtype to the C++ type behind it: the one place where kernels switch on a dtype.
#pragma once

#include <type_traits>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// An element of 16 bytes of which nothing else counts.
struct Item16 {
  uint64_t low, high;
};

// All of these are f(std::type_identity<T>()). T is the unsigned integer of so many bytes: 1, 2, 4 or 8.
template <typename F>
decltype(auto) with_bits(int size, F&& f) {
  switch (size) {
    case 1: return f(std::type_identity<uint8_t>());
    case 2: return f(std::type_identity<uint16_t>());
    case 4: return f(std::type_identity<uint32_t>());
    default: return f(std::type_identity<uint64_t>());
  }
}
// The same, or Item16.
template <typename F>
decltype(auto) with_item(int size, F&& f) {
  return size == 16 ? f(std::type_identity<Item16>()) : with_bits(size, f);
}
// The type of an integer; a bool is one of uint8.
template <typename F>
decltype(auto) with_integer_type(Dtype dtype, F&& f) {
  switch (dtype.val) {
    case Dtype::Val::int8: return f(std::type_identity<int8_t>());
    case Dtype::Val::int16: return f(std::type_identity<int16_t>());
    case Dtype::Val::int32: return f(std::type_identity<int32_t>());
    case Dtype::Val::int64: return f(std::type_identity<int64_t>());
    default: return with_bits(dtype.size(), f);
  }
}
template <typename F>
decltype(auto) with_inexact_type(Dtype dtype, F&& f) {
  switch (dtype.val) {
    case Dtype::Val::float16: return f(std::type_identity<float16_t>());
    case Dtype::Val::bfloat16: return f(std::type_identity<bfloat16_t>());
    case Dtype::Val::float32: return f(std::type_identity<float>());
    case Dtype::Val::float64: return f(std::type_identity<double>());
    case Dtype::Val::complex64: return f(std::type_identity<complex64_t>());
    default: return f(std::type_identity<complex128_t>());
  }
}
// Any number's; again a bool is one of uint8.
template <typename F>
decltype(auto) with_number_type(Dtype dtype, F&& f) {
  return dtype.is_inexact() ? with_inexact_type(dtype, f) : with_integer_type(dtype, f);
}
template <typename F>
decltype(auto) with_type(Dtype dtype, F&& f) {
  return dtype.is_bool() ? f(std::type_identity<bool>()) : with_number_type(dtype, f);
}
// The same where signed integers are no different from unsigned ones: sums and products wrap.
template <typename F>
decltype(auto) with_wrapping_type(Dtype dtype, F&& f) {
  return dtype.is_bool()      ? f(std::type_identity<bool>())
         : dtype.is_inexact() ? with_inexact_type(dtype, f)
                              : with_bits(dtype.size(), f);
}

template <typename T>
inline constexpr bool is_half = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;
template <typename T>
inline constexpr bool is_complex = std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t>;
// What kernels compute a type in: float for the 16-bit floating types, else itself.
template <typename T>
using Wide = std::conditional_t<is_half<T>, float, T>;

// What long sums go on in: with twice the digits of float32, or a chain of 10^8 elements would lose five decimals.
template <typename C>
struct CarriedSum {
  using type = C;
};
template <>
struct CarriedSum<float> {
  using type = double;
};
template <>
struct CarriedSum<complex64_t> {
  using type = complex128_t;
};

} // namespace mlx::core::cpu
