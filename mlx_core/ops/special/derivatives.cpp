// Derivatives of special functions, in terms of each other.
#include <numbers>

#include "mlx_core/ops.h"
#include "mlx_core/ops/special/special.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core::special {

namespace {

using F = SpecialFunction;

array scaled(const array& x, double by) { return by == 1 ? x : multiply(x, number(by, x)); }
// exp(-x^2 / width) times a factor
array gaussian(const array& x, double per_square, double factor) {
  return scaled(exp(scaled(square(x), -per_square)), factor);
}

// d/dx J_n = (J_(n-1) - J_(n+1)) / 2, and so of Y_n, DLMF 10.6.1; d/dx I_n = (I_(n-1) + I_(n+1)) / 2, 10.29.1
array bessel_derivative(F f, int n, const array& x) {
  array above = apply(f, n + 1, {x});
  bool oscillates = f == F::bessel_j || f == F::bessel_y;
  if (n == 0) {
    return oscillates ? negative(above) : above;
  }
  array below = apply(f, n - 1, {x});
  return scaled(oscillates ? subtract(below, above) : add(below, above), 0.5);
}

// d/da of the density is its next order. d/dx g = ((a-1) / x - 1) g, g being x^(a-1) exp(-x) / gamma(a); then n times
// by a. At x = 0, where that is 0 times infinity, it is g(a - 1) - g(a).
array gamma_density_by_x(int n, const array& a, const array& x, const array& y) {
  array inside = zero_times(subtract(divide(subtract(a, number(1, a)), x), number(1, a)), y);
  if (n > 0) {
    inside = add(inside, divide(scaled(apply(F::gamma_density, n - 1, {a, x}), n), x));
  }
  array edge = subtract(apply(F::gamma_density, n, {subtract(a, number(1, a)), x}), y);
  return where(equal(x, number(0, x)), edge, inside);
}

array beta_density(int i, int j, const array& a, const array& b, const array& x) {
  return apply(F::beta_density, {i, j}, std::array{a, b, x});
}
// d/dx h = ((a-1) / x - (b-1) / (1-x)) h, h being x^(a-1) (1-x)^(b-1) / B(a, b); then i times by a and j times by b. At
// the ends h' = (a + b - 1) (h(a - 1, b) - h(a, b - 1)).
array beta_density_by_x(int i, int j, const array& a, const array& b, const array& x, const array& y) {
  array one = number(1, x), rest = subtract(one, x), a_less = subtract(a, one), b_less = subtract(b, one);
  array inside = zero_times(subtract(divide(a_less, x), divide(b_less, rest)), y);
  auto difference = [&](int k, int l) {
    return subtract(beta_density(k, l, a_less, b, x), beta_density(k, l, a, b_less, x));
  };
  array edge = zero_times(add(a, b_less), difference(i, j));
  if (i > 0) {
    inside = add(inside, divide(scaled(beta_density(i - 1, j, a, b, x), i), x));
    edge = add(edge, scaled(difference(i - 1, j), i));
  }
  if (j > 0) {
    inside = subtract(inside, divide(scaled(beta_density(i, j - 1, a, b, x), j), rest));
    edge = add(edge, scaled(difference(i, j - 1), j));
  }
  return where(logical_or(equal(x, number(0, x)), equal(x, one)), edge, inside);
}

constexpr double root_pi = 1 / std::numbers::inv_sqrtpi;
constexpr double root_two_pi = root_pi * std::numbers::sqrt2;

constexpr SpecialRule rules[] = {
    {F::gamma, "gamma", 0, 1,
        [](int, Orders, Operands x, const array& y) { return zero_times(y, apply(F::digamma, {x[0]})); }},
    {F::lgamma, "lgamma", 0, 1, [](int, Orders, Operands x, const array&) { return apply(F::digamma, {x[0]}); }},
    {F::digamma, "digamma", 0, 1, [](int, Orders, Operands x, const array&) { return apply(F::polygamma, 1, {x[0]}); }},
    {F::polygamma, "polygamma", 1, 1,
        [](int, Orders n, Operands x, const array&) { return apply(F::polygamma, n[0] + 1, {x[0]}); }},
    {F::betaln, "betaln", 0, 2,
        [](int k, Orders, Operands x, const array&) {
          return subtract(apply(F::digamma, {x[static_cast<size_t>(k)]}), apply(F::digamma, {add(x[0], x[1])}));
        }},
    // d/dq zeta(s, q) = -s zeta(s + 1, q), DLMF 25.11.17; then n times by s
    {F::zeta, "zeta", 1, 2,
        [](int k, Orders n, Operands x, const array&) {
          if (k == 0) {
            return apply(F::zeta, n[0] + 1, {x[0], x[1]});
          }
          array next = add(x[0], number(1, x[0]));
          array slope = zero_times(negative(x[0]), apply(F::zeta, n[0], {next, x[1]}));
          return n[0] == 0 ? slope : subtract(slope, scaled(apply(F::zeta, n[0] - 1, {next, x[1]}), n[0]));
        }},
    {F::riemann_zeta, "riemann_zeta", 1, 1,
        [](int, Orders n, Operands x, const array&) { return apply(F::riemann_zeta, n[0] + 1, {x[0]}); }},
    {F::erfc, "erfc", 0, 1, [](int, Orders, Operands x, const array&) { return gaussian(x[0], 1, -2 / root_pi); }},
    {F::erfcx, "erfcx", 1, 1,
        [](int, Orders n, Operands x, const array&) { return apply(F::erfcx, n[0] + 1, {x[0]}); }},
    {F::erfcinv, "erfcinv", 0, 1, [](int, Orders, Operands, const array& y) { return gaussian(y, -1, -root_pi / 2); }},
    {F::ndtr, "ndtr", 0, 1, [](int, Orders, Operands x, const array&) { return gaussian(x[0], 0.5, 1 / root_two_pi); }},
    // The density over ndtr(x) = exp(-x^2 / 2) erfcx(-x / sqrt(2)) / 2
    {F::log_ndtr, "log_ndtr", 0, 1,
        [](int, Orders, Operands x, const array&) {
          array below = apply(F::erfcx, 0, {scaled(x[0], -1 / std::numbers::sqrt2)});
          return divide(number(2 / root_two_pi, x[0]), below);
        }},
    {F::ndtri, "ndtri", 0, 1, [](int, Orders, Operands, const array& y) { return gaussian(y, -0.5, root_two_pi); }},
    {F::logit, "logit", 0, 1,
        [](int, Orders, Operands x, const array&) {
          return reciprocal(multiply(x[0], subtract(number(1, x[0]), x[0])));
        }},
    {F::log_ratio, "log_ratio", 0, 2,
        [](int k, Orders, Operands x, const array&) { return k == 0 ? reciprocal(x[0]) : negative(reciprocal(x[1])); }},
    {F::kl_div, "kl_div", 0, 2,
        [](int k, Orders, Operands x, const array&) {
          return k == 0 ? apply(F::log_ratio, {x[0], x[1]}) : divide(subtract(x[1], x[0]), x[1]);
        }},
    {F::exp1, "exp1", 0, 1,
        [](int, Orders, Operands x, const array&) { return negative(divide(exp(negative(x[0])), x[0])); }},
    {F::expi, "expi", 0, 1, [](int, Orders, Operands x, const array&) { return divide(exp(x[0]), x[0]); }},
    {F::bessel_j, "bessel_j", 1, 1,
        [](int, Orders n, Operands x, const array&) { return bessel_derivative(F::bessel_j, n[0], x[0]); }},
    {F::bessel_y, "bessel_y", 1, 1,
        [](int, Orders n, Operands x, const array&) { return bessel_derivative(F::bessel_y, n[0], x[0]); }},
    {F::bessel_i, "bessel_i", 1, 1,
        [](int, Orders n, Operands x, const array&) { return bessel_derivative(F::bessel_i, n[0], x[0]); }},
    {F::bessel_ie, "bessel_ie", 1, 1,
        [](int, Orders n, Operands x, const array& y) {
          return subtract(bessel_derivative(F::bessel_ie, n[0], x[0]), zero_times(sign(x[0]), y));
        }},
    {F::gammainc, "gammainc", 1, 2,
        [](int k, Orders n, Operands x, const array&) {
          return k == 0 ? apply(F::gammainc, n[0] + 1, {x[0], x[1]}) : apply(F::gamma_density, n[0], {x[0], x[1]});
        }},
    {F::gammaincc, "gammaincc", 0, 2,
        [](int k, Orders, Operands x, const array&) {
          return negative(k == 0 ? apply(F::gammainc, 1, {x[0], x[1]}) : apply(F::gamma_density, 0, {x[0], x[1]}));
        }},
    {F::gamma_density, "gamma_density", 1, 2,
        [](int k, Orders n, Operands x, const array& y) {
          return k == 0 ? apply(F::gamma_density, n[0] + 1, {x[0], x[1]}) : gamma_density_by_x(n[0], x[0], x[1], y);
        }},
    {F::betainc, "betainc", 2, 3,
        [](int k, Orders n, Operands x, const array&) {
          return k == 0   ? apply(F::betainc, {n[0] + 1, n[1]}, x)
                 : k == 1 ? apply(F::betainc, {n[0], n[1] + 1}, x)
                          : apply(F::beta_density, n, x);
        }},
    {F::beta_density, "beta_density", 2, 3,
        [](int k, Orders n, Operands x, const array& y) {
          return k == 0   ? apply(F::beta_density, {n[0] + 1, n[1]}, x)
                 : k == 1 ? apply(F::beta_density, {n[0], n[1] + 1}, x)
                          : beta_density_by_x(n[0], n[1], x[0], x[1], x[2], y);
        }},
};

} // namespace

const SpecialRule& rule_of(SpecialFunction function) { return rules[static_cast<size_t>(function)]; }

} // namespace mlx::core::special
