// Arithmetic and rounding bodies for the real floating dtypes. Each is correctly rounded except rsqrt (1.5 ULP).
#if defined(MLX_CPU_ARITHMETIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_ARITHMETIC_INL_H_
#undef MLX_CPU_ARITHMETIC_INL_H_
#else
#define MLX_CPU_ARITHMETIC_INL_H_
#endif

#include <cmath>
#include <type_traits>

#include "mlx_core/cpu/extrema-inl.h"
#include "mlx_core/cpu/polynomial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

struct Negative {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Neg(x);
  }
};
struct Abs {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Abs(x);
  }
};
// 0 at both zeros, NaN at NaN
struct Sign {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V zero = hn::Zero(d);
    const V one = hn::CopySign(constant(d, 1.0), x);
    return keep_nan(d, x, hn::IfThenElse(hn::Eq(x, zero), zero, one));
  }
};
struct Square {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Mul(x, x);
  }
};
// Rounded correctly, as the instruction's is, which takes twice as long: from an approximation of 1 / sqrt(x) with an
// error of 2^-14, a step of Goldschmidt's iteration leaves what the residue x - s^2, which is exact, needs to round the
// last bit. Not of numbers so small that the residue is not.
struct Sqrt {
  template <class D, class V>
  HWY_INLINE V operator()([[maybe_unused]] D d, V x) const {
#if HWY_TARGET == HWY_AVX3
    if constexpr (is_stepwise<D>) {
      if (are_ordinary(above_least(x))) [[likely]]
        return stepwise(d, x);
    }
#endif
    return hn::Sqrt(x);
  }
  // Looks at all of them at once.
  template <class D, class V>
  static HWY_INLINE void four([[maybe_unused]] D d, V& x0, V& x1, V& x2, V& x3) {
#if HWY_TARGET == HWY_AVX3
    if constexpr (is_stepwise<D>) {
      const __m512i low = _mm512_max_epu32(above_least(x0), above_least(x1)),
                    high = _mm512_max_epu32(above_least(x2), above_least(x3));
      if (are_ordinary(_mm512_max_epu32(low, high))) [[likely]] {
        x0 = stepwise(d, x0), x1 = stepwise(d, x1), x2 = stepwise(d, x2), x3 = stepwise(d, x3);
        return;
      }
    }
#endif
    x0 = hn::Sqrt(x0), x1 = hn::Sqrt(x1), x2 = hn::Sqrt(x2), x3 = hn::Sqrt(x3);
  }

#if HWY_TARGET == HWY_AVX3
 private:
  template <class D>
  static constexpr bool is_stepwise = std::is_same_v<hn::TFromD<D>, float> && hn::MaxLanes(D()) == 16;
  static constexpr int least = 27 << 23, infinity = 255 << 23; // bits of numbers

  template <class V>
  static HWY_INLINE __m512i above_least(V x) {
    return _mm512_sub_epi32(_mm512_castps_si512(x.raw), _mm512_set1_epi32(least));
  }
  static HWY_INLINE bool are_ordinary(__m512i above) {
    return _mm512_cmplt_epu32_mask(above, _mm512_set1_epi32(infinity - least)) == 0xffff;
  }
  template <class D, class V>
  static HWY_INLINE V stepwise(D d, V x) {
    const V half = hn::Set(d, 0.5f), y{_mm512_rsqrt14_ps(x.raw)};
    const V s = hn::Mul(x, y), h = hn::Mul(y, half), error = hn::NegMulAdd(h, s, half);
    const V root = hn::MulAdd(s, error, s), inverse = hn::MulAdd(h, error, h);
    return hn::MulAdd(hn::NegMulAdd(root, root, x), inverse, root);
  }
#endif
};
struct Rsqrt {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Div(constant(d, 1.0), hn::Sqrt(x));
  }
};
struct Reciprocal {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Div(constant(d, 1.0), x);
  }
};

struct Floor {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Floor(x);
  }
};
struct Ceil {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Ceil(x);
  }
};
// Half to even
struct Rint {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Round(x);
  }
};
struct Trunc {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Trunc(x);
  }
};
struct Add {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Add(a, b);
  }
};
struct Subtract {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Sub(a, b);
  }
};
struct Multiply {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Mul(a, b);
  }
};
struct Divide {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Div(a, b);
  }
};
// 0 for equal operands, infinities too
struct Gap {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::IfThenZeroElse(hn::Eq(a, b), hn::Sub(a, b));
  }
};
// NaN in either operand gives NaN
struct Maximum {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::IfThenElse(hn::IsNaN(a), a, cpu::HWY_NAMESPACE::greater_or_second(a, b));
  }
};
struct Minimum {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::IfThenElse(hn::IsNaN(a), a, cpu::HWY_NAMESPACE::less_or_second(a, b));
  }
};
struct ZeroTimes {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const V zero = hn::Zero(d);
    return hn::IfThenZeroElse(hn::Or(hn::Eq(a, zero), hn::Eq(b, zero)), hn::Mul(a, b));
  }
};
struct ZeroDivide {
  template <class D, class V>
  static HWY_INLINE hn::Mask<D> gives_zero(D d, V a, V b) {
    return hn::Or(hn::Eq(a, hn::Zero(d)), hn::IsInf(b));
  }
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::IfThenZeroElse(gives_zero(d, a, b), hn::Div(a, b));
  }
};
struct Share {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V g, V a, V b) const {
    const V half = hn::Mul(g, hn::Set(d, static_cast<hn::TFromD<D>>(0.5)));
    return hn::IfThenElse(hn::Gt(a, b), g, hn::IfThenElseZero(hn::Eq(a, b), half));
  }
};
struct Copysign {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::CopySign(a, b);
  }
};

// On the bits of an IEEE type: negation, magnitude and sign need no conversion of the 16-bit types.
template <class U>
struct BitsNegative {
  static U apply(U x) { return static_cast<U>(x ^ (U{1} << (8 * sizeof(U) - 1))); }
};
template <class U>
struct BitsAbs {
  static U apply(U x) { return static_cast<U>(x & static_cast<U>(~U{0}) >> 1); }
};
template <class U>
struct BitsCopysign {
  static U apply(U a, U b) {
    constexpr U magnitude = static_cast<U>(~U{0}) >> 1;
    return static_cast<U>((a & magnitude) | (b & ~magnitude));
  }
};

// The neighbour of a towards b. Magnitudes are ordered as their bits are; `infinity` is the bits of that.
template <class U, U infinity>
struct BitsNextafter {
  static U apply(U a, U b) {
    constexpr U magnitude = static_cast<U>(~U{0}) >> 1;
    const U ma = a & magnitude;
    const U mb = b & magnitude;
    if (ma > infinity) {
      return a;
    }
    if (mb > infinity || a == b || (ma == 0 && mb == 0)) {
      return b;
    }
    if (ma == 0) {
      return static_cast<U>((b & ~magnitude) | 1);
    }
    const bool same_sign = ((a ^ b) & ~magnitude) == 0;
    return static_cast<U>(same_sign && mb > ma ? a + 1 : a - 1);
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
