// The incomplete gamma and beta functions, and their derivatives in the parameters: the same algorithms on numbers and
// on Taylor series.
#include <cmath>
#include <numbers>

#include "mlx_core/cpu/special/functions.h"
#include "mlx_core/cpu/special/tables.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu::special {

namespace {

constexpr int most_terms = 2'000'000;

double lgamma1p_of(double x) { return std::fabs(x) <= 0.5 ? lgamma1p(x) : lgamma(1 + x); }
Series lgamma1p_of(const Series& x) { return std::fabs(x.c[0]) <= 0.5 ? lgamma1p(x) : log_gamma(1.0 + x); }

constexpr double atanh_terms[] = {2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19,
    2.0 / 21, 2.0 / 23, 2.0 / 25, 2.0 / 27, 2.0 / 29};

// log(1 + u) - u, which for small u is -u s + 2 (s^3 / 3 + s^5 / 5 + ...), s = u / (2 + u)
template <typename T>
T log1p_less(const T& u) {
  T s = u / (u + 2.0);
  T z = s * s;
  return s * z * horner(atanh_terms, 14, z) - u * s;
}
// (u - log(1 + u)) / u^2 of small u, where s / u = 1 / (2 + u)
template <typename T>
T square_part(const T& u) {
  T r = 1.0 / (u + 2.0), s = u * r;
  return r - r * r * s * horner(atanh_terms, 14, s * s);
}
bool is_small(double u) { return std::fabs(u) < 0.4; }

// a^a exp(-a) / gamma(a)
template <typename T>
T scaled_reciprocal_gamma(const T& a) {
  if (value_of(a) >= 10) {
    return sqrt_of(a * (0.5 * std::numbers::inv_pi)) * exp_of(-stirling_rest(a));
  }
  return exp_of(a * (log_of(a) - 1.0)) * reciprocal_gamma(a);
}
template <>
double scaled_reciprocal_gamma(const double& a) {
  if (a >= 10) {
    return std::sqrt(a * (0.5 * std::numbers::inv_pi)) * std::exp(-stirling_rest(a));
  }
  return std::pow(a, a) * std::exp(-a) * reciprocal_gamma(a);
}

// x^a exp(-x) / gamma(a)
template <typename T>
T gamma_factor(const T& a, double x, double enough = exactly_enough) {
  double at = value_of(a);
  if (at < 10) {
    if (std::is_same_v<T, double> && enough > 1e-12) {
      return exp_of(a * std::log(x) - x) * reciprocal_gamma(a);
    }
    if (x > 700) {
      return exp_of(a * std::log(x) - x) * reciprocal_gamma(a);
    }
    return power_of(x, a) * std::exp(-x) * reciprocal_gamma(a);
  }
  T u = (x - a) / a;
  T log = is_small(value_of(u)) ? a * log1p_less(u) : a * (std::log(x) - log_of(a)) - (x - a);
  return scaled_reciprocal_gamma(a) * exp_of(log);
}

// P by its series, DLMF 8.11.4.
template <typename T>
T lower_series(const T& a, double x, double enough) {
  T term = constant_like(a, 1), sum = term;
  for (int n = 1; n < most_terms; ++n) {
    term = term * (x / (a + static_cast<double>(n))); // the quotients do not wait for each other
    sum = sum + term;
    if (negligible(term, sum, enough)) break;
  }
  return gamma_factor(a, x, enough) * sum / a;
}

// Q by its continued fraction, DLMF 8.9.2: as many terms as the value's takes, and more for derivatives, from behind,
// which is the more accurate way; narrow dtypes take what the other way gives.
// The fraction's values A_k / B_k are compared without a division: of both recurrences, DLMF 1.12.5, the cross product
// is that of the numerators. It is to be well below `enough`, as the differences to come are many where they fall
// slowly.
int terms_of_upper(double a, double x, double enough, double* value = nullptr) {
  if (x > 1e60) { // of which the recurrences overflow, and the second term is nothing
    return 3;
  }
  double b = x + 1 - a, p = 1, q = b, last_p = 0, last_q = 1, cross = 1;
  for (int k = 1; k < most_terms; ++k) {
    double numerator = -k * (k - a);
    b += 2;
    double next_p = b * p + numerator * last_p, next_q = b * q + numerator * last_q;
    last_p = p, last_q = q, p = next_p, q = next_q;
    cross *= numerator;
    if (std::fabs(cross) <= 0.01 * enough * std::fabs(last_p * q)) {
      if (value) *value = p / q;
      return k;
    }
    if (std::fabs(q) > 1e100 || std::fabs(p) > 1e100) {
      last_p *= 1e-100, last_q *= 1e-100, p *= 1e-100, q *= 1e-100, cross *= 1e-200;
    }
  }
  return most_terms;
}
template <typename T>
T upper_fraction(const T& a, double x, double enough) {
  if constexpr (std::is_same_v<T, double>) {
    double value = 0;
    if (enough > 1e-12 && terms_of_upper(a, x, enough, &value) < most_terms && value != 0) {
      return gamma_factor(a, x, enough) * value;
    }
  }
  int terms = terms_of_upper(value_of(a), x, enough);
  if constexpr (!std::is_same_v<T, double>) { // it ends for a whole a, but its derivative does not
    terms = std::max(terms, terms_of_upper(value_of(a) + 0.37, x, enough)) * 3 / 2 + 10;
  }
  T f = x + (2.0 * terms + 1) - a;
  for (int k = terms; k >= 1; --k) {
    f = (x + (2.0 * k - 1) - a) + (a - static_cast<double>(k)) * static_cast<double>(k) / f;
  }
  return gamma_factor(a, x, enough) / f;
}

// Q for x about 1 and a small, where it is small: DLMF 8.7.1 with the 1 taken out.
template <typename T>
T upper_of_small(const T& a, double x, double enough) {
  T log = a * std::log(x) - lgamma1p_of(a);
  T sum = constant_like(a, 0);
  double power = 1;
  for (int k = 1; k < 60; ++k) {
    power *= -x / k;
    T term = a * power / (a + static_cast<double>(k));
    sum = sum + term;
    if (negligible(term, sum, enough)) break;
  }
  return -(expm1_of(log) + exp_of(log) * sum);
}

double erfc_of(double x) { return erfc(x); }
Series erfc_of(const Series& x) { return erfc(x); }

// For large a and x near it, DLMF 8.12.3-4, 8.12.7: eta^2 / 2 = mu - log(1 + mu), mu = (x - a) / a.
bool is_uniform(double a, double x) { return a >= 20 && is_small((x - a) / a); }
template <typename T>
T uniform(const T& a, double x, bool upper, double enough) {
  T mu = (x - a) / a;
  T eta = mu * sqrt_of(square_part(mu) * 2.0);
  T inverse = 1.0 / a, sum = constant_like(a, 0), power = constant_like(a, 1);
  for (const auto& row : temme_table) {
    T term = power * horner(row, 26, eta);
    sum = sum + term;
    if (largest_of(term) < 1e-3 * enough) break;
    power = power * inverse;
  }
  T half = a * eta * eta * 0.5;
  T rest = exp_of(-half) * sum / sqrt_of(a * (2 * std::numbers::pi));
  T z = eta * sqrt_of(a * 0.5);
  return upper ? erfc_of(z) * 0.5 + rest : erfc_of(-z) * 0.5 - rest;
}

// The smaller of P and Q, more or less: whichever is computed without loss.
template <typename T>
T gamma_part(const T& a, double x, bool& upper, double enough) {
  double at = value_of(a);
  if (is_uniform(at, x)) {
    upper = x > at;
    return uniform(a, x, upper, enough);
  }
  if (x <= 1 && at < 1) {
    if (at * std::log(x) < -1) { // P is below 0.4
      upper = false;
      return lower_series(a, x, enough);
    }
    upper = true;
    return upper_of_small(a, x, enough);
  }
  upper = x > at + 1 || at < 1; // where Q is the smaller one
  return upper ? upper_fraction(a, x, enough) : lower_series(a, x, enough);
}

// Limits: NaN where there is none.
double gamma_edge(double a, double x, bool upper) {
  if (std::isnan(a) || std::isnan(x) || a < 0 || x < 0 || (a == 0 && x == 0) || (a == infinity && x == infinity)) {
    return not_a_number;
  }
  bool is_one = x == infinity || a == 0; // P
  return is_one != upper ? 1 : 0;
}
bool is_inside(double a, double x) { return a > 0 && x > 0 && a < infinity && x < infinity; }

// --- beta ---

// x^a (1-x)^b / B(a, b), y = 1 - x. With u = x (a + b) / a - 1 and v = y (a + b) / b - 1, for which a u + b v = 0, it
// is (1 + u)^a (1 + v)^b times what depends on a and b alone.
template <typename T>
T beta_factor(const T& a, const T& b, double x, double y, double enough = exactly_enough) {
  double p = value_of(a), q = value_of(b);
  if (p < 10 && q < 10) {
    bool narrow = std::is_same_v<T, double> && enough > 1e-12;
    T power = narrow    ? exp_of(a * std::log(x) + b * std::log1p(-x))
              : x < 0.5 ? power_of(x, a) * exp_of(b * std::log1p(-x))
                        : power_of(x, a) * power_of(y, b);
    T rest = reciprocal_gamma(a + b); // one of the others has about its size
    return p < q ? power * (reciprocal_gamma(b) / rest) * reciprocal_gamma(a)
                 : power * (reciprocal_gamma(a) / rest) * reciprocal_gamma(b);
  }
  if (p < 1e-200 || q < 1e-200) { // B(a, b) = 1 / b, for tiny b
    return power_of(x, a) * power_of(y, b) * (p < q ? a : b);
  }
  double left = x * q, right = y * p, lost_y = (1 - y) - x;
  T difference = b * x - a * y; // (a + b) x - a
  set_value(difference, (left - right) + (std::fma(x, q, -left) - std::fma(y, p, -right) - p * lost_y));
  T u = difference / a, v = -difference / b;
  T log = constant_like(a, 0);
  if (is_small(value_of(u)) && is_small(value_of(v))) {
    log = a * log1p_less(u) + b * log1p_less(v);
  } else {
    T c = a + b;
    log = (is_small(value_of(u)) ? a * log1p_of(u) : a * log_of(c / a * x)) +
          (is_small(value_of(v)) ? b * log1p_of(v) : b * log_of(c / b * y));
  }
  return scaled_reciprocal_gamma(a) * scaled_reciprocal_gamma(b) / scaled_reciprocal_gamma(a + b) * exp_of(log);
}

// The k-th numerator of the continued fraction, DLMF 8.17.22-23.
template <typename T>
T beta_numerator(const T& a, const T& b, double x, int k) {
  double m = k / 2;
  T below = a + 2 * m;
  if (k % 2 == 0) {
    return (b - m) / (below - 1.0) * (m * x) / below;
  }
  return (a + m) / below * (a + b + m) / (below + 1.0) * -x;
}
int terms_of_beta(double a, double b, double x, double enough) {
  double tiny = 1e-300, c = 1, d = 0;
  InterruptPoll poll(100000);
  for (int k = 1; k < most_terms; ++k) {
    double numerator = beta_numerator(a, b, x, k);
    d = 1 + numerator * d;
    c = 1 + numerator / c;
    if (std::fabs(d) < tiny) d = tiny;
    if (std::fabs(c) < tiny) c = tiny;
    d = 1 / d;
    if (std::fabs(c * d - 1) < enough) return k;
    poll();
  }
  return most_terms;
}
// A short fraction, from behind as well; 0 where it is a long one. Its numerators are divided once, and how many there
// must be is found without division, as in terms_of_upper.
double short_beta_fraction(double a, double b, double x, double enough) {
  constexpr int most = 64;
  double numerators[most + 1];
  double p = 1, q = 1, last_p = 1, last_q = 0, cross = 1;
  if (a + b > 1e60) {
    return 0;
  }
  for (int k = 1; k <= most; ++k) {
    double m = k / 2, below = a + 2 * m;
    double numerator =
        k % 2 == 0 ? (b - m) * (m * x) / ((below - 1) * below) : -(a + m) * ((a + b + m) * x) / (below * (below + 1));
    numerators[k] = numerator;
    double next_p = p + numerator * last_p, next_q = q + numerator * last_q;
    last_p = p, last_q = q, p = next_p, q = next_q;
    cross *= numerator;
    if (std::fabs(cross) <= 0.01 * enough * std::fabs(last_p * q)) {
      if (enough > 1e-12) return p / q;
      double f = 1;
      for (; k >= 1; --k) f = 1 + numerators[k] / f;
      return f;
    }
  }
  return 0;
}
template <typename T>
T beta_fraction(const T& a, const T& b, double x, double y, double enough) {
  if constexpr (std::is_same_v<T, double>) {
    if (double f = short_beta_fraction(a, b, x, enough); f != 0) {
      return beta_factor(a, b, x, y, enough) / (a * f);
    }
  }
  int terms = terms_of_beta(value_of(a), value_of(b), x, enough);
  if constexpr (!std::is_same_v<T, double>) { // it ends for a whole b, but its derivative does not
    terms = std::max(terms, terms_of_beta(value_of(a), value_of(b) + 0.37, x, enough)) * 3 / 2 + 10;
  }
  T f = constant_like(a, 1);
  for (int k = terms; k >= 1; --k) {
    f = 1.0 + beta_numerator(a, b, x, k) / f;
  }
  return beta_factor(a, b, x, y, enough) / (a * f);
}

// I_y(b, a) for small b, y <= 0.8 and a y < 1: a power of y; or 1 less that, where it is small, with the 1 taken out.
double log_gamma_step_of(double a, double b) { return log_gamma_step(a, b); }
Series log_gamma_step_of(const Series& a, const Series& b) {
  Series step = log_gamma(a + b) - log_gamma(a);
  step.c[0] = log_gamma_step(a.c[0], b.c[0]);
  return step;
}
template <typename T>
T beta_of_small(const T& a, const T& b, double y, double enough, bool lacking = true) {
  T log = b * std::log(y) - lgamma1p_of(b) + log_gamma_step_of(a, b);
  T sum = constant_like(a, 0), product = constant_like(a, 1);
  for (int k = 1; k < 200; ++k) {
    product = product * (static_cast<double>(k) - a) * (y / k);
    T term = product * b / (b + static_cast<double>(k));
    sum = sum + term;
    if (negligible(term, sum, enough)) break;
  }
  return lacking ? -(expm1_of(log) + exp_of(log) * sum) : exp_of(log) * (sum + 1.0);
}

// Where both a and b are very large, x is near x0 = a / (a + b) or I is 0 or 1: DLMF 8.18.9 with one term. What that
// leaves out is below 4 ULP times the condition number, which is about the root of the smaller of a and b.
bool is_normal(double a, double b) { return a > 1e11 && b > 1e11; }
template <typename T>
T beta_normal(const T& a, const T& b, double x) {
  double p = value_of(a), q = value_of(b), ratio = p / q, x0 = ratio < 1 ? ratio / (1 + ratio) : 1 / (1 + 1 / ratio);
  double at = (x - x0) / x0, beyond = at * ratio;
  if (!is_small(at) || !is_small(beyond)) {
    return constant_like(a, at < 0 ? 0 : 1);
  }
  T share = 1.0 / (1.0 + a / b);
  T u = (b * x - a * (1 - x)) / a, v = -u * a / b;
  T z = u * sqrt_of(a * (square_part(u) + square_part(v) * (a / b)));
  T skew = (1 - share * 2.0) / sqrt_of(a * share); // (x0 - y0) / sqrt(x0 y0 (a + b))
  return erfc_of(-z) * 0.5 - exp_of(-(z * z)) * skew * (1 / (3 * std::sqrt(2 * std::numbers::pi)));
}

// Where b is larger than a by so much: x is small, and I_x(a, b) a gamma distribution's.
bool is_gamma_like(double a, double b) { return b > 1e20 && a <= 1e11; }
double beta_like_gamma(double a, double b, double log_y, bool upper) {
  double x = -(b + 0.5 * (a - 1)) * log_y;
  return upper ? gammaincc(a, x) : gammainc(0, a, x);
}

// I_x(a, b), or with `complement` 1 less it.
template <typename T>
T beta_part(const T& a, const T& b, double x, bool& complement, double enough) {
  double p = value_of(a), q = value_of(b), y = 1 - x;
  complement = false;
  if (is_normal(p, q)) {
    return beta_normal(a, b, x);
  }
  if (p < 1e-280 && (q < 1e-280 || std::is_same_v<T, double>)) { // all at the ends
    return b / (a + b);
  }
  if (p < 0.5 && 4 * p <= q && x <= 0.8 && q * x < 1) { // where I is about 1, what is lacking
    complement = -p * std::log(x) < 0.5;
    return beta_of_small(b, a, x, enough, complement);
  }
  if (x <= (p + 1) / (p + q + 2)) {
    return beta_fraction(a, b, x, y, enough);
  }
  if (q < 1 && x < 0.95) {
    return beta_fraction(a, b, x, y, enough);
  }
  if (q < 1 && p * y < 1) {
    return beta_of_small(a, b, y, enough);
  }
  complement = true;
  return beta_fraction(b, a, y, x, enough);
}

double beta_edge(double a, double b, double x) {
  if (!(a >= 0 && b >= 0 && x >= 0 && x <= 1) || (a == 0 && b == 0) || (a == infinity && b == infinity)) {
    return not_a_number;
  }
  if (x == 0 || x == 1) {
    return x;
  }
  return a == 0 || b == infinity ? 1 : 0;
}
bool is_inside(double a, double b, double x) {
  return a > 0 && b > 0 && a < infinity && b < infinity && x > 0 && x < 1;
}

} // namespace

double gammainc(int n, double a, double x, double enough) {
  if (!is_inside(a, x)) {
    double edge = gamma_edge(a, x, false);
    return n == 0 || std::isnan(edge) ? edge : 0;
  }
  bool upper;
  if (n == 0) {
    double part = gamma_part(a, x, upper, enough);
    return upper ? 1 - part : part;
  }
  double derivative = gamma_part(Series::first(n + 1, 1, a), x, upper, exactly_enough).derivative();
  return upper ? -derivative : derivative;
}

double gammaincc(double a, double x, double enough) {
  if (!is_inside(a, x)) {
    return gamma_edge(a, x, true);
  }
  bool upper;
  double part = gamma_part(a, x, upper, enough);
  return upper ? part : 1 - part;
}

double gamma_density(int n, double a, double x) {
  if (std::isnan(a) || std::isnan(x) || x < 0 || a == infinity) {
    return not_a_number;
  }
  if (n < 0 || x == infinity) {
    return 0;
  }
  if (x == 0) { // a power of 0
    return a > 1    ? 0
           : n == 0 ? (a == 1      ? 1
                          : a == 0 ? 0
                                   : std::copysign(infinity, reciprocal_gamma(a)))
           : a < 1  ? not_a_number
                    : -infinity;
  }
  if (a < 0) {
    return not_a_number;
  }
  return n == 0 ? gamma_factor(a, x) / x : gamma_factor(Series::first(n + 1, 1, a), x).derivative() / x;
}

double betainc(int i, int j, double a, double b, double x, double enough) {
  if (!is_inside(a, b, x)) {
    double edge = beta_edge(a, b, x);
    return i + j == 0 || std::isnan(edge) ? edge : 0;
  }
  bool complement;
  if (i + j == 0) {
    if (is_gamma_like(a, b)) return beta_like_gamma(a, b, std::log1p(-x), false);
    if (is_gamma_like(b, a)) return beta_like_gamma(b, a, std::log(x), true);
    double part = beta_part(a, b, x, complement, enough);
    return complement ? 1 - part : part;
  }
  double derivative =
      beta_part(Series::first(i + 1, j + 1, a), Series::second(i + 1, j + 1, b), x, complement, exactly_enough)
          .derivative();
  return complement ? -derivative : derivative;
}

double beta_density(int i, int j, double a, double b, double x) {
  if (i < 0 || j < 0) {
    return 0;
  }
  if (!(x >= 0 && x <= 1) || !(std::fabs(a) < infinity && std::fabs(b) < infinity)) {
    return not_a_number;
  }
  double y = 1 - x;
  if (x == 0 || y == 0) { // at an edge, a power of 0
    double power = x == 0 ? a : b, other = x == 0 ? b : a;
    if (power > 1) return 0;
    if (power == 1) return i + j == 0 ? other : i + j == 1 && (x == 0 ? j : i) == 1 ? 1 : -infinity;
    return i + j == 0 ? infinity : not_a_number;
  }
  if (a < 0 || b < 0) {
    return not_a_number;
  }
  if (i + j == 0) {
    return beta_factor(a, b, x, y) / (x * y);
  }
  return beta_factor(Series::first(i + 1, j + 1, a), Series::second(i + 1, j + 1, b), x, y).derivative() / (x * y);
}

} // namespace mlx::core::cpu::special
