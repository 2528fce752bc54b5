// Element types: their sizes, kinds, promotion and the C++ type behind each.
#pragma once

#include <complex>
#include <cstdint>
#include <string_view>

#include "mlx_core/half.h"

namespace mlx::core {

using complex64_t = std::complex<float>;
using complex128_t = std::complex<double>;

struct Dtype {
  enum class Val : uint8_t {
    bool_,
    uint8,
    uint16,
    uint32,
    uint64,
    int8,
    int16,
    int32,
    int64,
    float16,
    bfloat16,
    float32,
    float64,
    complex64,
    complex128,
  };
  // The category tree: generic > number > {integer > {signed, unsigned}, inexact > {floating, complex}}.
  enum class Category : uint8_t {
    complexfloating,
    floating,
    inexact,
    signedinteger,
    unsignedinteger,
    integer,
    number,
    generic,
  };

  Val val;
  constexpr Dtype(Val v) : val(v) {}
  constexpr Dtype() : val(Val::float32) {}
  constexpr operator Val() const { return val; }

  constexpr int size() const {
    constexpr uint8_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8, 16};
    return sizes[static_cast<int>(val)];
  }
  constexpr bool is_bool() const { return val == Val::bool_; }
  constexpr bool is_unsigned() const { return val >= Val::uint8 && val <= Val::uint64; }
  constexpr bool is_signed() const { return val >= Val::int8 && val <= Val::int64; }
  constexpr bool is_integer() const { return is_unsigned() || is_signed(); } // bool is not
  constexpr bool is_floating() const { return val >= Val::float16 && val <= Val::float64; }
  constexpr bool is_complex() const { return val >= Val::complex64; }
  constexpr bool is_inexact() const { return val >= Val::float16; }
};

inline constexpr int dtype_count = 15;
inline constexpr Dtype bool_{Dtype::Val::bool_};
inline constexpr Dtype uint8{Dtype::Val::uint8};
inline constexpr Dtype uint16{Dtype::Val::uint16};
inline constexpr Dtype uint32{Dtype::Val::uint32};
inline constexpr Dtype uint64{Dtype::Val::uint64};
inline constexpr Dtype int8{Dtype::Val::int8};
inline constexpr Dtype int16{Dtype::Val::int16};
inline constexpr Dtype int32{Dtype::Val::int32};
inline constexpr Dtype int64{Dtype::Val::int64};
inline constexpr Dtype float16{Dtype::Val::float16};
inline constexpr Dtype bfloat16{Dtype::Val::bfloat16};
inline constexpr Dtype float32{Dtype::Val::float32};
inline constexpr Dtype float64{Dtype::Val::float64};
inline constexpr Dtype complex64{Dtype::Val::complex64};
inline constexpr Dtype complex128{Dtype::Val::complex128};

// "float32", as Python prints it.
std::string_view name_of(Dtype dtype);
std::string_view name_of(Dtype::Category category);

// The dtype both operands of a binary op are converted to. MLX's table, extended by NumPy's rule where
// complex128 takes part, and where float64 meets complex64.
Dtype promote_types(Dtype a, Dtype b);
// The real dtype that holds |z|, Re z, Im z; itself for real dtypes.
Dtype real_of(Dtype dtype);
// The complex dtype whose parts hold `dtype`: complex128 for 64-bit types, else complex64.
Dtype complex_of(Dtype dtype);
// The dtype that an inexact-only op computes a dtype in: float32 for bool and integers, else itself.
Dtype inexact_of(Dtype dtype);

bool issubdtype(Dtype dtype, Dtype::Category category);
bool issubdtype(Dtype::Category a, Dtype::Category b);

template <typename T>
struct dtype_of;
#define MLX_DTYPE_OF(type, value)                        \
  template <>                                            \
  struct dtype_of<type> {                                \
    static constexpr Dtype::Val val = Dtype::Val::value; \
  }
MLX_DTYPE_OF(bool, bool_);
MLX_DTYPE_OF(uint8_t, uint8);
MLX_DTYPE_OF(uint16_t, uint16);
MLX_DTYPE_OF(uint32_t, uint32);
MLX_DTYPE_OF(uint64_t, uint64);
MLX_DTYPE_OF(int8_t, int8);
MLX_DTYPE_OF(int16_t, int16);
MLX_DTYPE_OF(int32_t, int32);
MLX_DTYPE_OF(int64_t, int64);
MLX_DTYPE_OF(float16_t, float16);
MLX_DTYPE_OF(bfloat16_t, bfloat16);
MLX_DTYPE_OF(float, float32);
MLX_DTYPE_OF(double, float64);
MLX_DTYPE_OF(complex64_t, complex64);
MLX_DTYPE_OF(complex128_t, complex128);
#undef MLX_DTYPE_OF

} // namespace mlx::core
