// Bodies of power, logaddexp and hypot. `Error:` is the largest measured, in ULP,
// float32 / float64.
#if defined(MLX_CPU_POWER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_POWER_INL_H_
#undef MLX_CPU_POWER_INL_H_
#else
#define MLX_CPU_POWER_INL_H_
#endif

#include <cmath>

#include "mlx_core/cpu/exponential-inl.h"
#include "mlx_core/cpu/logarithm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// exp(y log |x|) in float64 lanes, which leaves float32 operands bits to spare, then C's rules for signs and edges
// Error: 0.51 / libm, 0.51
struct PowerForFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const V one = constant(d, 1.0);
    const V zero = hn::Zero(d);
    const V ax = hn::Abs(x);
    V magnitude = Exp()(d, hn::Mul(y, Log()(d, ax)));
    magnitude = hn::IfThenElse(hn::And(hn::Eq(ax, one), hn::Eq(y, y)), one, magnitude); // 1^inf
    const V half_y = hn::Mul(y, constant(d, 0.5));
    const auto integer = hn::Eq(hn::Trunc(y), y);
    const auto odd = hn::And(integer, hn::Ne(hn::Trunc(half_y), half_y));
    const auto negative = hn::Ne(hn::CopySign(one, x), one);
    const auto no_root =
        hn::And(hn::And(negative, hn::Not(integer)), hn::And(hn::Gt(ax, zero), hn::Lt(ax, infinity(d))));
    const V sign = hn::And(hn::IfThenElseZero(hn::And(negative, odd), hn::SignBit(d)), hn::SignBit(d));
    V result = hn::IfThenElse(no_root, quiet_nan(d), hn::Xor(magnitude, sign));
    return hn::IfThenElse(hn::Or(hn::Eq(y, zero), hn::Eq(x, one)), one, result);
  }
};

// The exponents that are met most, 2 and 1 (its derivative's), take no logarithm. Each lane by itself, so that the bits
// of a power do not depend on its neighbours.
struct PowerFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const auto square = hn::Eq(y, constant(d, 2.0));
    const auto itself = hn::Eq(y, constant(d, 1.0));
    const V quick = hn::IfThenElse(square, hn::Mul(x, x), x);
    const auto is_quick = hn::Or(square, itself);
    return hn::AllTrue(d, is_quick) ? quick : hn::IfThenElse(is_quick, quick, in_double(d, PowerForFloat(), x, y));
  }
};

struct PowerDouble {
  static double apply(double x, double y) { return y == 2 ? x * x : y == 1 ? x : std::pow(x, y); }
};

// max + log1p(exp(-|a - b|)), equal infinities included
// Error: 0.51 / 1.2, where the sum does not cancel
struct LogaddexpInDouble {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const V larger = hn::IfThenElse(hn::Gt(a, b), a, b);
    const V distance = hn::IfThenElseZero(hn::Ne(a, b), hn::Neg(hn::Abs(hn::Sub(a, b))));
    const V rest = log1p_finite(d, scaled_exp(d, clamp_exponent(d, distance)));
    const V result = hn::Add(larger, rest);
    return hn::IfThenElse(hn::Or(is_nan(d, a), is_nan(d, b)), hn::Add(a, b), result);
  }
};
using Logaddexp = ThroughDouble<LogaddexpInDouble>;

// Error: 0.5 / libm, 0.52
struct HypotForFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const V h = hn::Sqrt(hn::Add(hn::Mul(x, x), hn::Mul(y, y)));
    const auto infinite = hn::Or(hn::Eq(hn::Abs(x), infinity(d)), hn::Eq(hn::Abs(y), infinity(d)));
    return hn::IfThenElse(infinite, infinity(d), h); // even beside NaN
  }
};
struct HypotFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    return in_double(d, HypotForFloat(), x, y);
  }
};
struct HypotDouble {
  static double apply(double x, double y) { return std::hypot(x, y); }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
