// The special functions that devices are asked for by name (kernel::Special), and their derivatives in parameters.
#pragma once

#include <cstdint>

namespace mlx::core {

// In parentheses: what orders stand for, the inputs. Without orders: the value.
enum class SpecialFunction : uint8_t {
  gamma,         // (x)
  lgamma,        // (x): log |gamma(x)|
  digamma,       // (x)
  polygamma,     // (n; x): the n-th derivative of digamma, n >= 1
  betaln,        // (a, b): log |B(a, b)|
  zeta,          // (n; s, q): the n-th derivative by s of the sum of (k + q)^-s
  riemann_zeta,  // (n; s)
  erfc,          // (x)
  erfcx,         // (n; x): the n-th derivative of exp(x^2) erfc(x)
  erfcinv,       // (q)
  ndtr,          // (x): the normal distribution function
  log_ndtr,      // (x)
  ndtri,         // (p)
  logit,         // (p)
  log_ratio,     // (x, y): log(x / y)
  kl_div,        // (x, y): x log(x / y) - x + y
  exp1,          // (x)
  expi,          // (x)
  bessel_j,      // (n; x): of the order n
  bessel_y,      // (n; x)
  bessel_i,      // (n; x)
  bessel_ie,     // (n; x): exp(-|x|) I_n(x)
  gammainc,      // (n; a, x): the n-th derivative by a of the regularized lower function
  gammaincc,     // (a, x)
  gamma_density, // (n; a, x): the same of x^(a-1) exp(-x) / gamma(a)
  betainc,       // (i, j; a, b, x): the derivative by a and b
  beta_density,  // (i, j; a, b, x): of x^(a-1) (1-x)^(b-1) / B(a, b)
};

} // namespace mlx::core
