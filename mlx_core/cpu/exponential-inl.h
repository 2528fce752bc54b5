// Bodies on the exponential: exp, exp2, expm1, sigmoid. `Error:` is the largest measured, in ULP, float32 / float64.
#if defined(MLX_CPU_EXPONENTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_EXPONENTIAL_INL_H_
#undef MLX_CPU_EXPONENTIAL_INL_H_
#else
#define MLX_CPU_EXPONENTIAL_INL_H_
#endif

#include "mlx_core/cpu/pieces-inl.h"
#include "mlx_core/cpu/polynomial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// exp(r) - 1 for |r| <= 0.3475
template <class D, class V>
HWY_INLINE V expm1_reduced(D d, V r) {
  V p;
  if constexpr (is_f32<D>) {
    p = polynomial(d, r, 0.5f, 0.166666657f, 0.0416664779f, 0.0083335666f, 0.00139337394f, 0.000197436108f);
  } else {
    p = polynomial(d, r, 0.5, 0.16666666666666677, 0.04166666666666661, 0.008333333333321397, 0.001388888888892404,
        0.00019841269886778187, 2.4801587237001168e-05, 2.755724349374864e-06, 2.755735320672966e-07,
        2.5109306293881752e-08, 2.088947775260704e-09);
  }
  return hn::MulAdd(p, hn::Mul(r, r), r);
}

// x = n ln 2 + r with integer n and |r| <= ln(2) / 2. The high part of ln 2 ends in zeros, so that n times it is exact.
template <class V>
struct LogTwoReduction {
  V n, r;
};

template <class D, class V>
HWY_INLINE LogTwoReduction<V> reduce_log_two(D d, V x) {
  const V n = round_small(d, hn::Mul(x, constant(d, 1.44269504088896340736)));
  V r = hn::NegMulAdd(n, constant(d, 0x1.62e4p-1f, 0x1.62e42fefa2p-1), x);
  r = hn::NegMulAdd(n, constant(d, 0x1.7f7d1cp-20f, 0x1.9ef35793c7673p-41), r);
  return {n, r};
}

// Where exp certainly overflows to infinity or underflows to zero; arguments are clamped to it. NaN passes through
// the arithmetic as some finite value, hence keep_nan at the end of each body.
template <class D, class V>
HWY_INLINE V clamp_exponent(D d, V x) {
  return hn::Min(hn::Max(x, constant(d, -105.0f, -750.0)), constant(d, 90.0f, 712.0));
}

// exp(x) for clamped x, times 2^shift
template <int shift = 0, class D, class V>
HWY_INLINE V scaled_exp(D d, V x) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (is_f32<D>) {
    return exp_by_pieces<shift>(d, x);
  }
#endif
  const auto [n, r] = reduce_log_two(d, x);
  return times_power_of_two<shift>(d, hn::Add(expm1_reduced(d, r), constant(d, 1.0)), n);
}

// Error: 1.0 / 1.0
struct Exp {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
#if HWY_TARGET == HWY_AVX3 // where this gives its second operand if one is NaN, and scaling keeps that, and takes any n
    return scaled_exp(d, hn::Min(constant(d, 90.0f, 712.0), x));
#else
    return keep_nan(d, x, scaled_exp(d, clamp_exponent(d, x)));
#endif
  }
};

// Error: 1.0 / 1.1
struct Exp2 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Min(hn::Max(x, constant(d, -151.0f, -1076.0)), constant(d, 129.0f, 1025.0));
    const V n = round_small(d, y);
    const V r = hn::Mul(hn::Sub(y, n), constant(d, 0.693147180559945309417));
    return keep_nan(d, x, times_power_of_two(d, hn::Add(expm1_reduced(d, r), constant(d, 1.0)), n));
  }
};

// exp(x) - 1 for clamped x: 2^n expm1(r) + (2^n - 1), with 2^n = s t and the bracket taken as (s - 1/t) t.
template <class D, class V>
HWY_INLINE V expm1_clamped(D d, V x) {
  const auto [n, r] = reduce_log_two(d, x);
  const V p = expm1_reduced(d, r);
  const auto scale = power_of_two(d, n);
  // 1 / t: mirroring the exponent field about its bias inverts a power of two
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  const auto two_in_field = hn::Set(du, U{2 * exponent_bias<D>} << mantissa_bits<D>);
  const V inverse = hn::BitCast(d, hn::Sub(two_in_field, hn::BitCast(du, scale.second)));
  const V y = hn::Mul(hn::MulAdd(p, scale.first, hn::Sub(scale.first, inverse)), scale.second);
  return hn::CopySign(y, x); // expm1(-0) is -0
}

// The same where 2^n is a normal number
template <class D, class V>
HWY_INLINE V expm1_small(D d, V x) {
  const auto [n, r] = reduce_log_two(d, x);
  const V scale = small_power_of_two(d, n);
  return hn::CopySign(hn::MulAdd(expm1_reduced(d, r), scale, hn::Sub(scale, constant(d, 1.0))), x);
}

// Error: 1.4 / 1.9
struct Expm1 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    // Below the lower bound the result is -1 to the last bit; the bound also keeps 2^n normal.
    const V y = hn::Min(hn::Max(x, constant(d, -30.0f, -50.0)), constant(d, 90.0f, 712.0));
    return keep_nan(d, x, expm1_clamped(d, y));
  }
};

// 1 / (1 + exp(-x)), and for negative x the equal exp(x) / (1 + exp(x)), which keeps tiny results
// Error: 2.3, 2.8 by pieces / 2.2
struct Sigmoid {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = constant(d, 1.0);
    const V e = scaled_exp(d, clamp_exponent(d, hn::Neg(hn::Abs(x))));
    const auto is_negative = hn::Lt(x, hn::Zero(d));
    const auto quotient = [&](V e) HWY_ATTR { return hn::Div(hn::IfThenElse(is_negative, e, one), hn::Add(one, e)); };
    const auto is_subnormal = hn::Lt(e, constant(d, 0x1p-126f, 0x1p-1022));
    if (HWY_LIKELY(hn::AllFalse(d, is_subnormal))) {
      return keep_nan(d, x, quotient(e));
    }
    // Dividing one takes the processor over a hundred cycles, and 1 + e is 1.
    const V others = quotient(hn::IfThenZeroElse(is_subnormal, e));
    return keep_nan(d, x, hn::IfThenElse(hn::And(is_subnormal, is_negative), e, others));
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
