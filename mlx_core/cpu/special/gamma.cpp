// The gamma function and its logarithm's derivatives.
#include <cmath>
#include <numbers>

#include "mlx_core/cpu/special/functions.h"
#include "mlx_core/cpu/special/tables.h"

namespace mlx::core::cpu::special {

namespace {

constexpr double pi = std::numbers::pi;
constexpr double half_log_two_pi = 0.91893853320467274178;

// Stirling's series, DLMF 5.11.1: B_2k / (2k (2k-1)) x^(1-2k), with powers of 1 / x^2.
constexpr double stirling[] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188, -691.0 / 360360, 1.0 / 156,
    -3617.0 / 122400, 43867.0 / 244188};
constexpr int stirling_terms = 9;

// The product without rounding: high + low.
struct Parts {
  double high, low;
};
Parts product(double a, double b) {
  double high = a * b;
  return {high, std::fma(a, b, -high)};
}

double lgamma_positive(double x) {
  if (x < 0.5) {
    return lgamma1p(x) - std::log(x);
  }
  if (x < 3) {
    return (x - 1) * (x - 2) * lgamma_zeros(x) + 0.0; // 0 at 1, not -0
  }
  if (x < 10) {
    return lgamma_table(x);
  }
  if (x > 1e17) { // x - 1/2 is x
    return x < infinity ? x * (std::log(x) - 1) : x;
  }
  Parts main = product(x - 0.5, std::log(x));
  return main.high - x + (main.low + half_log_two_pi + stirling_rest(x));
}

// stirling_rest(a + b) - stirling_rest(a) without cancellation: as a divided difference of z H(z^2) times the
// difference of 1 / (a + b) and 1 / a.
double stirling_step(double a, double b) {
  double from = 1 / a, to = 1 / (a + b), step = -b / a * to;
  double u = from * from, v = to * to, value = stirling[stirling_terms - 1],
         slope = 0; // of H at u, and between u and v
  for (int k = stirling_terms - 2; k >= 0; --k) {
    slope = slope * v + value;
    value = value * u + stirling[k];
  }
  // H(v) is value + slope (v - u)
  return step * (value + slope * (to + from) * to);
}

// Stirling's formula for 10 <= x <= 172, its power in two halves where it would overflow.
double gamma_large(double x) {
  double rest = 2.50662827463100050242 * std::exp(stirling_rest(x));
  if (x < 140) {
    return std::pow(x, x - 0.5) * std::exp(-x) * rest;
  }
  double root = std::pow(x, 0.5 * x - 0.25);
  return root * (std::exp(-x) * root) * rest;
}

} // namespace

double sin_pi(double x) {
  double r = x - 2 * std::nearbyint(0.5 * x); // [-1, 1], exact
  double a = std::fabs(r);
  double y = a <= 0.25 ? std::sin(pi * a) : a < 0.75 ? std::cos(pi * (0.5 - a)) : std::sin(pi * (1 - a));
  return std::copysign(y, r);
}
double cos_pi(double x) {
  double a = std::fabs(x - 2 * std::nearbyint(0.5 * x));
  return a <= 0.25 ? std::cos(pi * a) : a < 0.75 ? std::sin(pi * (0.5 - a)) : -std::cos(pi * (1 - a));
}

double stirling_rest(double x) {
  double z = 1 / x;
  return z * horner(stirling, stirling_terms, z * z);
}
Series stirling_rest(const Series& x) {
  Series z = 1 / x;
  return z * horner(stirling, stirling_terms, z * z);
}

double gamma(double x) {
  if (!(std::fabs(x) < infinity)) {
    return x > 0 ? x : not_a_number;
  }
  if (x == 0) {
    return 1 / x;
  }
  if (x < 0) {
    if (x == std::floor(x)) {
      return not_a_number;
    }
    if (x < -184) {
      return std::copysign(0.0, sin_pi(x));
    }
    // DLMF 5.5.3: gamma(x) gamma(1 - x) = pi / sin(pi x), by gamma(1 - x) = -x gamma(-x), which may overflow
    double y = -x;
    if (y < 140) {
      return -pi / (sin_pi(y) * y) / gamma(y);
    }
    double root = std::pow(y, 0.5 * y - 0.25);
    double inverse = 1 / root, factor = -pi / (sin_pi(y) * y * (2.50662827463100050242 * std::exp(stirling_rest(y))));
    return (factor * inverse) * (inverse * std::exp(y));
  }
  if (x < 1e-300) {
    return 1 / x;
  }
  if (x == std::floor(x) && x < 24) { // exact
    double y = 1;
    for (double k = 2; k < x; ++k) y *= k;
    return y;
  }
  if (x >= 12) {
    return x > 172 ? infinity : gamma_large(x);
  }
  double y = x, up = 1;
  for (; y >= 2; up *= y) y -= 1;
  if (y < 1) {
    return gamma_table(y + 1) / y;
  }
  return up * gamma_table(y);
}

double reciprocal_gamma(double x) {
  if (x <= 0 && x == std::floor(x)) {
    return 0;
  }
  if (x > 1e-300 && x < 1) { // one rounding less
    return x / gamma_table(x + 1);
  }
  return x > 170 ? std::exp(-lgamma(x)) : std::fabs(x) < 1e-300 ? x : 1 / gamma(x);
}

double lgamma1p(double x) { return x * (x - 1) * lgamma_zeros(1 + x); }

double lgamma(double x) {
  if (std::isnan(x)) {
    return x;
  }
  if (x > 0) {
    return lgamma_positive(x);
  }
  if (x == std::floor(x) || x == -infinity) {
    return infinity;
  }
  // DLMF 5.5.3, with gamma(1 - x) = -x gamma(-x)
  double y = -x;
  if (y < 1e-17) {
    return -std::log(y);
  }
  double sine = std::fabs(sin_pi(y));
  if (y < 0.5) { // near 0: -log(y) - log(sin(pi y) / (pi y)) - lgamma(1 + y)
    return -std::log(sine / pi) - lgamma1p(y);
  }
  return std::log(pi / (sine * y)) - lgamma_positive(y);
}

double digamma(double x) {
  if (!(std::fabs(x) < infinity)) {
    return x > 0 ? x : not_a_number;
  }
  if (x <= 0) {
    if (x == 0) {
      return std::copysign(infinity, -x);
    }
    if (x == std::floor(x)) {
      return not_a_number;
    }
    // DLMF 5.5.4: digamma(1 - x) - pi / tan(pi x), by digamma(1 + y) = digamma(y) + 1 / y
    double y = -x, r = y - std::nearbyint(y);
    double cotangent =
        std::fabs(r) > 0.25 ? std::copysign(std::tan(pi * (0.5 - std::fabs(r))), r) : 1 / std::tan(pi * r);
    if (y < 1) {
      return digamma(1 + y) + pi * cotangent;
    }
    return digamma(y) + (1 / y + pi * cotangent);
  }
  if (x < 1) {
    return digamma(1 + x) - 1 / x;
  }
  if (x < 2) {
    return ((x - digamma_root) - digamma_root_low) * digamma_zero(x);
  }
  if (x < 10) {
    return digamma_table(x);
  }
  // DLMF 5.11.2
  static constexpr double c[] = {
      -1.0 / 12, 1.0 / 120, -1.0 / 252, 1.0 / 240, -1.0 / 132, 691.0 / 32760, -1.0 / 12, 3617.0 / 8160};
  double z = 1 / x;
  return std::log(x) + z * (-0.5 + z * horner(c, 8, z * z));
}

double polygamma(int n, double x) {
  if (n == 0) {
    return digamma(x);
  }
  if (std::isnan(x)) {
    return x;
  }
  double sign = n % 2 ? 1 : -1;
  if (x == infinity) {
    return 0 * sign;
  }
  auto factorial = [n] {
    double f = 1;
    for (int k = 2; k <= n && f < infinity; ++k) f *= k;
    return f;
  };
  if (x > 0) {
    double f = factorial();
    double z = zeta(0, n + 1.0, x);
    if (z < infinity && z > 1e-290) {
      if (f < infinity) return sign * f * z;
      if (n < 10000) { // a product that only grows
        for (int k = 2; k <= n; ++k) z *= k;
        return sign * z;
      }
    }
    // zeta(n + 1, x) x^n between 1 / n and 1 / n + 1 / x, DLMF 25.11.1; the rest by its logarithm
    if (x >= 1) {
      double scaled = 0, log_x = std::log(x);
      for (int k = 0; k < 100000; ++k) {
        double term = std::exp(-(n + 1) * std::log1p(k / x));
        scaled += term;
        if (term * (x + k) < 1e-17 * scaled * n) break;
      }
      if (x < 700 && n < 100000) {
        double product = scaled / x;
        for (int k = 1; k <= n; ++k) product *= k / x;
        return sign * product;
      }
      return sign * std::exp(lgamma(n + 1.0) - (n + 1) * log_x + std::log(scaled));
    }
    return sign * std::exp(lgamma(n + 1.0) - (n + 1) * std::log(x));
  }
  if (x == std::floor(x) || x == -infinity) {
    return x == -infinity      ? not_a_number
           : (n % 2 || x == 0) ? (n % 2 ? infinity : -std::copysign(infinity, x))
                               : not_a_number;
  }
  // DLMF 5.15.6: polygamma(n, 1 - y) + (-1)^(n+1) polygamma(n, y) = (-1)^n pi d^n/dy^n cot(pi y), y = x. Derivatives of
  // the cotangent by cot' = -(1 + cot^2), as Taylor coefficients.
  double r = x - std::nearbyint(x), a = std::fabs(r);
  if (n >= Series::most) { // so many powers leave the nearest poles alone
    double sum = 0;
    for (int k = -2; k <= 2; ++k) {
      if (k - std::nearbyint(x) >= 0) sum += std::pow(r / (r + k), n + 1);
    }
    double size = sum / a; // times n! / a^n
    for (int k = 1; k <= n && size < infinity; ++k) size *= k / a;
    return sign * (r < 0 && n % 2 == 0 ? -size : size);
  }
  Coefficients c{};
  c[0] = std::copysign(a > 0.25 ? std::tan(pi * (0.5 - a)) : 1 / std::tan(pi * a), r);
  for (int k = 0; k < n; ++k) {
    double sum = k == 0 ? 1 : 0;
    for (int i = 0; i <= k; ++i) sum += c[static_cast<size_t>(i)] * c[static_cast<size_t>(k - i)];
    c[static_cast<size_t>(k + 1)] = -sum / (k + 1);
  }
  double cotangent = c[static_cast<size_t>(n)] * factorial() * std::pow(pi, n + 1);
  return (n % 2 ? -1 : 1) * polygamma(n, 1 - x) - cotangent;
}

double log_gamma_step(double a, double b) {
  if (a < 10) {
    double low = 1, more = 0; // the products of a, a + 1, ..., and what those of a + b, a + b + 1, ... are more
    for (; a < 10; low *= a, a += 1) more = more * (a + b) + low * b;
    return log_gamma_step(a, b) - std::log1p(more / low);
  }
  double log_ratio = std::log1p(b / a), rest = stirling_step(a, b);
  // (a - 1/2) log(1 + b/a) + b log(a + b) - b
  double t = b / a;
  double bent = t < 1e-4 ? a * (t * t * (-0.5 + t * (1.0 / 3 - t * (0.25 - 0.2 * t)))) : a * log_ratio - b;
  return b * std::log(a + b) + (bent - 0.5 * log_ratio) + rest;
}

double betaln(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) {
    return a + b;
  }
  if (a < b) {
    std::swap(a, b);
  }
  if (a == infinity || b == -infinity) {
    return a < infinity || b == -infinity ? not_a_number : b > 0 ? -infinity : infinity;
  }
  if (b <= 0 || a < 10) {
    if (b <= 0 && b == std::floor(b)) { // a pole of gamma(b), and often one of gamma(a + b)
      double c = a + b;
      if (a == std::floor(a) && c <= 0 && a > 0) { // B(a, b) = (-1)^a B(a, 1 - a - b), DLMF 5.5.3
        return betaln(1 - c, a);
      }
      return infinity;
    }
    if (b > 0 && b < 1 && a >= 1) {
      return lgamma(b) - log_gamma_step(a, b);
    }
    double c = a + b;
    if (b < 0 && c >= 10) {
      return lgamma(b) - log_gamma_step(a, b);
    }
    if (b <= 0 && c <= 0 && c == std::floor(c)) {
      return -infinity;
    }
    return lgamma(a) + lgamma(b) - lgamma(c);
  }
  if (b < 10) {
    return lgamma(b) - log_gamma_step(a, b);
  }
  // Stirling's formula for all three
  double t = b / a, c = a + b;
  return half_log_two_pi - 0.5 * std::log(b) + (b * std::log(b / c) - (a - 0.5) * std::log1p(t)) +
         (stirling_rest(a) + stirling_rest(b) - stirling_rest(c));
}

Series log_gamma(const Series& x) {
  Coefficients f;
  double v = x.c[0];
  f[0] = lgamma(v);
  if (degree_of(x) > 0) f[1] = digamma(v);
  // polygamma(k - 1) / k! = (-1)^k zeta(k) / k
  for (int k = 2; k <= degree_of(x); ++k) f[static_cast<size_t>(k)] = (k % 2 ? -1 : 1) * zeta(0, k, v) / k;
  return composed(f.data(), x);
}

Series lgamma1p(const Series& x) {
  Series y = log_gamma(x + 1.0);
  y.c[0] = lgamma1p(x.c[0]);
  return y;
}

// 1 / gamma(x) = x / gamma(x + 1), which has no poles.
Series reciprocal_gamma(const Series& x) {
  if (x.c[0] < 0.5) {
    return x * reciprocal_gamma(x + 1.0);
  }
  Series log = log_gamma(x);
  log.c[0] = 0;
  return exp_of(-log) * reciprocal_gamma(x.c[0]);
}

} // namespace mlx::core::cpu::special
