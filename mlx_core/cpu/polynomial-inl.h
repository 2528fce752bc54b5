// What the transcendental bodies are built from: polynomials, splitting off powers of two, float32 through float64.
#if defined(MLX_CPU_POLYNOMIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_POLYNOMIAL_INL_H_
#undef MLX_CPU_POLYNOMIAL_INL_H_
#else
#define MLX_CPU_POLYNOMIAL_INL_H_
#endif

#include <limits>

#include "mlx_core/cpu/map-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

template <class D>
inline constexpr bool is_f32 = sizeof(hn::TFromD<D>) == 4;
template <class D>
inline constexpr int mantissa_bits = is_f32<D> ? 23 : 52;
template <class D>
inline constexpr int exponent_bias = is_f32<D> ? 127 : 1023;

// A constant of the lane type, from one literal per precision.
template <class D>
HWY_INLINE hn::Vec<D> constant(D d, double value) {
  return hn::Set(d, static_cast<hn::TFromD<D>>(value));
}
template <class D>
HWY_INLINE hn::Vec<D> constant(D d, float f32, double f64) {
  return hn::Set(d, is_f32<D> ? static_cast<hn::TFromD<D>>(f32) : static_cast<hn::TFromD<D>>(f64));
}

// c0 + x (c1 + x (c2 + ...))
template <class D, class V, class C>
HWY_INLINE V polynomial(D d, V, C c0) {
  return constant(d, c0);
}
template <class D, class V, class C, class... Cs>
HWY_INLINE V polynomial(D d, V x, C c0, Cs... cs) {
  return hn::MulAdd(polynomial(d, x, cs...), x, constant(d, c0));
}

// x rounded to the nearest integer (ties to even) for |x| below 2^22 (2^51): adding 1.5 * 2^23 (2^52) leaves no
// bits for a fraction. The same on every instruction set, unlike the conversions to integers.
template <class D, class V>
HWY_INLINE V round_small(D d, V x) {
  const V magic = constant(d, 0x1.8p23f, 0x1.8p52);
  return hn::Sub(hn::Add(x, magic), magic);
}

// The low bits of the result hold the integer-valued |n| < 2^22 in two's complement.
template <class D, class V>
HWY_INLINE auto integer_bits(D d, V n) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(du, hn::Add(n, constant(d, 0x1.8p23f, 0x1.8p52)));
}

// 2^(n + shift) as two factors, each a normal number, for integer-valued n in [-1080, 1030] (float32: [-160, 140]).
template <class V>
struct PowerOfTwo {
  V first, second;
};

template <int shift = 0, class D, class V>
HWY_INLINE PowerOfTwo<V> power_of_two(D d, V n) {
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  constexpr U bias = exponent_bias<D>;
  constexpr U offset = is_f32<D> ? 256 : 2048; // makes n + offset positive, and halves it exactly
  const auto shifted = hn::And(integer_bits(d, hn::Add(n, constant(d, offset))), hn::Set(du, U{4095}));
  const auto half = hn::ShiftRight<1>(shifted);
  const auto exponent1 = hn::Add(half, hn::Set(du, static_cast<U>(bias - offset / 2)));
  const auto exponent2 = hn::Add(hn::Sub(shifted, half), hn::Set(du, static_cast<U>(bias - offset / 2 + shift)));
  return {hn::BitCast(d, hn::ShiftLeft<mantissa_bits<D>>(exponent1)),
      hn::BitCast(d, hn::ShiftLeft<mantissa_bits<D>>(exponent2))};
}

// 2^n for integer-valued n where that is a normal number
template <class D, class V>
HWY_INLINE V small_power_of_two(D d, V n) {
  return hn::BitCast(d, hn::ShiftLeft<mantissa_bits<D>>(integer_bits(d, hn::Add(n, constant(d, exponent_bias<D>)))));
}

// What the processor computes with subnormal results takes it over a hundred cycles. So p 2^n that is one, or nearly,
// is rounded by integers: for p in [1/2, 2) and n in (-2^11, -125] (float64: -1021), of which the integer part counts.
template <class D, class V>
HWY_NOINLINE V small_product(D d, V p, V n) {
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  constexpr int lift = is_f32<D> ? 64 : 128; // to a normal number
  const V exponent = hn::Max(hn::Floor(n), constant(d, -153.0f, -1077.0));
  const auto bits = hn::BitCast(du, hn::Mul(p, small_power_of_two(d, hn::Add(exponent, constant(d, lift)))));
  const auto field = hn::ShiftRight<mantissa_bits<D>>(bits), one = hn::Set(du, U{1});
  const auto hidden = hn::Set(du, U{1} << mantissa_bits<D>);
  const auto fraction = hn::Or(hn::And(bits, hn::Sub(hidden, one)), hidden);
  // to the nearest, ties to even
  const auto digits = hn::Min(hn::Sub(hn::Set(du, U{lift + 1}), field), hn::Set(du, U{8 * sizeof(U) - 1}));
  const auto last = hn::And(hn::Shr(fraction, digits), one), half = hn::Shl(one, hn::Sub(digits, one));
  const auto rounded = hn::Shr(hn::Add(hn::Add(fraction, hn::Sub(half, one)), last), digits);
  const auto normal = hn::Sub(bits, hn::Set(du, U{lift} << mantissa_bits<D>));
  return hn::BitCast(d, hn::IfThenElse(hn::Gt(field, hn::Set(du, U{lift})), normal, rounded));
}

// p 2^(n + shift), rounded once, for p in [1/2, 2) and n as above, or with AVX-512 any n, of which the integer part
// counts.
template <int shift = 0, class D, class V>
HWY_INLINE V times_power_of_two(D d, V p, V n) {
  const V least = constant(d, -125.0f - shift, -1021.0 - shift);
#if HWY_TARGET == HWY_AVX3 // has an instruction for it
  const V exponent = shift ? hn::Add(n, constant(d, shift)) : n;
  hn::Mask<D> is_small;
  V y;
  if constexpr (is_f32<D>) {
    const __mmask16 others = _mm512_cmp_ps_mask(n.raw, least.raw, _CMP_NLT_UQ);
    y = V{_mm512_maskz_scalef_ps(others, p.raw, exponent.raw)};
    if (HWY_LIKELY(others == 0xffff)) {
      return y;
    }
    is_small.raw = _knot_mask16(others);
  } else {
    const __mmask8 others = _mm512_cmp_pd_mask(n.raw, least.raw, _CMP_NLT_UQ);
    y = V{_mm512_maskz_scalef_pd(others, p.raw, exponent.raw)};
    if (HWY_LIKELY(others == 0xff)) {
      return y;
    }
    is_small.raw = _knot_mask8(others);
  }
#else
  const auto is_small = hn::Lt(n, least);
  const auto scale = power_of_two<shift>(d, n);
  V y = hn::Mul(hn::IfThenZeroElse(is_small, hn::Mul(p, scale.first)), scale.second);
  if (HWY_LIKELY(hn::AllFalse(d, is_small))) {
    return y;
  }
#endif
  const auto is_zero = hn::Lt(n, constant(d, -150.0f - shift, -1075.0 - shift)); // when rounded
  const auto is_subnormal = hn::AndNot(is_zero, is_small);
  if (hn::AllFalse(d, is_subnormal)) {
    return y;
  }
  return hn::IfThenElse(is_subnormal, small_product(d, p, hn::Add(n, constant(d, shift))), y);
}

template <class D, class V>
HWY_INLINE auto is_nan(D, V x) {
  return hn::IsNaN(x);
}

template <class D, class V>
HWY_INLINE V keep_nan(D d, V x, V result) {
  return hn::IfThenElse(is_nan(d, x), x, result);
}

template <class D>
HWY_INLINE hn::Vec<D> infinity(D d) {
  return hn::Set(d, std::numeric_limits<hn::TFromD<D>>::infinity());
}
template <class D>
HWY_INLINE hn::Vec<D> quiet_nan(D d) {
  return hn::Set(d, std::numeric_limits<hn::TFromD<D>>::quiet_NaN());
}

// Evaluates f on float32 operands in float64 and rounds once.
template <class F, class D, class... V>
HWY_INLINE hn::Vec<D> in_double(D d, F f, V... x) {
  const hn::RepartitionToWide<D> dd;
  const hn::Half<D> dh;
  const auto lower = hn::DemoteTo(dh, f(dd, hn::PromoteTo(dd, hn::LowerHalf(dh, x))...));
  const auto upper = hn::DemoteTo(dh, f(dd, hn::PromoteTo(dd, hn::UpperHalf(dh, x))...));
  return hn::Combine(d, upper, lower);
}

// Replaces the lanes of `result` where `mask` is set by f of the operands' lanes: for the rare arguments that the
// vector formula does not reach.
template <class F, class D, class V, class M>
HWY_NOINLINE V patch_lanes(D d, F f, M mask, V result, V x) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T results[hn::MaxLanes(D())];
  HWY_ALIGN T xs[hn::MaxLanes(D())];
  HWY_ALIGN T flags[hn::MaxLanes(D())];
  hn::Store(result, d, results);
  hn::Store(x, d, xs);
  hn::Store(hn::IfThenElseZero(mask, constant(d, 1.0)), d, flags);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (flags[i] != 0) {
      results[i] = f(xs[i]);
    }
  }
  return hn::Load(d, results);
}

template <class F, class D, class V, class M>
HWY_NOINLINE V patch_lanes(D d, F f, M mask, V result, V x, V y) {
  using T = hn::TFromD<D>;
  HWY_ALIGN T results[hn::MaxLanes(D())];
  HWY_ALIGN T xs[hn::MaxLanes(D())];
  HWY_ALIGN T ys[hn::MaxLanes(D())];
  HWY_ALIGN T flags[hn::MaxLanes(D())];
  hn::Store(result, d, results);
  hn::Store(x, d, xs);
  hn::Store(y, d, ys);
  hn::Store(hn::IfThenElseZero(mask, constant(d, 1.0)), d, flags);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if (flags[i] != 0) {
      results[i] = f(xs[i], ys[i]);
    }
  }
  return hn::Load(d, results);
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
