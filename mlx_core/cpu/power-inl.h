// Bodies of power, logaddexp and hypot. `Error:` is the largest measured, in ULP,
// float32 / float64.
#if defined(MLX_CPU_POWER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_POWER_INL_H_
#undef MLX_CPU_POWER_INL_H_
#else
#define MLX_CPU_POWER_INL_H_
#endif

#include <cmath>

#include "mlx_core/cpu/for_float-inl.h"

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
    V magnitude = exp_for_float(d, hn::Mul(y, log_for_float(d, ax)));
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

// Exponents up to this one that are whole, or whole and a half, take products and no logarithm.
inline constexpr double most_products = 64;

// x^(twice / 2) for whole numbers `twice`, of float32 numbers in float64 lanes, by squaring: what is left of float64's
// digits after these products is more than float32 has.
struct PowerByProducts {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V twice) const {
    const V zero = hn::Zero(d);
    const V one = constant(d, 1.0);
    const V half = constant(d, 0.5);
    const V halves = hn::Abs(twice);
    const V whole = hn::Mul(halves, half);
    const auto root = hn::Ne(hn::Trunc(whole), whole);
    V base = x;
    V count = whole;
    if (!hn::AllFalse(d, root)) {
      const auto no_root = hn::And(hn::Lt(x, zero), hn::Gt(x, hn::Neg(infinity(d))));
      base = hn::IfThenElse(root, hn::IfThenElse(no_root, quiet_nan(d), hn::Sqrt(hn::Abs(x))), x);
      count = hn::IfThenElse(root, halves, whole);
    }
    V result = one;
    for (;;) {
      const V rest = hn::Trunc(hn::Mul(count, half));
      result = hn::IfThenElse(hn::Ne(hn::Add(rest, rest), count), hn::Mul(result, base), result);
      count = rest;
      if (hn::AllTrue(d, hn::Eq(count, zero))) {
        break;
      }
      base = hn::Mul(base, base);
    }
    return hn::IfThenElse(hn::Lt(twice, zero), hn::Div(one, result), result);
  }
};

// x^3, rounded once but for the last product, where nothing overflows or loses bits below the normal numbers. Only with
// fused products.
template <class D, class V>
HWY_INLINE V cube(V x) {
  const V square = hn::Mul(x, x);
  return hn::MulAdd(square, x, hn::Mul(hn::MulSub(x, x, square), x));
}
template <class D, class V>
HWY_INLINE hn::Mask<D> is_cubed(D d, V x) {
  const V size = hn::Abs(x);
  return hn::And(hn::Gt(size, constant(d, 0x1p-30)), hn::Lt(size, constant(d, 0x1p40)));
}

// Each lane by itself, so that the bits of a power do not depend on its neighbours: the shortcuts for vectors of one
// exponent, which all round once, give those of PowerByProducts.
struct PowerFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const V zero = hn::Zero(d);
    const auto square = hn::Eq(y, constant(d, 2.0));
    const auto itself = hn::Eq(y, constant(d, 1.0)); // of the derivative of squares
    if (hn::AllTrue(d, hn::Or(square, itself))) {
      return hn::IfThenElse(square, hn::Mul(x, x), x);
    }
    if (hn::AllTrue(d, hn::Eq(y, constant(d, -1.0)))) {
      return hn::Div(constant(d, 1.0), x);
    }
    if (hn::AllTrue(d, hn::Eq(y, constant(d, 0.5)))) {
      const auto no_root = hn::And(hn::Lt(x, zero), hn::Gt(x, hn::Neg(infinity(d))));
      return hn::IfThenElse(no_root, quiet_nan(d), hn::Sqrt(hn::Abs(x)));
    }
#if HWY_NATIVE_FMA
    const auto cubed = hn::And(hn::Eq(y, constant(d, 3.0)), is_cubed(d, x));
    return hn::AllTrue(d, cubed) ? cube<D>(x) : hn::IfThenElse(cubed, cube<D>(x), any_power(d, x, y));
#else
    return any_power(d, x, y);
#endif
  }

 private:
  template <class D, class V>
  static HWY_INLINE V any_power(D d, V x, V y) {
    const V twice = hn::Add(y, y);
    const auto few = hn::And(hn::Eq(hn::Trunc(twice), twice), hn::Le(hn::Abs(y), constant(d, most_products)));
    if (hn::AllTrue(d, few)) {
      return in_double(d, PowerByProducts(), x, twice);
    }
    const V power = in_double(d, PowerForFloat(), x, y);
    return hn::AllFalse(d, few)
               ? power
               : hn::IfThenElse(few, in_double(d, PowerByProducts(), x, hn::IfThenElseZero(few, twice)), power);
  }
};

// The power of 3, as above.
struct Cube {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
#if HWY_NATIVE_FMA
    const auto direct = is_cubed(d, x);
    return hn::AllTrue(d, direct) ? cube<D>(x) : hn::IfThenElse(direct, cube<D>(x), by_products(d, x));
#else
    return by_products(d, x);
#endif
  }

 private:
  template <class D, class V>
  static HWY_INLINE V by_products(D d, V x) {
    return in_double(d, PowerByProducts(), x, constant(d, 6.0));
  }
};

struct PowerDouble {
  static double apply(double x, double y) {
    if (y == 2) {
      return x * x;
    }
    if (y == 1) {
      return x;
    }
    if (y == -1) {
      return 1 / x;
    }
    if (y == 0.5 && x > 0) {
      return std::sqrt(x);
    }
#if HWY_NATIVE_FMA
    if (y == 3 && std::abs(x) > 0x1p-300 && std::abs(x) < 0x1p300) { // with what the first product is rounded by
      const double square = x * x;
      return std::fma(square, x, std::fma(x, x, -square) * x);
    }
#endif
    return std::pow(x, y);
  }
};

struct CubeDouble {
  static double apply(double x) { return PowerDouble::apply(x, 3); }
};

// max + log1p(exp(-|a - b|)), equal infinities included
// Error: 0.51 / 1.2, where the sum does not cancel
template <bool for_float>
struct LogaddexpInDouble {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const V larger = hn::IfThenElse(hn::Gt(a, b), a, b);
    const V distance = hn::IfThenElseZero(hn::Ne(a, b), hn::Neg(hn::Abs(hn::Sub(a, b))));
    V rest;
    if constexpr (for_float) {
      // Of float32, nothing: the exponential need not become subnormal.
      const auto nothing = hn::Lt(distance, hn::Set(d, -110.0));
      rest = log1p_for_float(d, exp_for_float(d, hn::IfThenZeroElse(nothing, distance)));
      rest = hn::IfThenZeroElse(nothing, rest);
    } else {
      rest = log1p_finite(d, scaled_exp(d, clamp_exponent(d, distance)));
    }
    const V result = hn::Add(larger, rest);
    return hn::IfThenElse(hn::Or(is_nan(d, a), is_nan(d, b)), hn::Add(a, b), result);
  }
};
using Logaddexp = ByWidth<LogaddexpInDouble>;

// Error: 0.5 / libm, 0.52
struct HypotForFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const V h = sqrt_for_float(d, hn::Add(hn::Mul(x, x), hn::Mul(y, y)));
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
