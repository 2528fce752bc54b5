// Bessel functions of whole orders.
#include <cmath>
#include <numbers>

#include "mlx_core/cpu/special/functions.h"
#include "mlx_core/cpu/special/tables.h"

namespace mlx::core::cpu::special {

namespace {

// J_0 or J_1 for x >= 0. Far out DLMF 10.17.3; with c and s of x itself, cos(x - pi/4) = (c + s) / sqrt(2).
double j_zero_or_one(int n, double x) {
  if (x < 26) {
    return n == 0 ? j0_table(x) : x * j1_table(x);
  }
  if (x == infinity) {
    return 0;
  }
  double w = 1 / x / x, scale = std::sqrt(std::numbers::inv_pi / x), c = std::cos(x), s = std::sin(x);
  return n == 0 ? scale * (j0_cosine(w) * (c + s) - j0_sine(w) / x * (s - c))
                : scale * (j1_cosine(w) * (s - c) + j1_sine(w) / x * (s + c));
}

// Y_0 or Y_1 for x > 0: DLMF 10.8.1 with the logarithm of x apart, and 10.17.4.
double y_zero_or_one(int n, double x) {
  constexpr double two_by_pi = 2 * std::numbers::inv_pi;
  if (x < 26) {
    double log = two_by_pi * std::log(x);
    return n == 0 ? log * j0_table(x) + y0_table(x) : log * (x * j1_table(x)) - two_by_pi / x + x * y1_table(x);
  }
  if (x == infinity) {
    return 0;
  }
  double w = 1 / x / x, scale = std::sqrt(std::numbers::inv_pi / x), c = std::cos(x), s = std::sin(x);
  return n == 0 ? scale * (j0_cosine(w) * (s - c) + j0_sine(w) / x * (s + c))
                : scale * (j1_sine(w) / x * (s - c) - j1_cosine(w) * (s + c));
}

// exp(-x) I_0 or I_1 for x >= 0
double i_zero_or_one(int n, double x) {
  if (x < 16) {
    return n == 0 ? i0e_table(x) : x * i1e_table(x);
  }
  return (n == 0 ? i0e_tail(1 / x) : i1e_tail(1 / x)) / std::sqrt(x);
}

} // namespace

double bessel_j(int n, double x) {
  if (std::isnan(x)) {
    return x;
  }
  double a = std::fabs(x), sign = x < 0 && n % 2 ? -1 : 1;
  if (n < 2) {
    return n == 1 && x == 0 ? x : sign * j_zero_or_one(n, a);
  }
  if (a == 0 || a == infinity) {
    return 0;
  }
  // Upwards while the order is below x; beyond, from ratios of neighbours, which come from above.
  double below = j_zero_or_one(0, a), now = j_zero_or_one(1, a);
  int k = 1;
  for (; k < n && k < a; ++k) {
    double next = 2 * k / a * now - below;
    below = now;
    now = next;
  }
  if (k < n) {
    double ratio = 0, product = 1; // J_(m+1) / J_m
    for (int m = n + 30 + static_cast<int>(a); m >= k; --m) {
      ratio = 1 / (2 * (m + 1) / a - ratio);
      if (m < n) product *= ratio;
    }
    now *= product;
  }
  return sign * now;
}

double bessel_y(int n, double x) {
  if (!(x > 0)) {
    return x == 0 ? -infinity : not_a_number;
  }
  double below = y_zero_or_one(0, x);
  if (n == 0) {
    return below;
  }
  double now = y_zero_or_one(1, x);
  for (int k = 1; k < n && now > -infinity; ++k) {
    double next = 2 * k / x * now - below;
    below = now;
    now = next;
  }
  return now;
}

double bessel_ie(int n, double x) {
  if (std::isnan(x)) {
    return x;
  }
  double a = std::fabs(x), sign = x < 0 && n % 2 ? -1 : 1;
  if (n < 2) {
    return n == 1 && x == 0 ? x : sign * i_zero_or_one(n, a);
  }
  if (a == 0 || a == infinity) {
    return 0;
  }
  double square = 4.0 * n * n;
  if (a > std::fmax(50, square)) { // DLMF 10.40.1
    double sum = 1, term = 1;
    for (int k = 1; k < 60; ++k) {
      term *= -(square - (2 * k - 1.0) * (2 * k - 1.0)) / (8 * k * a);
      sum += term;
      if (negligible(term, sum)) break;
    }
    return sign * sum * std::sqrt(0.5 * std::numbers::inv_pi) / std::sqrt(a);
  }
  double ratio = 0, product = i_zero_or_one(0, a); // I_(m+1) / I_m, from above
  for (int m = n + 30 + static_cast<int>(9 * std::sqrt(a)); m >= 0; --m) {
    ratio = 1 / (2 * (m + 1) / a + ratio);
    if (m < n) product *= ratio;
  }
  return sign * product;
}

double bessel_i(int n, double x) {
  double a = std::fabs(x), scaled = bessel_ie(n, x);
  if (a == infinity) {
    return x < 0 && n % 2 ? -infinity : infinity;
  }
  double half = std::exp(0.5 * a);
  return a < 700 ? scaled * std::exp(a) : scaled * half * half;
}

} // namespace mlx::core::cpu::special
