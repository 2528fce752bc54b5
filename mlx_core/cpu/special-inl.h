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

// Up to 1 an odd polynomial. Above, until erfc no longer counts, 1 - exp(a polynomial fitted to log erfc); in float64
// that is log erfc less its value at 1, times y - 1, so that it is exact there, where erfc is largest.
// Error: 1.3, 0.8 by pieces / 1.1
struct Erf {
#if HWY_TARGET == HWY_AVX3
  template <class D>
  HWY_INLINE hn::Vec512<float> operator()(D d, hn::Vec512<float> x) const {
    return erf_by_pieces(d, x);
  }
#endif
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = constant(d, 1.0), y = hn::Min(hn::Abs(x), constant(d, 4.05f, 5.95)), z = hn::Mul(y, y);
    V p, log_erfc;
    if constexpr (is_f32<D>) {
      p = polynomial(d, z, 0.128379166f, -0.37612626f, 0.112835832f, -0.0268536936f, 0.00518808141f, -0.000800797483f,
          7.84651638e-05f);
      log_erfc = polynomial(d, y, 0.000188516162f, -1.1295805f, -0.633216083f, -0.108422406f, 0.0252105296f,
          -0.00420535915f, 0.000441489479f, -2.16992757e-05f);
    } else {
      p = polynomial(d, z, 0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072882,
          0.005223977624780739, -0.000854832697873517, 0.00012055331036653976, -1.4925593501243258e-05,
          1.6460972730447426e-06, -1.6350024345998977e-07, 1.465787421209357e-08, -1.1365645182315817e-09,
          5.945228176984277e-11);
      const V t = hn::Sub(y, one);
      const V slope = polynomial(d, t, -2.638967514234791, -0.8431072563585088, -0.041561098045868966,
          0.01003382542520828, -0.0019779029471315877, 0.00023732432071699942, 2.627174941016884e-05,
          -2.714456596384024e-05, 9.583627336293405e-06, -2.027084466306311e-06, 1.1107228943562736e-07,
          1.2092557663958339e-07, -6.499898537452473e-08, 2.0283555332653508e-08, -4.498908263881932e-09,
          7.220303948412957e-10, -8.024396758774797e-11, 5.5333976813867755e-12, -1.7814534238602935e-13);
      log_erfc = hn::Mul(slope, t);
    }
    const V small = hn::MulAdd(p, y, y);
    const auto [n, r] = reduce_log_two(d, log_erfc);
    V erfc = hn::Mul(hn::Add(expm1_reduced(d, r), one), small_power_of_two(d, n));
    if constexpr (!is_f32<D>) {
      erfc = hn::Mul(erfc, constant(d, 0.15729920705028513)); // erfc(1)
    }
    return keep_nan(d, x, hn::CopySign(hn::IfThenElse(hn::Lt(y, one), small, hn::Sub(one, erfc)), x));
  }
};

// x p(w), w = -log(1 - x^2), which is smooth in w, and in sqrt(w) for larger w. 1 - |x| is exact where that
// logarithm is large; of p, what its last sum rounds away is added to the product.
// Error: 1.5, 2.1 without fused multiply-adds
struct ErfinvFloat {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = constant(d, 1.0f), w = hn::Neg(Log()(d, hn::Mul(hn::Sub(one, x), hn::Add(one, x))));
    const auto central = hn::Lt(w, constant(d, 5.0f));
    const V c = hn::Sub(w, constant(d, 1.125f));
    V t = c, first = constant(d, 1.1584153f);
    V slope = polynomial(d, c, 0.24878499f, 0.0033695395f, -0.0023205085f, 0.00012321472f, 3.4734945e-05f,
        -4.8374823e-06f, -3.5977837e-07f, 1.2536968e-07f, -8.24729e-09f);
    if (HWY_UNLIKELY(!hn::AllTrue(d, central))) {
      const V s = hn::Sub(hn::Sqrt(hn::Min(constant(d, 40.0f), w)), constant(d, 3.0f)); // NaN where w is
      const V tail = polynomial(d, s, 1.0016749f, 0.00944461f, -0.007635564f, 0.005692467f, -0.0036062032f,
          0.001471232f, -3.9859857e-05f, -0.00029892725f, 0.00010439054f);
      t = hn::IfThenElse(central, c, s);
      first = hn::IfThenElse(central, first, constant(d, 2.8329768f));
      slope = hn::IfThenElse(central, slope, tail);
    }
    const V p = hn::MulAdd(slope, t, first), rest = hn::MulAdd(slope, t, hn::Sub(first, p));
    const V y = hn::MulAdd(x, p, hn::Mul(x, rest));
    return hn::CopySign(hn::IfThenElse(hn::Eq(w, infinity(d)), w, y), x);
  }
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
