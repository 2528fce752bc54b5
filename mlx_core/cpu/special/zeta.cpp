// The zeta functions and their derivatives by s, from the Euler-Maclaurin formula.
#include <cmath>
#include <numbers>

#include "mlx_core/cpu/special/functions.h"
#include "mlx_core/cpu/special/tables.h"

namespace mlx::core::cpu::special {

namespace {

// B_2j / (2j)!
constexpr double bernoulli[] = {1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160,
    -691.0 / 1307674368000, 1.0 / 74724249600, -3617.0 / 10670622842880000, 43867.0 / 5109094217170944000,
    -174611.0 / 802857662698291200000.0, 77683.0 / 14101100039391805440000.0,
    -236364091.0 / 1693824136731743669452800000.0};

// A sum that keeps what its additions of plain numbers round away.
template <typename T>
struct Sum {
  T total;
  double lost = 0;
  void add(const T& x) {
    if constexpr (std::is_same_v<T, double>) {
      double next = total + x;
      lost += std::fabs(total) >= std::fabs(x) ? (total - next) + x : (x - next) + total;
      total = next;
    } else {
      total += x;
    }
  }
  T result() const {
    if constexpr (std::is_same_v<T, double>) {
      return std::fabs(total) < infinity ? total + lost : total;
    } else {
      return total;
    }
  }
};

// DLMF 25.11.28 is this for q = 1: the sum of (q + k)^-s up to some k, then an integral and its corrections.
template <typename T>
T hurwitz(const T& s, double q, double enough = exactly_enough) {
  double at = value_of(s);
  Sum<T> sum{constant_like(s, 0)};
  // 12 corrections from there on: they fall by (2 pi m)^-2
  double m = q, far = (enough > 1e-12 ? 4 : 10) + 0.5 * std::fmax(0, at);
  for (int k = 0; m < far; ++k) {
    T term = enough > 1e-12 ? exp_of(-s * std::log(m)) : power_of(m, -s);
    sum.add(term);
    m = q + (k + 1);
    if (at > 1 && negligible(term * (1 + m / (at - 1)), sum.total, enough)) {
      return sum.result();
    }
  }
  T power = power_of(m, -s);
  sum.add((value_of(power) < 1e-290 ? power_of(m, 1.0 - s) : power * m) / (s - 1.0));
  sum.add(power * 0.5);
  T factor = power * s / m;
  for (int j = 0; j < 12; ++j) {
    T term = factor * bernoulli[j];
    sum.add(term);
    if (negligible(term, sum.total, enough)) break;
    factor = factor * (s + (2 * j + 1.0)) * (s + (2 * j + 2.0)) / (m * m);
  }
  return sum.result();
}

template <typename T>
T riemann(const T& s) {
  T from_one = s - 1.0;
  return value_of(s) < 1.75 ? horner(zeta_at_one, 26, from_one) + 1.0 / from_one : hurwitz(s, 1);
}

constexpr double two_pi = 2 * std::numbers::pi, two_pi_low = 2.4492935982947064e-16;

// gamma(t) / (2 pi)^t. A power multiplies what its base lost in rounding, so that goes apart.
double gamma_by_power(double t) {
  if (t < 12) {
    return gamma(t) * std::pow(two_pi, -t) * (1 - t * (two_pi_low / two_pi));
  }
  // Stirling: sqrt(2 pi / t) (t / (2 pi e))^t
  constexpr double divisor = 17.079468445347135, divisor_low = -1.3547630581004849e-15;
  double base = t / divisor, lost = (std::fma(-base, divisor, t) - base * divisor_low) / divisor;
  return std::sqrt(two_pi / t) * std::exp(stirling_rest(t) + t * (lost / base)) * std::pow(base, t);
}

Series sin_of_half_pi(const Series& s) {
  Coefficients f;
  double sine = sin_pi(0.5 * s.c[0]), cosine = cos_pi(0.5 * s.c[0]), scale = 1;
  for (int k = 0; k <= degree_of(s); ++k) {
    f[static_cast<size_t>(k)] = scale * (k % 4 == 0 ? sine : k % 4 == 1 ? cosine : k % 4 == 2 ? -sine : -cosine);
    scale *= 0.5 * std::numbers::pi / (k + 1);
  }
  return composed(f.data(), s);
}

} // namespace

double zeta(int n, double s, double q, double enough) {
  if (std::isnan(s) || std::isnan(q) || s < 1) {
    return not_a_number;
  }
  if (s == 1) {
    return n % 2 ? -infinity : infinity;
  }
  if (q <= 0) {
    if (q == std::floor(q)) {
      return n == 0 ? infinity : not_a_number;
    }
    if (n > 0 || s != std::floor(s) || s == infinity || q < -1e15) {
      return not_a_number; // powers of negative numbers
    }
    // zeta(n, q) = (-1)^n polygamma(n - 1, q) / (n - 1)!, DLMF 25.11.12
    if (q < -64 && s < Series::most) {
      int order = static_cast<int>(s) - 1;
      double factorial = 1;
      for (int k = 2; k <= order; ++k) factorial *= k;
      return (order % 2 ? 1 : -1) * polygamma(order, q) / factorial;
    }
    double sum = 0;
    for (; q < 0 && q >= -1e6; q += 1) sum += std::pow(q, -s);
    return q < 0 ? not_a_number : sum + zeta(0, s, q, enough);
  }
  if (s == infinity) {
    return n > 0 ? (q >= 1 ? 0 : not_a_number) : q > 1 ? 0 : q == 1 ? 1 : infinity;
  }
  if (q == infinity) {
    return 0;
  }
  if (n == 0) {
    return hurwitz(s, q, enough);
  }
  return hurwitz(Series::first(n + 1, 1, s), q).derivative();
}

double riemann_zeta(int n, double s) {
  if (std::isnan(s)) {
    return s;
  }
  if (s == infinity) {
    return n == 0 ? 1 : 0;
  }
  if (s == -infinity) {
    return not_a_number;
  }
  if (s == 1) {
    return n % 2 ? -infinity : infinity;
  }
  if (s > -1) {
    return n == 0 ? riemann(s) : riemann(Series::first(n + 1, 1, s)).derivative();
  }
  // DLMF 25.4.1: zeta(s) = 2 (2 pi)^(s-1) sin(pi s / 2) gamma(1 - s) zeta(1 - s)
  if (n == 0) {
    double sine = sin_pi(0.5 * s);
    return sine == 0 ? 0 : 2 * sine * gamma_by_power(1 - s) * riemann(1 - s);
  }
  Series t = Series::first(n + 1, 1, s);
  Series log = log_gamma(1 - t) + (t - 1.0) * std::log(two_pi);
  return (sin_of_half_pi(t) * exp_of(log) * riemann(1 - t) * 2).derivative();
}

} // namespace mlx::core::cpu::special
