// The order of elements: ascending, false before true, complex numbers by real, then imaginary part, NaNs last.
#pragma once

#include "mlx_core/cpu/dispatch.h"

namespace mlx::core::cpu {

template <typename T>
bool is_nan(T value) {
  if constexpr (is_half<T>) {
    return is_nan(static_cast<float>(value));
  } else {
    return value != value; // of complex numbers: when a part is
  }
}

// A strict order: two NaNs are equal, neither comes before the other.
template <typename T>
bool before(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return a < b;
  } else if constexpr (is_half<T>) {
    return before(static_cast<float>(a), static_cast<float>(b));
  } else if constexpr (is_complex<T>) {
    if (is_nan(a) || is_nan(b)) {
      return !is_nan(a) && is_nan(b);
    }
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  } else {
    return (a < b) | (!is_nan(a) & is_nan(b));
  }
}

} // namespace mlx::core::cpu
