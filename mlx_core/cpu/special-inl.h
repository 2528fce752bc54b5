// The error function and its inverse. `Error:` is the largest measured, in ULP, float32 / float64.
#if defined(MLX_CPU_SPECIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_SPECIAL_INL_H_
#undef MLX_CPU_SPECIAL_INL_H_
#else
#define MLX_CPU_SPECIAL_INL_H_
#endif

#include <cmath>

#include "mlx_core/cpu/exponential-inl.h"
#include "mlx_core/cpu/logarithm-inl.h"
#include "mlx_core/cpu/pieces-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// Up to 1 an odd polynomial; above, 1 - exp(a polynomial fitted to log erfc), until erfc no longer counts
// Error: 1.3, 0.8 by pieces / libm, 1.0
struct ErfFloat {
#if HWY_TARGET == HWY_AVX3
  template <class D>
  HWY_INLINE hn::Vec512<float> operator()(D d, hn::Vec512<float> x) const {
    return erf_by_pieces(d, x);
  }
#endif
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V y = hn::Min(hn::Abs(x), constant(d, 4.05));
    const V z = hn::Mul(y, y);
    const V p = polynomial(d, z, 0.128379166f, -0.37612626f, 0.112835832f, -0.0268536936f, 0.00518808141f,
        -0.000800797483f, 7.84651638e-05f);
    const V small = hn::MulAdd(p, y, y);
    const V log_erfc = polynomial(d, y, 0.000188516162f, -1.1295805f, -0.633216083f, -0.108422406f, 0.0252105296f,
        -0.00420535915f, 0.000441489479f, -2.16992757e-05f);
    const auto [n, r] = reduce_log_two(d, log_erfc);
    const V erfc = hn::Mul(hn::Add(expm1_reduced(d, r), constant(d, 1.0)), small_power_of_two(d, n));
    const V large = hn::Sub(constant(d, 1.0), erfc);
    return keep_nan(d, x, hn::CopySign(hn::IfThenElse(hn::Lt(y, constant(d, 1.0)), small, large), x));
  }
};

// x p(w), w = -log(1 - x^2), which is smooth in w, and in sqrt(w) for larger w. In float64 lanes the argument of the
// logarithm is exact for a float32 x.
// Error: 1.0
struct ErfinvForFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V w = hn::Neg(Log()(d, hn::NegMulAdd(x, x, constant(d, 1.0))));
    const V c = hn::Sub(w, constant(d, 2.5));
    const V central = polynomial(d, c, 1.50140941f, 0.246640295f, -0.00417750003f, -0.00125275867f, 0.000218410481f,
        -4.95412814e-06f, -3.47692276e-06f, 4.64262229e-07f, 2.42507934e-08f, -8.65819327e-09f);
    const V s = hn::Sub(hn::Sqrt(w), constant(d, 3.0));
    const V tail = polynomial(d, s, 2.83297682f, 1.00167477f, 0.00944422279f, -0.00763444975f, 0.00569583802f,
        -0.00361010619f, 0.00146253745f, -3.26888985e-05f, -0.000291884033f, 9.88064203e-05f);
    const V p = hn::IfThenElse(hn::Lt(w, constant(d, 5.0)), central, tail);
    return hn::Mul(x, hn::IfThenElse(hn::Eq(w, infinity(d)), infinity(d), p));
  }
};

struct ErfinvFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return in_double(d, ErfinvForFloat(), x);
  }
};

struct ErfDouble {
  static double apply(double x) { return std::erf(x); }
};

// Halley's iteration on erf(y) = x, or erfc(y) = 1 - x where erf is flat, from Winitzki's estimate (2e-3)
// Error: 1.6
struct ErfinvDouble {
  static double apply(double x) {
    const double target = std::fabs(x);
    if (!(target < 1)) {
      return target == 1 ? std::copysign(std::numeric_limits<double>::infinity(), x)
                         : std::numeric_limits<double>::quiet_NaN();
    }
    if (target < 1e-9) { // erf(y) = 2 y / sqrt(pi) to the last bit
      return x * 0.88622692545275801365;
    }
    const double log_term = std::log1p(-target * target);
    const double half = 4.3307467508 + log_term / 2; // 2 / (pi a), a = 0.147
    double y = std::sqrt(std::sqrt(half * half - log_term / 0.147) - half);
    for (int step = 0; step < 3; ++step) {
      const double miss = target > 0.5 ? (1 - target) - std::erfc(y) : std::erf(y) - target;
      const double newton = miss / (1.12837916709551257390 * std::exp(-y * y));
      y -= newton / (1 + y * newton);
    }
    return std::copysign(y, x);
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
