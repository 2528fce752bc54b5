// Kernels of complex arithmetic that is cheap enough to be worth vectorising.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/complex_arithmetic.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "mlx_core/cpu/arithmetic-inl.h"
#include "mlx_core/cpu/families.h"
#include "mlx_core/cpu/power-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// What acts on the parts one by one is the real kernel on twice as many elements.
template <Kernel kernel>
void on_parts(const void* const* inputs, void* output, int64_t n) {
  kernel(inputs, output, 2 * n);
}

// The textbook product on interleaved parts: no recovery of infinities from NaN, as in NumPy and MLX. In vectors
// explicitly, because GCC fuses the plain formula's multiplications and additions even with -ffp-contract=off.
struct ComplexMultiply {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const V straight = hn::Mul(a, hn::DupEven(b));
    const V crossed = hn::Mul(hn::Reverse2(d, a), hn::DupOdd(b));
    return hn::OddEven(hn::Add(straight, crossed), hn::Sub(straight, crossed));
  }
};
struct ComplexSquare {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V z) const {
    return ComplexMultiply()(d, z, z);
  }
};
// Both parts of an element.
template <class D, class V>
HWY_INLINE auto is_zero(D d, V a) {
  const V zero = hn::Zero(d);
  return hn::And(hn::Eq(a, zero), hn::Eq(hn::Reverse2(d, a), zero));
}
struct ComplexZeroTimes {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::IfThenZeroElse(hn::Or(is_zero(d, a), is_zero(d, b)), ComplexMultiply()(d, a, b));
  }
};
// The moduli of float parts, whole vectors at a time: as hypot() of the parts.
void float_moduli(const void* const* inputs, void* output, int64_t n) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float* parts = static_cast<const float*>(inputs[0]);
  float* out = static_cast<float*>(output);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::Vec<decltype(d)> re, im;
    hn::LoadInterleaved2(d, parts + 2 * i, re, im);
    hn::StoreU(HypotFloat()(d, re, im), d, out + i);
  }
  if (i < n) {
    HWY_ALIGN float rest[2 * hn::MaxLanes(hn::ScalableTag<float>())] = {};
    std::copy_n(parts + 2 * i, 2 * (n - i), rest);
    hn::Vec<decltype(d)> re, im;
    hn::LoadInterleaved2(d, rest, re, im);
    hn::Store(HypotFloat()(d, re, im), d, rest);
    std::copy_n(rest, n - i, out + i);
  }
}
template <class Op, class T>
constexpr Kernel complex_map1 = &on_parts<&map1<Op, T>>;
template <class Op, class T>
constexpr Kernel complex_map2 = &on_parts<&map2<Op, T>>;

template <class T>
struct ComplexArithmetic {
  using Z = std::complex<T>;

  static bool less(Z a, Z b) { return (a.real() < b.real()) | ((a.real() == b.real()) & (a.imag() < b.imag())); }
  static bool is_nan(Z z) { return (z.real() != z.real()) | (z.imag() != z.imag()); }

  // In double for float parts: neither the squares of the parts nor their sum can overflow or vanish there.
  static double magnitude(std::complex<float> z) {
    const double re = z.real();
    const double im = z.imag();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const bool infinite = (re == infinity) | (re == -infinity) | (im == infinity) | (im == -infinity);
    const double h = std::sqrt(re * re + im * im);
    return infinite ? infinity : h; // even beside NaN
  }
  static double magnitude(std::complex<double> z) { return std::hypot(z.real(), z.imag()); }

  // Of equal numbers, which differ in the sign of a zero, the first
  struct Maximum {
    static Z apply(Z a, Z b) { return is_nan(a) | (!is_nan(b) & !less(a, b)) ? a : b; }
  };
  struct Minimum {
    static Z apply(Z a, Z b) { return is_nan(a) | (!is_nan(b) & !less(b, a)) ? a : b; }
  };
  struct Abs {
    static T apply(Z z) { return static_cast<T>(magnitude(z)); }
  };
  // z / |z|, and 0 at 0. Where one part is infinite, that part alone counts, unless the other is NaN.
  struct Sign {
    static Z apply(Z z) {
      double h = magnitude(z);
      if constexpr (sizeof(T) == 8) { // a modulus beyond the range, or with few digits
        if ((h > 0x1p1020 || (h < 0x1p-960 && h > 0)) && std::isfinite(z.real()) && std::isfinite(z.imag()))
            [[unlikely]] {
          const T power = h > 1 ? 0x1p-100 : 0x1p200;
          z = {z.real() * power, z.imag() * power};
          h = magnitude(z);
        }
      }
      if (h == std::numeric_limits<double>::infinity()) [[unlikely]] {
        const T re = std::isinf(z.real()) ? std::copysign(T{1}, z.real()) : T{0};
        const T im = std::isinf(z.imag()) ? std::copysign(T{1}, z.imag()) : T{0};
        const T nan = std::numeric_limits<T>::quiet_NaN();
        return (re != 0 && im != 0) || z != z ? Z{nan, nan} : Z{re, im};
      }
      if (h != h) {
        return {static_cast<T>(h), static_cast<T>(h)};
      }
      return h == 0 ? Z{0} : Z{static_cast<T>(z.real() / h), static_cast<T>(z.imag() / h)};
    }
  };

  static Kernel find(Body body) {
    switch (body) {
      case Body::negative: return &on_parts<&map1<bodies::HWY_NAMESPACE::Negative, T>>;
      case Body::rint: return &on_parts<&map1<bodies::HWY_NAMESPACE::Rint, T>>;
      case Body::add: return &on_parts<&map2<bodies::HWY_NAMESPACE::Add, T>>;
      case Body::subtract: return &on_parts<&map2<bodies::HWY_NAMESPACE::Subtract, T>>;
      case Body::gap: return &on_parts<&map2<bodies::HWY_NAMESPACE::Gap, T>>;
      case Body::multiply: return complex_map2<ComplexMultiply, T>;
      case Body::square: return complex_map1<ComplexSquare, T>;
      case Body::zero_times: return complex_map2<ComplexZeroTimes, T>;
      case Body::maximum: return &loop2<Maximum, Z, Z>;
      case Body::minimum: return &loop2<Minimum, Z, Z>;
      case Body::abs:
        if constexpr (sizeof(T) == 4) {
          return &float_moduli;
        }
        return &loop1<Abs, T, Z>;
      case Body::sign: return &loop1<Sign, Z, Z>;
      default: return nullptr;
    }
  }
};

Kernel find_complex_arithmetic(Body body, Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::complex64: return ComplexArithmetic<float>::find(body);
    case Dtype::Val::complex128: return ComplexArithmetic<double>::find(body);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu::bodies {

HWY_EXPORT(find_complex_arithmetic);

Kernel complex_arithmetic_kernel(Body body, Dtype dtype) {
  return HWY_DYNAMIC_DISPATCH(find_complex_arithmetic)(body, dtype);
}

} // namespace mlx::core::cpu::bodies
#endif
