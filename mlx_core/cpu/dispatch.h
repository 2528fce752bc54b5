// From a dtype to the C++ type behind it: the one place where kernels switch on a dtype.
#pragma once

#include <type_traits>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Calls f(std::type_identity<T>()) with the element type T.
template <typename F>
void with_inexact_type(Dtype dtype, F&& f) {
  switch (dtype.val) {
    case Dtype::Val::float16: return f(std::type_identity<float16_t>());
    case Dtype::Val::bfloat16: return f(std::type_identity<bfloat16_t>());
    case Dtype::Val::float32: return f(std::type_identity<float>());
    case Dtype::Val::float64: return f(std::type_identity<double>());
    case Dtype::Val::complex64: return f(std::type_identity<complex64_t>());
    case Dtype::Val::complex128: return f(std::type_identity<complex128_t>());
    default: return;
  }
}
template <typename F>
void with_type(Dtype dtype, F&& f) {
  switch (dtype.val) {
    case Dtype::Val::bool_: return f(std::type_identity<bool>());
    case Dtype::Val::uint8: return f(std::type_identity<uint8_t>());
    case Dtype::Val::uint16: return f(std::type_identity<uint16_t>());
    case Dtype::Val::uint32: return f(std::type_identity<uint32_t>());
    case Dtype::Val::uint64: return f(std::type_identity<uint64_t>());
    case Dtype::Val::int8: return f(std::type_identity<int8_t>());
    case Dtype::Val::int16: return f(std::type_identity<int16_t>());
    case Dtype::Val::int32: return f(std::type_identity<int32_t>());
    case Dtype::Val::int64: return f(std::type_identity<int64_t>());
    default: return with_inexact_type(dtype, f);
  }
}

template <typename T>
inline constexpr bool is_half = std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;
template <typename T>
inline constexpr bool is_complex = std::is_same_v<T, complex64_t> || std::is_same_v<T, complex128_t>;
// What kernels compute a type in: float for the 16-bit floating types, else itself.
template <typename T>
using Wide = std::conditional_t<is_half<T>, float, T>;

} // namespace mlx::core::cpu
