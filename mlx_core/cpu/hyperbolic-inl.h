// The hyperbolic bodies and their inverses. `Error:` is the largest measured, in ULP, float32 / float64.
#if defined(MLX_CPU_HYPERBOLIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_HYPERBOLIC_INL_H_
#undef MLX_CPU_HYPERBOLIC_INL_H_
#else
#define MLX_CPU_HYPERBOLIC_INL_H_
#endif

#include "mlx_core/cpu/for_float-inl.h"
#include "mlx_core/cpu/pieces-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// exp(|x|) / 2 without the overflow that exp(|x|) has before cosh does
template <class D, class V>
HWY_INLINE V half_exp_magnitude(D d, V x) {
  return scaled_exp<-1>(d, hn::Min(hn::Abs(x), constant(d, 90.0f, 712.0)));
}

// Error: 1.6, 2.4 by pieces / 1.6
struct Sinh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Abs(x);
    const V z = hn::Mul(x, x);
    V p;
    if constexpr (is_f32<D>) {
      p = polynomial(d, z, 0.166666672f, 0.00833331514f, 0.000198416645f, 2.7899996e-06f);
    } else {
      p = polynomial(d, z, 0.16666666666666666, 0.008333333333333522, 0.00019841269841128982, 2.7557319275890327e-06,
          2.505209788658162e-08, 1.6060231982264383e-10, 7.576495150991597e-13, 4.5424301130499926e-15);
    }
    const V small = hn::MulAdd(hn::Mul(p, z), y, y);
    const V e = half_exp_magnitude(d, x);
    const V large = hn::Sub(e, hn::Div(constant(d, 0.25), e));
    return keep_nan(d, x, hn::CopySign(hn::IfThenElse(hn::Le(y, constant(d, 1.0)), small, large), x));
  }
};

// Error: 1.4, 1.5 by pieces / 1.4
struct Cosh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V e = half_exp_magnitude(d, x);
    return keep_nan(d, x, hn::Add(e, hn::Div(constant(d, 0.25), e)));
  }
};

// float32: an odd polynomial near 0, else 1 - 2 / (exp(2y) + 1). float64: -t / (t + 2), t = expm1(-2y).
// Error: 1.3, 1.0 by pieces / 2.5
struct Tanh {
#if HWY_TARGET == HWY_AVX3
  template <class D>
  HWY_INLINE hn::Vec512<float> operator()(D d, hn::Vec512<float> x) const {
    return tanh_by_pieces(d, x);
  }
#endif
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    if constexpr (is_f32<D>) {
      const V y = hn::Min(hn::Abs(x), constant(d, 10.0));
      const V z = hn::Mul(y, y);
      const V p =
          polynomial(d, z, -0.333333284f, 0.133331224f, -0.0539370924f, 0.0216510519f, -0.00806078408f, 0.00204071449f);
      const V small = hn::MulAdd(hn::Mul(p, z), y, y);
      const auto [n, r] = reduce_log_two(d, hn::Add(y, y));
      const V e = hn::Mul(hn::Add(expm1_reduced(d, r), constant(d, 1.0)), small_power_of_two(d, n));
      const V one = constant(d, 1.0);
      const V large = hn::Sub(one, hn::Div(constant(d, 2.0), hn::Add(e, one)));
      return keep_nan(d, x, hn::CopySign(hn::IfThenElse(hn::Lt(y, constant(d, 0.625)), small, large), x));
    } else {
      const V y = hn::Min(hn::Abs(x), constant(d, 22.0));
      const V t = expm1_small(d, hn::Mul(y, constant(d, -2.0)));
      return keep_nan(d, x, hn::CopySign(hn::Div(t, hn::Add(t, constant(d, 2.0))), x));
    }
  }
};

// The inverses, in float64 lanes: of float64, and of float32, for which nothing overflows and less cancels.

// large ? log(2 y) : log(1 + excess), through one logarithm
template <class D, class V, class M>
HWY_INLINE V log_of_one_plus(D d, M large, V y, V excess) {
  const V log_two = constant(d, 0.69314718055994530942);
  return hn::Add(log1p_finite(d, hn::IfThenElse(large, y, excess)), hn::IfThenElseZero(large, log_two));
}

// log(y + sqrt(y^2 + 1)). float32: near 0 an odd polynomial. float64: with log1p so that nothing cancels; from 2^60 on
// the 1 no longer counts.
// Error: 0.51 / 1.9
template <bool for_float>
struct ArcsinhInDouble {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = constant(d, 1.0);
    const V y = hn::Abs(x);
    V result;
    if constexpr (for_float) {
      const V z = hn::Mul(y, y);
      const V large = log_for_float(d, hn::Add(y, sqrt_for_float(d, hn::Add(z, one))));
      const V small = hn::MulAdd(polynomial(d, z, -1.0 / 6, 3.0 / 40), hn::Mul(z, y), y);
      result = hn::IfThenElse(hn::Lt(y, constant(d, 0x1p-6)), small, large);
    } else {
      const auto large = hn::Gt(y, constant(d, 0x1p60));
      const V m = hn::Min(y, constant(d, 0x1p60));
      const V square = hn::Mul(m, m);
      const V excess = hn::Add(m, hn::Div(square, hn::Add(one, hn::Sqrt(hn::Add(square, one)))));
      result = log_of_one_plus(d, large, y, excess);
    }
    return hn::IfThenElse(hn::Lt(y, infinity(d)), hn::CopySign(result, x), x);
  }
};

// log(x + sqrt(x^2 - 1)). float32: x^2 - 1 is exact for small x. float64: through t = x - 1.
// Error: 0.51 / 2.5
template <bool for_float>
struct ArccoshInDouble {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = constant(d, 1.0);
    V result;
    if constexpr (for_float) {
      result = log_for_float(d, hn::Add(x, sqrt_for_float(d, hn::Sub(hn::Mul(x, x), one))));
    } else {
      const auto large = hn::Gt(x, constant(d, 0x1p60));
      const V t = hn::Sub(hn::Min(x, constant(d, 0x1p60)), one);
      const V excess = hn::Add(t, hn::Sqrt(hn::Mul(t, hn::Add(t, constant(d, 2.0)))));
      result = log_of_one_plus(d, large, x, excess);
    }
    const V edge = hn::IfThenElse(hn::Lt(x, one), quiet_nan(d), x);
    return hn::IfThenElse(hn::And(hn::Ge(x, one), hn::Lt(x, infinity(d))), result, edge);
  }
};

// float32: log((1 + y) / (1 - y)) / 2, and near 0 an odd polynomial. float64: log1p(2y / (1 - y)) / 2.
// Error: 0.51 / 1.5
template <bool for_float>
struct ArctanhInDouble {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = constant(d, 1.0);
    const V half = constant(d, 0.5);
    const V y = hn::Abs(x);
    V result;
    if constexpr (for_float) {
      const V z = hn::Mul(y, y);
      const V large = hn::Mul(log_for_float(d, quotient_for_float(d, hn::Add(one, y), hn::Sub(one, y))), half);
      const V small = hn::MulAdd(polynomial(d, z, 1.0 / 3, 1.0 / 5, 1.0 / 7), hn::Mul(z, y), y);
      result = hn::IfThenElse(hn::Lt(y, constant(d, 0x1p-6)), small, large);
    } else {
      result = hn::Mul(log1p_finite(d, hn::Div(hn::Add(y, y), hn::Sub(one, y))), half);
    }
    const V edge = hn::IfThenElse(hn::Eq(y, one), infinity(d), quiet_nan(d));
    return keep_nan(d, x, hn::CopySign(hn::IfThenElse(hn::Lt(y, one), result, edge), x));
  }
};

using Arcsinh = ByWidth<ArcsinhInDouble>;
using Arccosh = ByWidth<ArccoshInDouble>;
using Arctanh = ByWidth<ArctanhInDouble>;

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
