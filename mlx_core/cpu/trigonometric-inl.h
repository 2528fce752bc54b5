// The trigonometric bodies and their inverses. `Error:` is the largest measured, in ULP, float32 / float64.
#if defined(MLX_CPU_TRIGONOMETRIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_TRIGONOMETRIC_INL_H_
#undef MLX_CPU_TRIGONOMETRIC_INL_H_
#else
#define MLX_CPU_TRIGONOMETRIC_INL_H_
#endif

#include <cmath>

#include "mlx_core/cpu/huge_angles.h"
#include "mlx_core/cpu/polynomial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// An angle less a multiple of pi, as an unevaluated sum: without `low` the rounding of r would cost another ULP.
template <class V>
struct ReducedAngle {
  V r, low;
};

// y - q unit, unit = pi or pi/2. The first three pieces of pi are short enough for q times them to be exact while
// |y| is below small_angle().
template <class D>
HWY_INLINE hn::Vec<D> small_angle(D d) {
  return constant(d, 1600.0f, 0x1p20);
}

template <class D, class V>
HWY_INLINE ReducedAngle<V> subtract_multiple(D d, V y, V q, double unit_over_pi) {
  const float f = static_cast<float>(unit_over_pi);
  const V a = hn::NegMulAdd(q, constant(d, f * pi_pieces[0], unit_over_pi * 0x1.921fb544p+1), y);
  const V b = hn::Mul(q, constant(d, f * pi_pieces[1], unit_over_pi * 0x1.0b4611a6p-33));
  const V c = hn::Mul(q, constant(d, f * pi_pieces[2], unit_over_pi * 0x1.3198a2ep-68));
  const V u = hn::Sub(a, b);
  const V lost_b = hn::Sub(hn::Sub(a, u), b);
  const V r = hn::Sub(u, c);
  const V lost_c = hn::Sub(hn::Sub(u, r), c);
  const V last = constant(d, f * pi_pieces[3], unit_over_pi * 0x1.b839a252049c1p-103);
  return {r, hn::NegMulAdd(q, last, hn::Add(lost_b, lost_c))};
}

// sin(r + low) for |r| <= 1.575
template <class D, class V>
HWY_INLINE V sin_reduced(D d, ReducedAngle<V> angle) {
  const V z = hn::Mul(angle.r, angle.r);
  V p;
  if constexpr (is_f32<D>) {
    p = polynomial(d, z, sine_terms[0], sine_terms[1], sine_terms[2], sine_terms[3], sine_terms[4]);
  } else {
    p = polynomial(d, z, -0.16666666666666666, 0.008333333333333241, -0.0001984126984123581, 2.7557319217599963e-06,
        -2.5052107701118356e-08, 1.605900011635686e-10, -7.645513213766771e-13, 2.7773097372758947e-15,
        -5.168714134737911e-18);
  }
  const V slope = hn::NegMulAdd(z, constant(d, 0.5), constant(d, 1.0)); // near enough to cos(r) for the tiny `low`
  const V s = hn::Add(angle.r, hn::MulAdd(hn::Mul(p, z), angle.r, hn::Mul(angle.low, slope)));
  const V one = constant(d, 1.0);
  return hn::Max(hn::Min(s, one), hn::Neg(one)); // rounding can lead past 1, and arcsin(sin(x)) to NaN
}

// The sign bit of (-1)^n for integer-valued n
template <class D, class V>
HWY_INLINE V parity_sign(D d, V n) {
  return hn::BitCast(d, hn::ShiftLeft<mantissa_bits<D> + (is_f32<D> ? 8 : 11)>(integer_bits(d, n)));
}

// Each function below subtracts a multiple of pi/2 from small angles, and says what it is of what is left: `of` gets
// the magnitude's reduced angle and its turn, as reduce_huge_angle has them.

// Error: 2.0 / 2.0
struct SinSmall {
  static constexpr Quadrants quadrants = Quadrants::even;

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Abs(x);
    const V q = round_small(d, hn::Mul(y, constant(d, 0.31830988618379067154)));
    return of(d, x, subtract_multiple(d, y, q, 1.0), q);
  }

  template <class D, class V>
  static HWY_INLINE V of(D d, V x, ReducedAngle<V> angle, V turn) {
    const V s = sin_reduced(d, angle);
    return hn::Xor(s, hn::Xor(hn::And(x, hn::SignBit(d)), parity_sign(d, turn)));
  }
};

// cos(y) = -(-1)^k sin(y - (2k + 1) pi/2)
// Error: 2.1 / 2.0
struct CosSmall {
  static constexpr Quadrants quadrants = Quadrants::odd;

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Abs(x);
    const V k = round_small(d, hn::MulAdd(y, constant(d, 0.31830988618379067154), constant(d, -0.5)));
    const V q = hn::MulAdd(k, constant(d, 2.0), constant(d, 1.0));
    return of(d, x, subtract_multiple(d, y, q, 0.5), k);
  }

  template <class D, class V>
  static HWY_INLINE V of(D d, V, ReducedAngle<V> angle, V turn) {
    return hn::Xor(sin_reduced(d, angle), parity_sign(d, hn::Add(turn, constant(d, 1.0))));
  }
};

// Error: 1.7 / 2.2
struct TanSmall {
  static constexpr Quadrants quadrants = Quadrants::any;

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Abs(x);
    const V q = round_small(d, hn::Mul(y, constant(d, 0.63661977236758134308)));
    return of(d, x, subtract_multiple(d, y, q, 0.5), q);
  }

  template <class D, class V>
  static HWY_INLINE V of(D d, V x, ReducedAngle<V> angle, V q) {
    const auto [r, low] = angle;
    const V z = hn::Mul(r, r);
    V numerator, denominator;
    if constexpr (is_f32<D>) {
      const V p = polynomial(d, z, 0.333333492f, 0.133326694f, 0.0540600307f, 0.021278739f, 0.0108503066f,
          6.55768381e-05f, 0.00439036824f);
      numerator = hn::Add(r, hn::MulAdd(hn::Mul(p, z), r, hn::MulAdd(z, low, low)));
      denominator = constant(d, 1.0);
    } else {
      const V s = polynomial(d, z, -0.1666666666666663, 0.008333333333321829, -0.00019841269829345582,
          2.755731353357923e-06, -2.5050733582336135e-08, 1.589538521825044e-10);
      const V c = polynomial(d, z, 0.041666666666666595, -0.0013888888888873394, 2.48015872890448e-05,
          -2.755731422907755e-07, 2.0875706760591087e-09, -1.1358799570021076e-11);
      numerator = hn::Add(r, hn::MulAdd(hn::Mul(s, z), r, low));
      const V half = hn::Mul(z, constant(d, 0.5));
      const V one_less = hn::Sub(constant(d, 1.0), half);
      const V lost = hn::Sub(hn::Sub(constant(d, 1.0), one_less), half);
      denominator = hn::Add(one_less, hn::MulAdd(hn::Mul(z, z), c, hn::NegMulAdd(r, low, lost)));
    }
    // in odd quadrants tan(y) = -1 / tan(r)
    const V half_q = hn::Mul(q, constant(d, 0.5));
    const auto is_odd = hn::Ne(round_small(d, half_q), half_q);
    const V top = hn::IfThenElse(is_odd, hn::Neg(denominator), numerator);
    const V bottom = hn::IfThenElse(is_odd, numerator, denominator);
    return hn::Xor(hn::Div(top, bottom), hn::And(x, hn::SignBit(d)));
  }
};

// The vector formula on small angles; beyond, float32 in float64 lanes, and float64 by a reduction to any length, which
// is the same on every machine.
template <class Function>
struct ByAngle {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const auto small = hn::Le(hn::Abs(x), small_angle(d));
    if (HWY_LIKELY(hn::AllTrue(d, small))) {
      return Function()(d, x);
    }
    return beyond(d, x, Function()(d, hn::IfThenElseZero(small, x)), small);
  }

  template <class D, class V, class M>
  static HWY_NOINLINE V beyond(D d, V x, V result, M small) {
    if constexpr (is_f32<D>) {
      return hn::IfThenElse(small, result, in_double(d, ByAngle<Function>(), hn::IfThenZeroElse(small, x)));
    } else {
      constexpr size_t lanes = hn::MaxLanes(D());
      HWY_ALIGN double xs[lanes], rs[lanes], lows[lanes], turns[lanes];
      const V y = hn::Abs(x);
      const auto finite = hn::Lt(y, infinity(d));
      hn::Store(hn::IfThenZeroElse(small, hn::IfThenElseZero(finite, y)), d, xs);
      for (size_t i = 0; i < hn::Lanes(d); ++i) {
        const ReducedHugeAngle angle =
            xs[i] > 0 ? reduce_huge_angle(xs[i], Function::quadrants) : ReducedHugeAngle{0, 0, 0};
        rs[i] = angle.r;
        lows[i] = angle.low;
        turns[i] = angle.turn;
      }
      const ReducedAngle<V> reduced{hn::Load(d, rs), hn::Load(d, lows)};
      const V huge = Function::of(d, x, reduced, hn::Load(d, turns));
      return hn::IfThenElse(small, result, hn::IfThenElse(finite, huge, hn::Sub(x, x)));
    }
  }
};

using Sin = ByAngle<SinSmall>;
using Cos = ByAngle<CosSmall>;
using Tan = ByAngle<TanSmall>;

// asin(s) - s for 0 <= s <= 1/2, z = s^2
template <class D, class V>
HWY_INLINE V arcsin_correction(D d, V s, V z) {
  V p;
  if constexpr (is_f32<D>) {
    p = polynomial(d, z, 0.166666597f, 0.0750051662f, 0.0445150174f, 0.0318214446f, 0.0143932803f, 0.0375731662f);
  } else {
    p = polynomial(d, z, 0.1666666666666676, 0.0749999999997087, 0.0446428571745516, 0.030381942710471732,
        0.022372214916363556, 0.01735161322740691, 0.013980806682917934, 0.011399020756092082, 0.010779668852597537,
        0.003708532314313255, 0.021702458942522533, -0.020992230751051423, 0.03262447970036066);
  }
  return hn::Mul(hn::Mul(p, z), s);
}

// pi/2 as a sum
template <class D>
HWY_INLINE hn::Vec<D> half_pi_high(D d) {
  return constant(d, 0x1.921fb6p+0f, 0x1.921fb54442d18p+0);
}
template <class D>
HWY_INLINE hn::Vec<D> half_pi_low(D d) {
  return constant(d, -0x1.777a5cp-25f, 0x1.1a62633145c07p-54);
}

// Above 1/2: asin(y) = pi/2 - 2 asin(sqrt((1 - y) / 2))
// Error: 1.2 / 1.1
struct Arcsin {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V half = constant(d, 0.5);
    const V y = hn::Abs(x);
    const auto large = hn::Gt(y, half);
    const V z = hn::IfThenElse(large, hn::NegMulAdd(y, half, half), hn::Mul(y, y));
    const V s = hn::IfThenElse(large, hn::Sqrt(z), y);
    const V correction = arcsin_correction(d, s, z);
    const V two = constant(d, 2.0);
    const V folded = hn::Sub(half_pi_high(d), hn::Mul(two, s));
    const V lost = hn::Sub(hn::Sub(half_pi_high(d), folded), hn::Mul(two, s));
    const V upper = hn::Add(folded, hn::Add(hn::Add(lost, half_pi_low(d)), hn::Mul(constant(d, -2.0), correction)));
    return hn::CopySign(hn::IfThenElse(large, upper, hn::Add(s, correction)), x);
  }
};

// acos(x) = pi/2 - asin(x); above 1/2, 2 asin(sqrt((1 - x) / 2)); below -1/2, pi less that of -x
// Error: 1.1 / 1.1
struct Arccos {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V half = constant(d, 0.5);
    const V two = constant(d, 2.0);
    const V y = hn::Abs(x);
    const auto large = hn::Gt(y, half);
    const V z = hn::IfThenElse(large, hn::NegMulAdd(y, half, half), hn::Mul(y, y));
    const V s = hn::IfThenElse(large, hn::Sqrt(z), y);
    const V correction = arcsin_correction(d, s, z);
    // base - sign (s + correction), doubled for large lanes: the three cases differ in base and sign only
    const auto negative = hn::Lt(x, hn::Zero(d));
    const V outer = hn::IfThenElse(hn::And(large, hn::Not(negative)), hn::Zero(d), half_pi_high(d));
    const V outer_low = hn::IfThenElse(hn::And(large, hn::Not(negative)), hn::Zero(d), half_pi_low(d));
    const V flip = hn::IfThenElse(hn::Xor(large, negative), hn::Zero(d), hn::SignBit(d));
    const V signed_s = hn::Xor(s, flip);
    const V sum = hn::Add(outer, signed_s);
    const V lost = hn::Add(hn::Sub(outer, sum), signed_s);
    const V result = hn::Add(sum, hn::Add(hn::Add(lost, outer_low), hn::Xor(correction, flip)));
    return hn::Mul(result, hn::IfThenElse(large, two, constant(d, 1.0)));
  }
};

// atan(y) for y >= 0: about 0 up to tan(pi/8), about 1 up to tan(3 pi/8), about infinity above
template <class D, class V>
HWY_INLINE V arctan_positive(D d, V y) {
  const V one = constant(d, 1.0);
  const auto middle = hn::Gt(y, constant(d, 0.41421356237309504880));
  const auto high = hn::Gt(y, constant(d, 2.41421356237309504880));
  // middle: pi/4 + atan((y - 1) / (y + 1)); high: pi/2 + atan(-1 / y)
  const V numerator = hn::IfThenElse(high, hn::Neg(one), hn::IfThenElse(middle, hn::Sub(y, one), y));
  const V denominator = hn::IfThenElse(high, y, hn::IfThenElse(middle, hn::Add(y, one), one));
  const V t = hn::Div(numerator, denominator);
  const V z = hn::Mul(t, t);
  V p;
  if constexpr (is_f32<D>) {
    p = polynomial(d, z, -0.333333164f, 0.199985296f, -0.142444208f, 0.105993427f, -0.0609033071f);
  } else {
    p = polynomial(d, z, -0.33333333333333326, 0.1999999999999725, -0.14285714285346462, 0.1111111108602552,
        -0.09090908077871009, 0.07692281435311119, -0.06666209308951755, 0.05876867248486138, -0.052174951289674476,
        0.045001415864649605, -0.03340081130207782, 0.01512530808725589);
  }
  const V share = hn::IfThenElse(high, one, hn::IfThenElseZero(middle, constant(d, 0.5))); // of pi/2
  const V small = hn::MulAdd(hn::Mul(p, z), t, hn::Mul(share, half_pi_low(d)));
  return hn::Add(hn::Mul(share, half_pi_high(d)), hn::Add(t, small));
}

// Error: 1.8 / 1.3
struct Arctan {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::CopySign(arctan_positive(d, hn::Abs(x)), x);
  }
};

// atan2 from the smaller over the larger magnitude, then the octant's reflections. In float64 lanes, for float32.
// Error: 0.51 / libm
struct Arctan2ForFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V y, V x) const {
    const V ay = hn::Abs(y);
    const V ax = hn::Abs(x);
    const auto steep = hn::Gt(ay, ax);
    const V larger = hn::IfThenElse(steep, ay, ax);
    const V smaller = hn::IfThenElse(steep, ax, ay);
    const V one = constant(d, 1.0);
    // 0 / 0 counts as 0 and inf / inf as 1
    const V quotient = hn::IfThenElse(hn::Eq(larger, hn::Zero(d)), hn::Zero(d),
        hn::IfThenElse(hn::Eq(smaller, infinity(d)), one, hn::Div(smaller, larger)));
    V angle = arctan_positive(d, quotient);
    angle = hn::IfThenElse(steep, hn::Sub(half_pi_high(d), angle), angle);
    const auto left = hn::Ne(hn::CopySign(one, x), one);
    angle = hn::IfThenElse(left, hn::Sub(constant(d, 3.14159265358979323846), angle), angle);
    const V result = hn::CopySign(angle, y);
    return hn::IfThenElse(hn::Or(is_nan(d, x), is_nan(d, y)), hn::Add(x, y), result);
  }
};
struct Arctan2Float {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V y, V x) const {
    return in_double(d, Arctan2ForFloat(), y, x);
  }
};
struct Arctan2Double {
  static double apply(double y, double x) { return std::atan2(y, x); }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
