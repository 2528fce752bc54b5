// The error function's relatives, the normal distribution, logarithms of ratios, and the exponential integral.
#include <array>
#include <cmath>
#include <numbers>

#include "mlx_core/cpu/special/functions.h"
#include "mlx_core/cpu/special/tables.h"

namespace mlx::core::cpu::special {

namespace {

constexpr double two_by_root_pi = 2 * std::numbers::inv_sqrtpi;
constexpr double root_two = std::numbers::sqrt2, root_half = std::numbers::sqrt2 / 2;

// x^2 without rounding: high + low.
struct Square {
  double high, low;
  explicit Square(double x) : high(x * x), low(std::fabs(x) < 1e150 ? std::fma(x, x, -high) : 0) {}
};

// f exp(-scale x^2), rounded once where it is subnormal.
double times_gaussian(double f, const Square& x, double scale) {
  double low = 1 - scale * x.low;
  if (scale * x.high < 700) {
    return f * low * std::exp(-scale * x.high);
  }
  double half = std::exp(-0.5 * scale * x.high);
  return f * low * half * half;
}

// The integral of t^n exp(-t^2 - 2 x t) from 0, for x >= 0, from the ratios of neighbours: by parts,
// n J_(n-1) = 2 J_(n+1) + 2 x J_n. For small x by its powers.
double moment(int n, double x) {
  if (x < 0.5) {
    double sum = 0, power = 1;
    for (int k = 0; k < 60; ++k) {
      double term = 0.5 * gamma(0.5 * (n + k + 1)) * power;
      sum += term;
      if (negligible(term, sum)) break;
      power *= -2 * x / (k + 1);
    }
    return sum;
  }
  double ratio = 0, value = erfcx(0, x) / two_by_root_pi;
  for (int k = n + 30 + static_cast<int>(324 / (x * x)); k > n; --k) {
    ratio = k / (2 * (x + ratio));
  }
  for (int k = n; k > 0; --k) {
    ratio = k / (2 * (x + ratio));
    value *= ratio;
  }
  return value;
}

double upper_tail(double t) { // of the normal distribution, t >= 0
  constexpr double root_half_low = -4.833646656726457e-17;
  double z = t * root_half, lost = std::fma(t, root_half, -z) + t * root_half_low, f = erfcx(0, z);
  f += z < 1e8 ? lost * (2 * z * f - two_by_root_pi) : 0;
  return times_gaussian(0.5 * f, Square(t), 0.5);
}

constexpr std::array<double, 21> exp1_series = [] { // of x / 1 - x^2 / (2 2!) + x^3 / (3 3!) ..., DLMF 6.6.2
  std::array<double, 21> c{};
  double factorial = 1;
  for (int k = 1; k <= 20; ++k) {
    factorial *= k;
    c[static_cast<size_t>(k)] = (k % 2 ? 1 : -1) / (k * factorial);
  }
  return c;
}();

} // namespace

double erfcx(int n, double x) {
  if (std::isnan(x)) {
    return x;
  }
  if (x >= 0) {
    if (n > 0) {
      if (x == infinity) {
        return n % 2 ? -0.0 : 0;
      }
      return two_by_root_pi * std::ldexp(moment(n, x), n) * (n % 2 ? -1 : 1);
    }
    return x < 8 ? erfcx_table(x) : x == infinity ? 0 : erfcx_tail(1 / x / x) / x;
  }
  Square square(x);
  double value = 2 * std::exp(square.high) * (1 + square.low);
  value = value < infinity ? value - erfcx(0, -x) : infinity;
  // f' = 2 x f - 2 / sqrt(pi), all of one sign
  double before = 0, now = value;
  for (int k = 0; k < n; ++k) {
    double next = 2 * x * now + (k == 0 ? -two_by_root_pi : 2 * k * before);
    before = now;
    now = next;
  }
  return now;
}

double erfc(double x) {
  if (x < 0) {
    return 2 - erfc(-x);
  }
  return x < 28 ? times_gaussian(erfcx(0, x), Square(x), 1) : std::isnan(x) ? x : 0;
}

Series erfc(const Series& z) {
  Coefficients f;
  double x = z.c[0], before = 0, now = std::exp(-x * x); // Taylor coefficients of exp(-(x + h)^2)
  f[0] = erfc(x);
  for (int k = 0; k < degree_of(z); ++k) {
    f[static_cast<size_t>(k + 1)] = -two_by_root_pi * now / (k + 1);
    double next = -2 * (x * now + before) / (k + 1);
    before = now;
    now = next;
  }
  return composed(f.data(), z);
}

double erfinv(double x) {
  double a = std::fabs(x);
  return a <= 0.5 ? x * erfinv_table(x * x) : std::copysign(erfcinv(1 - a), x);
}

double erfcinv(double q) {
  if (!(q > 0 && q < 2)) {
    return q == 0 ? infinity : q == 2 ? -infinity : not_a_number;
  }
  if (q < 0.5) {
    return erfcinv_table(std::sqrt(-std::log(q)));
  }
  return q <= 1.5 ? erfinv(1 - q) : -erfcinv(2 - q);
}

double ndtr(double x) { return x < 0 ? upper_tail(-x) : 1 - upper_tail(x); }

double log_ndtr(double x) {
  if (x > 0) {
    return std::log1p(-upper_tail(x));
  }
  if (x >= -1) {
    return std::log(upper_tail(-x));
  }
  Square square(x);
  return std::log(0.5 * erfcx(0, -x * root_half)) - 0.5 * square.low - 0.5 * square.high;
}

double ndtri(double p) {
  if (p < 0.25) {
    return p >= 0 ? -root_two * erfcinv(2 * p) : not_a_number;
  }
  if (p <= 0.75) {
    return root_two * erfinv(2 * p - 1);
  }
  return p <= 1 ? root_two * erfcinv(2 * (1 - p)) : not_a_number;
}

double logit(double p) {
  if (p >= 0.25 && p <= 0.75) {
    return std::log1p((2 * p - 1) / (1 - p));
  }
  return p >= 0 && p <= 1 ? std::log(p / (1 - p)) : not_a_number;
}

double log_ratio(double x, double y) {
  if (!(x >= 0 && y >= 0)) {
    return not_a_number;
  }
  double r = x / y;
  if (r > 0.5 && r < 2) {
    return std::log1p((x - y) / y);
  }
  return r > 1e-300 && r < 1e300 ? std::log(r) : std::log(x) - std::log(y);
}

double kl_div(double x, double y) {
  if (!(x > 0 && y > 0 && x < infinity && y < infinity)) {
    if (std::isnan(x) || std::isnan(y)) {
      return x + y;
    }
    return x == 0 && y >= 0 ? y : infinity;
  }
  // With s = (x - y) / (x + y): log(x / y) = 2 (s + s^3 / 3 + ...), and the terms of the first order cancel.
  double mean = 0.5 * x + 0.5 * y, half = 0.5 * x - 0.5 * y, s = half / mean;
  if (std::fabs(s) < 0.5) {
    double z = s * s, sum = 0;
    for (int k = 27; k >= 1; --k) sum = sum * z + 1.0 / (2 * k + 1);
    return 2 * (half * s + x * s * z * sum);
  }
  return x * log_ratio(x, y) - x + y;
}

double exp1(double x) {
  if (x < 1) {
    if (!(x > 0)) {
      return x == 0 ? infinity : not_a_number;
    }
    return horner(exp1_series.data(), 21, x) - (std::log(x) + std::numbers::egamma);
  }
  if (!(x < 760)) {
    return std::isnan(x) ? x : 0;
  }
  double f = exp1_table(1 / x) / x;
  double half = std::exp(-0.5 * x);
  return x < 700 ? f * std::exp(-x) : f * half * half;
}

double expi(double x) {
  if (!(x > 0)) {
    return -exp1(-x);
  }
  if (x < 2) { // DLMF 6.6.1, all terms positive
    double sum = 0, power = 1;
    for (int k = 1; k < 40; ++k) {
      power *= x / k;
      sum += power / k;
      if (power < 1e-17 * k * sum) break;
    }
    return sum + (std::log(x) + std::numbers::egamma);
  }
  if (x < 40) {
    return expi_table(x) * std::exp(x) / x;
  }
  if (x == infinity) {
    return x;
  }
  double f = expi_tail(1 / x) / x, half = std::exp(0.5 * x);
  return x < 700 ? f * std::exp(x) : f * half * half;
}

} // namespace mlx::core::cpu::special
