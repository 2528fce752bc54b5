// Functions in float64 lanes whose results become float32: roots, quotients, logarithms and exponentials with some
// digits more than float32 has. AVX-512 takes them from instructions that approximate and from short tables; other
// instruction sets from the functions of float64.
#if defined(MLX_CPU_FOR_FLOAT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_FOR_FLOAT_INL_H_
#undef MLX_CPU_FOR_FLOAT_INL_H_
#else
#define MLX_CPU_FOR_FLOAT_INL_H_
#endif

#include "mlx_core/cpu/exponential-inl.h"
#include "mlx_core/cpu/logarithm-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// sqrt(x) for finite x that are 0 or normal; NaN below 0. Relative error: 2^-52
template <class D, class V>
HWY_INLINE V sqrt_for_float(D, V x) {
  return hn::Sqrt(x);
}

// a / b for b of which the reciprocal is normal. Relative error: 2^-41
template <class D, class V>
HWY_INLINE V quotient_for_float(D, V a, V b) {
  return hn::Div(a, b);
}

// log(x) for x that is no subnormal number. Relative error: 2^-38
template <class D, class V>
HWY_INLINE V log_for_float(D d, V x) {
  return Log()(d, x);
}

// exp(x); NaN where x is. Relative error: 2^-34
template <class D, class V>
HWY_INLINE V exp_for_float(D d, V x) {
  return Exp()(d, x);
}

#if HWY_TARGET == HWY_AVX3

// Two steps of Newton's, from 14 bits.
template <class D>
HWY_INLINE hn::Vec512<double> sqrt_for_float(D d, hn::Vec512<double> x) {
  const hn::Vec512<double> r{_mm512_rsqrt14_pd(x.raw)};
  const auto half = constant(d, 0.5);
  auto root = hn::Mul(x, r);
  auto half_inverse = hn::Mul(r, half);
  const auto e = hn::NegMulAdd(root, half_inverse, half);
  root = hn::MulAdd(root, e, root);
  half_inverse = hn::MulAdd(half_inverse, e, half_inverse);
  root = hn::MulAdd(hn::NegMulAdd(root, root, x), half_inverse, root);
  return hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, root);
}

template <class D>
HWY_INLINE hn::Vec512<double> quotient_for_float(D d, hn::Vec512<double> a, hn::Vec512<double> b) {
  const hn::Vec512<double> r{_mm512_rcp14_pd(b.raw)};
  const auto e = hn::NegMulAdd(b, r, constant(d, 1.0));
  const auto q = hn::Mul(a, r);
  return hn::MulAdd(q, hn::MulAdd(e, e, e), q);
}

// Of [3/4, 3/2), numbered by the first four bits of the fraction: 1 / c, c the middle, and log(c). Those that meet at 1
// have c = 1.
alignas(64) inline constexpr double log_for_float_pieces[2][16] = {
    {1.0, 0.9142857142857143, 0.8648648648648649, 0.8205128205128205, 0.7804878048780488, 0.7441860465116279,
        0.7111111111111111, 0.6808510638297872, 1.3061224489795917, 1.2549019607843137, 1.2075471698113207,
        1.1636363636363636, 1.1228070175438596, 1.0847457627118644, 1.0491803278688525, 1.0},
    {0.0, 0.08961215868968717, 0.14518200984449783, 0.19782574332991992, 0.2478361639045812, 0.2954642128938359,
        0.3409265869705932, 0.38441169891033206, -0.26706278524904514, -0.22705745063534608, -0.18859116980754997,
        -0.15154989812720088, -0.11583181552512165, -0.0813456394539524, -0.04800921918636066, 0.0}};

// 2^(j / 16)
alignas(64) inline constexpr double powers_for_float[16] = {1.0, 1.0442737824274138, 1.0905077326652577,
    1.1387886347566916, 1.189207115002721, 1.241857812073484, 1.2968395546510096, 1.3542555469368927,
    1.4142135623730951, 1.4768261459394993, 1.5422108254079407, 1.6104903319492543, 1.681792830507429,
    1.7562521603732995, 1.8340080864093424, 1.9152065613971474};

// The entry of each lane's piece, whose number is in the low four bits.
HWY_INLINE hn::Vec512<double> look_up(const double* row, __m512i pieces) {
  return {_mm512_permutex2var_pd(_mm512_load_pd(row), pieces, _mm512_load_pd(row + 8))};
}

// As log_by_pieces: right for 0, infinity, NaN and what is negative, too.
template <class D>
HWY_INLINE hn::Vec512<double> log_for_float(D d, hn::Vec512<double> x) {
  const hn::Vec512<double> m{_mm512_getmant_pd(x.raw, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan)};
  const auto one = constant(d, 1.0);
  const __mmask8 below = _mm512_cmp_pd_mask(m.raw, one.raw, _CMP_LT_OQ);
  const __m512d exponent = _mm512_getexp_pd(x.raw); // of m in [1, 2)
  const hn::Vec512<double> e{_mm512_mask_add_pd(exponent, below, exponent, one.raw)};
  const __m512i pieces = _mm512_srli_epi64(_mm512_castpd_si512(m.raw), 48);
  const auto r = hn::MulSub(m, look_up(log_for_float_pieces[0], pieces), one); // from -1/29 to 1/16
  const auto q = polynomial(d, r, -1.0 / 2, 1.0 / 3, -1.0 / 4, 1.0 / 5, -1.0 / 6, 1.0 / 7, -1.0 / 8, 1.0 / 9);
  const auto rest = hn::MulAdd(q, hn::Mul(r, r), r);
  return hn::MulAdd(e, constant(d, 0.69314718055994530942), hn::Add(look_up(log_for_float_pieces[1], pieces), rest));
}

// As exp_by_pieces: x = n ln 2 + r with n a multiple of 1/16.
template <class D>
HWY_INLINE hn::Vec512<double> exp_for_float(D d, hn::Vec512<double> x) {
  const auto y = hn::Min(constant(d, 712.0), hn::Max(constant(d, -750.0), x)); // NaN if x is
  const auto last_is_one_16th = constant(d, 0x1.8p48);
  const auto sum = hn::MulAdd(y, constant(d, 1.44269504088896340736), last_is_one_16th);
  const auto n = hn::Sub(sum, last_is_one_16th);
  const auto r = hn::NegMulAdd(n, constant(d, 0.69314718055994530942), y);
  const auto p = polynomial(d, r, 1.0 / 2, 1.0 / 6, 1.0 / 24);
  const auto power = look_up(powers_for_float, _mm512_castpd_si512(sum.raw));
  const auto e = hn::MulAdd(power, hn::MulAdd(p, hn::Mul(r, r), r), power);
  return {_mm512_scalef_pd(e.raw, n.raw)};
}

#endif

// log(1 + x) for x >= 0
template <class D, class V>
HWY_INLINE V log1p_for_float(D d, V x) {
  const V log = log_for_float(d, hn::Add(x, constant(d, 1.0)));
  const V p = polynomial(d, x, -1.0 / 2, 1.0 / 3, -1.0 / 4);
  return hn::IfThenElse(hn::Lt(x, constant(d, 0x1p-9)), hn::MulAdd(p, hn::Mul(x, x), x), log);
}

// A body in float64 lanes, whose parameter says whether the operands, and so the results, are of float32.
template <template <bool for_float> class InDouble>
struct ByWidth {
  template <class D, class... V>
  HWY_INLINE auto operator()(D d, V... x) const {
    if constexpr (is_f32<D>) {
      return in_double(d, InDouble<true>(), x...);
    } else {
      return InDouble<false>()(d, x...);
    }
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
