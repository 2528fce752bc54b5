// Bodies on the logarithm: log, log2, log10, log1p. `Error:` is the largest measured, in ULP, float32 / float64.
#if defined(MLX_CPU_LOGARITHM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_LOGARITHM_INL_H_
#undef MLX_CPU_LOGARITHM_INL_H_
#else
#define MLX_CPU_LOGARITHM_INL_H_
#endif

#include "mlx_core/cpu/pieces-inl.h"
#include "mlx_core/cpu/polynomial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// x = 2^exponent (1 + fraction), sqrt(1/2) <= 1 + fraction < sqrt(2), for finite x > 0
template <class V>
struct LogReduction {
  V exponent, fraction;
};

// For normal x: an integer addition moves the cut between exponents from powers of two to sqrt(1/2) times them.
template <class D, class V>
HWY_INLINE LogReduction<V> reduce_log_normal(D d, V x) {
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  constexpr U one = is_f32<D> ? U{0x3f800000} : static_cast<U>(0x3ff0000000000000);
  constexpr U sqrt_half = is_f32<D> ? U{0x3f3504f3} : static_cast<U>(0x3fe6a09e667f3bcd);
  constexpr U integers = is_f32<D> ? U{0x4b000000} : static_cast<U>(0x4330000000000000); // 2^23, 2^52
  const auto shifted = hn::Add(hn::BitCast(du, x), hn::Set(du, static_cast<U>(one - sqrt_half)));
  const auto biased = hn::ShiftRight<mantissa_bits<D>>(shifted);
  const V exponent =
      hn::Sub(hn::BitCast(d, hn::Or(biased, hn::Set(du, integers))), constant(d, 0x1p23f + 127, 0x1p52 + 1023));
  constexpr U mantissa_mask = (U{1} << mantissa_bits<D>)-1;
  const auto mantissa = hn::Add(hn::And(shifted, hn::Set(du, mantissa_mask)), hn::Set(du, sqrt_half));
  return {exponent, hn::Sub(hn::BitCast(d, mantissa), constant(d, 1.0))};
}

template <class D, class V>
HWY_INLINE LogReduction<V> reduce_log(D d, V x) {
  const auto tiny = hn::Lt(x, constant(d, 0x1p-126f, 0x1p-1022));
  const V scaled = hn::IfThenElse(tiny, hn::Mul(x, constant(d, 0x1p25f, 0x1p54)), x);
  auto [exponent, fraction] = reduce_log_normal(d, scaled);
  exponent = hn::Sub(exponent, hn::IfThenElseZero(tiny, constant(d, 25.0f, 54.0)));
  return {exponent, fraction};
}

// log(1 + f) - f + extra for a reduced f; kept apart from f, which is the larger part by far where it matters.
template <class D, class V>
HWY_INLINE V log_correction(D d, V f, V extra) {
  const V half_square = hn::Mul(hn::Mul(f, f), constant(d, 0.5));
  if constexpr (is_f32<D>) {
    const V p = polynomial(d, f, 0.333333135f, -0.250000119f, 0.200020745f, -0.166678563f, 0.142201856f, -0.124081269f,
        0.11886581f, -0.116613567f, 0.0673294216f);
    return hn::Sub(hn::MulAdd(hn::Mul(p, f), hn::Mul(f, f), extra), half_square);
  } else {
    // log(1 + f) = 2 atanh(s), s = f / (2 + f), with the series' tail written so that f appears unrounded
    const V s = hn::Div(f, hn::Add(f, constant(d, 2.0)));
    const V z = hn::Mul(s, s);
    const V p = polynomial(d, z, 0.6666666666666734, 0.39999999999416225, 0.28571428742179283, 0.2222219858435383,
        0.1818356417087052, 0.15314045451448632, 0.14796078330717796);
    return hn::Sub(hn::MulAdd(s, hn::MulAdd(p, z, half_square), extra), half_square);
  }
}

// e ln 2 + log(1 + f) + extra. The high part of ln 2 ends in zeros, so that e times it is exact. `squared` is f, or 0
// where its square is nothing beside it.
template <class D, class V>
HWY_INLINE V assemble_log(D d, V exponent, V fraction, V squared, V extra) {
  const V low = hn::MulAdd(exponent, constant(d, 0x1.7f7d1cp-20f, 0x1.9ef35793c7673p-41), extra);
  const V high = hn::Mul(exponent, constant(d, 0x1.62e4p-1f, 0x1.62e42fefa2p-1));
  return hn::Add(high, hn::Add(fraction, log_correction(d, squared, low)));
}
template <class D, class V>
HWY_INLINE V assemble_log(D d, V exponent, V fraction, V extra) {
  return assemble_log(d, exponent, fraction, fraction, extra);
}

// The values of every logarithm outside the positive finite numbers
template <class D, class V>
HWY_INLINE V log_edges(D d, V x, V result) {
  const V zero = hn::Zero(d);
  const V edge =
      hn::IfThenElse(hn::Eq(x, zero), hn::Neg(infinity(d)), hn::IfThenElse(hn::Lt(x, zero), quiet_nan(d), x));
  return hn::IfThenElse(hn::And(hn::Gt(x, zero), hn::Lt(x, infinity(d))), result, edge);
}

// Whether all are normal and above 0, as nearly all vectors are.
template <class D, class V>
HWY_INLINE bool all_normal(D d, V x) {
  return hn::AllTrue(d, hn::And(hn::Ge(x, constant(d, 0x1p-126f, 0x1p-1022)), hn::Lt(x, infinity(d))));
}

// Error: 0.8, 1.0 by pieces / 0.8
struct Log {
#if HWY_TARGET == HWY_AVX3
  template <class D>
  HWY_INLINE hn::Vec512<float> operator()(D d, hn::Vec512<float> x) const {
    return log_by_pieces(d, x);
  }
#endif
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    if (HWY_LIKELY(all_normal(d, x))) {
      const auto [exponent, fraction] = reduce_log_normal(d, x);
      return assemble_log(d, exponent, fraction, hn::Zero(d));
    }
    return of_any(d, x);
  }

 private:
  template <class D, class V>
  static HWY_INLINE V of_any(D d, V x) {
    const auto [exponent, fraction] = reduce_log(d, x);
    return log_edges(d, x, assemble_log(d, exponent, fraction, hn::Zero(d)));
  }
};

// A logarithm in another base: log(1 + f) is split into a short high part, whose product with a short constant is
// exact, and the rest, so that powers of the base give exact results.
template <class V>
struct LogBase {
  V per_log_high, per_log_low, per_log;  // 1 / ln(base)
  V per_exponent_high, per_exponent_low; // log_base(2)
};

template <class D, class V>
HWY_INLINE V log_in_base(D d, V x, LogBase<V> base) {
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  const auto [exponent, fraction] = reduce_log(d, x);
  const V correction = log_correction(d, fraction, hn::Zero(d));
  constexpr U upper_half = is_f32<D> ? static_cast<U>(0xfffff000) : static_cast<U>(0xfffffffff8000000);
  const V high = hn::And(hn::Add(fraction, correction), hn::BitCast(d, hn::Set(du, upper_half)));
  const V low = hn::Add(hn::Sub(fraction, high), correction);
  const V a = hn::Mul(exponent, base.per_exponent_high);
  const V b = hn::Mul(high, base.per_log_high);
  const V sum = hn::Add(a, b);
  const V lost = hn::Add(hn::Sub(a, sum), b); // exact: |a| > |b| or a == 0
  const V small =
      hn::MulAdd(exponent, base.per_exponent_low, hn::MulAdd(high, base.per_log_low, hn::Mul(low, base.per_log)));
  return log_edges(d, x, hn::Add(sum, hn::Add(lost, small)));
}

// Error: 0.9 / 1.0
struct Log2 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const LogBase<V> base{constant(d, 0x1.716000p+0f, 0x1.7154768000000p+0),
        constant(d, -0x1.7135a8p-13f, -0x1.6a3e80f444178p-27), constant(d, 1.44269504088896340736), constant(d, 1.0),
        hn::Zero(d)};
    return log_in_base(d, x, base);
  }
};

// Error: 0.8 / 0.8
struct Log10 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const LogBase<V> base{constant(d, 0x1.bcc000p-2f, 0x1.bcb7b18000000p-2),
        constant(d, -0x1.09d5b2p-15f, -0x1.6c8d78e6acaa4p-29), constant(d, 0.43429448190325182765),
        constant(d, 0x1.344000p-2f, 0x1.34413509f8000p-2), constant(d, 0x1.3509f8p-18f, -0x1.80433b83b532ap-44)};
    return log_in_base(d, x, base);
  }
};

// log(1 + x), where u = 1 + x is rounded and log(u) is corrected by the rounding error over u. x > -1 and finite.
template <class D, class V>
HWY_INLINE V log1p_finite(D d, V x) {
  const V one = constant(d, 1.0);
  const V u = hn::Add(one, x);
  const V error = hn::IfThenElse(hn::Gt(x, one), hn::Sub(one, hn::Sub(u, x)), hn::Sub(x, hn::Sub(u, one)));
  const auto [exponent, fraction] = reduce_log_normal(d, u);
  const auto unreduced = hn::Eq(exponent, hn::Zero(d)); // then f is x itself
  const V f = hn::IfThenElse(unreduced, x, fraction);
  const V correction = hn::IfThenElse(unreduced, hn::Zero(d), hn::Div(error, u));
  const auto is_tiny = hn::Lt(hn::Abs(f), constant(d, 0x1p-30f, 0x1p-60)); // whose square may be subnormal
  return assemble_log(d, exponent, f, hn::IfThenZeroElse(is_tiny, f), correction);
}

// Error: 0.8 / 0.8
struct Log1p {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = log1p_finite(d, x);
    const V edge = hn::IfThenElse(hn::Eq(x, constant(d, -1.0)), hn::Neg(infinity(d)),
        hn::IfThenElse(hn::Lt(x, constant(d, -1.0)), quiet_nan(d), x));
    const auto inside = hn::And(hn::Gt(x, constant(d, -1.0)), hn::Lt(x, infinity(d)));
    // the sign of zero, which the sums above lose
    return hn::IfThenElse(hn::And(inside, hn::Ne(x, hn::Zero(d))), y, edge);
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
