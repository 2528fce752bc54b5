// Special functions of float64 numbers, value and derivatives: special_function.h in backend/ says which. All take NaN,
// infinities and arguments outside of their domain.
#pragma once

#include "mlx_core/cpu/special/series.h"

namespace mlx::core::cpu::special {

inline constexpr double infinity = __builtin_huge_val();
inline constexpr double not_a_number = __builtin_nan("");

// How small terms are, beside their sum, that are left out of what is rounded to float64; to narrower dtypes.
inline constexpr double exactly_enough = 1e-16, narrowly_enough = 1e-10;

// gamma.cpp. sin(pi x) and cos(pi x), exact zeros at whole and half numbers.
double sin_pi(double x);
double cos_pi(double x);
double gamma(double x);
double lgamma(double x);
double lgamma1p(double x);      // lgamma(1 + x), |x| <= 0.5
double stirling_rest(double x); // lgamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2, x >= 10
Series stirling_rest(const Series& x);
double digamma(double x);
double polygamma(int n, double x);
double betaln(double a, double b);
double log_gamma_step(double a, double b); // lgamma(a + b) - lgamma(a), 0 < b < 1 or both >= 10
Series log_gamma(const Series& x);         // of positive values
Series lgamma1p(const Series& x);
double reciprocal_gamma(double x);
Series reciprocal_gamma(const Series& x);

// zeta.cpp
double zeta(int n, double s, double q, double enough = exactly_enough);
double riemann_zeta(int n, double s);

// normal.cpp
double erfcx(int n, double x);
double erfc(double x);
Series erfc(const Series& x);
double erfinv(double x);
double erfcinv(double q);
double ndtr(double x);
double log_ndtr(double x);
double ndtri(double p);
double logit(double p);
double log_ratio(double x, double y);
double kl_div(double x, double y);
double exp1(double x);
double expi(double x);

// bessel.cpp
double bessel_j(int n, double x);
double bessel_y(int n, double x);
double bessel_i(int n, double x);
double bessel_ie(int n, double x);

// incomplete.cpp
double gammainc(int n, double a, double x, double enough = exactly_enough);
double gammaincc(double a, double x, double enough = exactly_enough);
double gamma_density(int n, double a, double x);
double betainc(int i, int j, double a, double b, double x, double enough = exactly_enough);
double beta_density(int i, int j, double a, double b, double x);

} // namespace mlx::core::cpu::special
