// The public special functions that the kernels compute: what each is, and its edges.
#include "mlx_core/error.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/special/special.h"
#include "mlx_core/special.h"

namespace mlx::core::special {

namespace {

using F = SpecialFunction;

constexpr OpInfo gamma_info{.name = "special.gamma",
    .primitive = "SpecialFunction",
    .summary = "The gamma function.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.gamma(mx.array([0.5, 5.0]))\narray([1.77245, 24], dtype=float32)",
    .details =
        "NaN at the negative integers and -inf, inf or -inf at 0, by its sign. Error: at most 4 ULP for positive x, 4 "
        "ULP times the condition number elsewhere."};
constexpr OpInfo lgamma_info{.name = "special.lgamma",
    .primitive = "SpecialFunction",
    .summary = "Logarithm of the absolute value of the gamma function.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.lgamma(mx.array([0.5, 100.0]))\narray([0.572365, 359.134], dtype=float32)",
    .details =
        "inf at 0 and the negative integers. Also called gammaln. Error: at most 4 ULP for positive x, 4 ULP times the "
        "condition number elsewhere."};
constexpr OpInfo digamma_info{.name = "special.digamma",
    .primitive = "SpecialFunction",
    .summary = "Derivative of lgamma.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.digamma(mx.array([0.5, 1.0]))\narray([-1.96351, -0.577216], dtype=float32)",
    .details = "NaN at the negative integers, -inf at 0 and inf at -0. Also called psi. Error as that of lgamma."};
constexpr OpInfo erfc_info{.name = "special.erfc",
    .primitive = "SpecialFunction",
    .summary = "Complementary error function, 1 - erf(x), without loss where it is small.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.erfc(mx.array([0.0, 3.0]))\narray([1, 2.20905e-05], dtype=float32)"};
constexpr OpInfo erfcx_info{.name = "special.erfcx",
    .primitive = "SpecialFunction",
    .summary = "exp(x^2) erfc(x), which does not underflow.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.erfcx(mx.array([0.0, 30.0]))\narray([1, 0.0187959], dtype=float32)"};
constexpr OpInfo erfcinv_info{.name = "special.erfcinv",
    .primitive = "SpecialFunction",
    .summary = "Inverse of erfc.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.erfcinv(mx.array([0.5, 1.0]))\narray([0.476936, 0], dtype=float32)",
    .details = "inf at 0, -inf at 2, NaN outside of [0, 2]."};
constexpr OpInfo ndtr_info{.name = "special.ndtr",
    .primitive = "SpecialFunction",
    .summary = "Distribution function of the standard normal distribution.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.ndtr(mx.array([0.0, 1.0]))\narray([0.5, 0.841345], dtype=float32)"};
constexpr OpInfo ndtri_info{.name = "special.ndtri",
    .primitive = "SpecialFunction",
    .summary = "Inverse of ndtr: quantiles of the standard normal distribution.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.ndtri(mx.array([0.5, 0.975]))\narray([0, 1.95996], dtype=float32)",
    .details = "-inf at 0, inf at 1, NaN outside of [0, 1]."};
constexpr OpInfo log_ndtr_info{.name = "special.log_ndtr",
    .primitive = "SpecialFunction",
    .summary = "Logarithm of ndtr, without loss in either tail.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.log_ndtr(mx.array([-100.0, 0.0]))\narray([-5005.52, -0.693147], dtype=float32)"};
constexpr OpInfo logit_info{.name = "special.logit",
    .primitive = "SpecialFunction",
    .summary = "log(p / (1 - p)), the inverse of expit.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.logit(mx.array([0.5, 0.75]))\narray([0, 1.09861], dtype=float32)",
    .details = "-inf at 0, inf at 1, NaN outside of [0, 1]."};
constexpr OpInfo exp1_info{.name = "special.exp1",
    .primitive = "SpecialFunction",
    .summary = "Exponential integral E1: the integral of exp(-t) / t from x on.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.exp1(mx.array([0.5, 2.0]))\narray([0.559774, 0.0489005], dtype=float32)",
    .details = "inf at 0, NaN for negative x."};
constexpr OpInfo j0_info{.name = "special.j0",
    .primitive = "SpecialFunction",
    .summary = "Bessel function of the first kind of order 0.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.j0(mx.array([0.0, 2.0]))\narray([1, 0.223891], dtype=float32)",
    .details = "Error: 4 ULP times the condition number."};
constexpr OpInfo j1_info{.name = "special.j1",
    .primitive = "SpecialFunction",
    .summary = "Bessel function of the first kind of order 1.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.j1(mx.array([0.0, 2.0]))\narray([0, 0.576725], dtype=float32)",
    .details = "Error: 4 ULP times the condition number."};
constexpr OpInfo i0_info{.name = "special.i0",
    .primitive = "SpecialFunction",
    .summary = "Modified Bessel function of order 0.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.i0(mx.array([0.0, 2.0]))\narray([1, 2.27959], dtype=float32)"};
constexpr OpInfo i0e_info{.name = "special.i0e",
    .primitive = "SpecialFunction",
    .summary = "exp(-|x|) i0(x), which does not overflow.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.i0e(mx.array([0.0, 2.0]))\narray([1, 0.308508], dtype=float32)"};
constexpr OpInfo i1_info{.name = "special.i1",
    .primitive = "SpecialFunction",
    .summary = "Modified Bessel function of order 1.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.i1(mx.array([0.0, 2.0]))\narray([0, 1.59064], dtype=float32)"};
constexpr OpInfo i1e_info{.name = "special.i1e",
    .primitive = "SpecialFunction",
    .summary = "exp(-|x|) i1(x), which does not overflow.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.i1e(mx.array([0.0, 2.0]))\narray([0, 0.215269], dtype=float32)"};
constexpr OpInfo betaln_info{.name = "special.betaln",
    .primitive = "SpecialFunction",
    .summary = "Logarithm of the absolute value of the beta function B(a, b).",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.betaln(mx.array(3.0), mx.array(0.5))\narray(0.0645385, dtype=float32)",
    .details = "lgamma(a) + lgamma(b) - lgamma(a + b), without the cancellation for large a or b."};
constexpr OpInfo kl_div_info{.name = "special.kl_div",
    .primitive = "SpecialFunction",
    .summary = "x log(x / y) - x + y for positive x and y, y where x is 0, inf elsewhere.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.kl_div(mx.array(1.0), mx.array(2.0))\narray(0.306853, dtype=float32)",
    .details = "Without the cancellation near x = y."};
constexpr OpInfo gammainc_info{.name = "special.gammainc",
    .primitive = "SpecialFunction",
    .summary = "Regularized lower incomplete gamma function P(a, x).",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.gammainc(mx.array(2.0), mx.array(1.0))\narray(0.264241, dtype=float32)",
    .details =
        "For a and x not negative, NaN elsewhere, and where both are 0 or inf. Differentiable in both, to any order: "
        "the derivatives by a are computed as Taylor series. Error: 4 ULP times the condition number."};
constexpr OpInfo gammaincc_info{.name = "special.gammaincc",
    .primitive = "SpecialFunction",
    .summary = "Regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x), without loss where it is small.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.gammaincc(mx.array(2.0), mx.array(1.0))\narray(0.735759, dtype=float32)",
    .details = "As gammainc."};
constexpr OpInfo betainc_info{.name = "special.betainc",
    .primitive = "SpecialFunction",
    .summary = "Regularized incomplete beta function I_x(a, b).",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.betainc(mx.array(2.0), mx.array(3.0), mx.array(0.5))\narray(0.6875, dtype=float32)",
    .details =
        "For a and b not negative and x in [0, 1], NaN elsewhere, and where both a and b are 0 or inf. Differentiable "
        "in all three, to any order: the derivatives by a and b are computed as Taylor series. Error: 4 ULP times the "
        "condition number."};
constexpr OpInfo polygamma_info{.name = "special.polygamma",
    .primitive = "SpecialFunction",
    .summary = "The n-th derivative of digamma, n being an int.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.polygamma(1, mx.array([1.0, 2.0]))\narray([1.64493, 0.644934], dtype=float32)",
    .details =
        "At 0 and the negative integers inf for odd n, NaN for even n. ValueError for n < 0. Error: 4 ULP, or 4 ULP "
        "times the condition number, which is n + 1 or more for large n."};
constexpr OpInfo zeta_info{.name = "special.zeta",
    .primitive = "SpecialFunction",
    .summary = "Hurwitz zeta function, the sum of (k + q)^-x; without q Riemann's, q = 1, for every x.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example =
        ">>> mx.special.zeta(mx.array([2.0, -1.0]))\narray([1.64493, -0.0833333], dtype=float32)\n>>> "
        "mx.special.zeta(mx.array(2.0), mx.array(0.5))\narray(4.9348, dtype=float32)",
    .details =
        "inf at x = 1. With q NaN for x < 1, inf where q is 0 or a negative integer, and NaN for other negative q "
        "unless x is an integer. Differentiable in both, to any order. Error: 4 ULP times the condition number."};
constexpr OpInfo y0_info{.name = "special.y0",
    .primitive = "SpecialFunction",
    .summary = "Bessel function of the second kind of order 0.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.y0(mx.array([1.0, 2.0]))\narray([0.088257, 0.510376], dtype=float32)",
    .details = "-inf at 0, NaN for negative x. Error: 4 ULP times the condition number."};
constexpr OpInfo y1_info{.name = "special.y1",
    .primitive = "SpecialFunction",
    .summary = "Bessel function of the second kind of order 1.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.y1(mx.array([1.0, 2.0]))\narray([-0.781213, -0.107032], dtype=float32)",
    .details = "-inf at 0, NaN for negative x. Error: 4 ULP times the condition number."};
constexpr OpInfo expi_info{.name = "special.expi",
    .primitive = "SpecialFunction",
    .summary = "Exponential integral Ei: -E1(-x).",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.expi(mx.array([-1.0, 1.0]))\narray([-0.219384, 1.89512], dtype=float32)",
    .details = "-inf at 0. Error: 4 ULP, or 4 ULP times the condition number near its zero 0.3725."};

} // namespace

array gamma(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(gamma_info, F::gamma, {}, {x});
}

array lgamma(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(lgamma_info, F::lgamma, {}, {x});
}

array digamma(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(digamma_info, F::digamma, {}, {x});
}

array erfc(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(erfc_info, F::erfc, {}, {x});
}

array erfcx(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(erfcx_info, F::erfcx, {}, {x});
}

array erfcinv(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(erfcinv_info, F::erfcinv, {}, {x});
}

array ndtr(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(ndtr_info, F::ndtr, {}, {x});
}

array ndtri(const array& p, StreamOrDevice s) {
  StreamScope on(s);
  return checked(ndtri_info, F::ndtri, {}, {p});
}

array log_ndtr(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(log_ndtr_info, F::log_ndtr, {}, {x});
}

array logit(const array& p, StreamOrDevice s) {
  StreamScope on(s);
  return checked(logit_info, F::logit, {}, {p});
}

array exp1(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(exp1_info, F::exp1, {}, {x});
}

array j0(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(j0_info, F::bessel_j, {}, {x});
}

array j1(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(j1_info, F::bessel_j, {1, 0}, {x});
}

array i0(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(i0_info, F::bessel_i, {}, {x});
}

array i0e(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(i0e_info, F::bessel_ie, {}, {x});
}

array i1(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(i1_info, F::bessel_i, {1, 0}, {x});
}

array i1e(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(i1e_info, F::bessel_ie, {1, 0}, {x});
}

array betaln(const array& a, const array& b, StreamOrDevice s) {
  StreamScope on(s);
  return checked(betaln_info, F::betaln, {}, {a, b});
}

array kl_div(const array& x, const array& y, StreamOrDevice s) {
  StreamScope on(s);
  return checked(kl_div_info, F::kl_div, {}, {x, y});
}

array gammainc(const array& a, const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(gammainc_info, F::gammainc, {}, {a, x});
}

array gammaincc(const array& a, const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(gammaincc_info, F::gammaincc, {}, {a, x});
}

array betainc(const array& a, const array& b, const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(betainc_info, F::betainc, {}, {a, b, x});
}

array polygamma(int n, const array& x, StreamOrDevice s) {
  StreamScope on(s);
  if (n < 0) {
    fail("special.polygamma", "n is ", n, "; it counts derivatives, from 0 on.");
  }
  return n == 0 ? checked(digamma_info, F::digamma, {}, {x}) : checked(polygamma_info, F::polygamma, {n, 0}, {x});
}

array zeta(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(zeta_info, F::riemann_zeta, {}, {x});
}
array zeta(const array& x, const array& q, StreamOrDevice s) {
  StreamScope on(s);
  return checked(zeta_info, F::zeta, {}, {x, q});
}

array y0(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(y0_info, F::bessel_y, {}, {x});
}

array y1(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(y1_info, F::bessel_y, {1, 0}, {x});
}

array expi(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return checked(expi_info, F::expi, {}, {x});
}

} // namespace mlx::core::special

namespace mlx::core {

std::span<const OpInfo* const> special_function_ops() {
  using namespace special;
  static constexpr const OpInfo* ops[] = {&gamma_info, &lgamma_info, &digamma_info, &erfc_info, &erfcx_info,
      &erfcinv_info, &ndtr_info, &ndtri_info, &log_ndtr_info, &logit_info, &exp1_info, &j0_info, &j1_info, &i0_info,
      &i0e_info, &i1_info, &i1e_info, &betaln_info, &kl_div_info, &gammainc_info, &gammaincc_info, &betainc_info,
      &polygamma_info, &zeta_info, &y0_info, &y1_info, &expi_info};
  return ops;
}

} // namespace mlx::core
