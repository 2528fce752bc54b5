// Taylor arithmetic in one or two parameters: numbers that carry their derivatives up to given orders. The functions
// below are the same for plain numbers, so that an algorithm is written once for values and for every derivative.
#pragma once

#include <array>
#include <cmath>

namespace mlx::core::cpu::special {

// The sum of c[i * columns + j] e^i d^j for i < rows and j < columns.
struct Series {
  static constexpr int most = 64;
  int rows = 1, columns = 1;
  std::array<double, most> c;

  Series(int r, int n, double value) : rows(r), columns(n) {
    std::fill_n(c.begin(), size(), 0.0);
    c[0] = value;
  }
  static Series constant(const Series& like, double value) { return Series(like.rows, like.columns, value); }
  // The parameter itself: value + e, or value + d.
  static Series first(int r, int n, double value) {
    Series s(r, n, value);
    if (r > 1) s.c[static_cast<size_t>(n)] = 1;
    return s;
  }
  static Series second(int r, int n, double value) {
    Series s(r, n, value);
    if (n > 1) s.c[1] = 1;
    return s;
  }
  int size() const { return rows * columns; }
  // The derivative of the highest orders.
  double derivative() const {
    double value = c[static_cast<size_t>(size() - 1)];
    for (int i = 2; i < rows; ++i) value *= i;
    for (int j = 2; j < columns; ++j) value *= j;
    return value;
  }
  Series& operator+=(const Series& b) {
    for (int i = 0; i < size(); ++i) c[static_cast<size_t>(i)] += b.c[static_cast<size_t>(i)];
    return *this;
  }
  Series& operator*=(double b) {
    for (int i = 0; i < size(); ++i) c[static_cast<size_t>(i)] *= b;
    return *this;
  }
};

inline Series operator+(Series a, const Series& b) { return a += b; }
inline Series operator+(Series a, double b) { return a.c[0] += b, a; }
inline Series operator+(double b, Series a) { return a.c[0] += b, a; }
inline Series operator*(Series a, double b) { return a *= b; }
inline Series operator*(double b, Series a) { return a *= b; }
inline Series operator-(Series a) { return a *= -1; }
inline Series operator-(Series a, double b) { return a.c[0] -= b, a; }
inline Series operator-(double b, Series a) { return a *= -1, a.c[0] += b, a; }
inline Series operator-(Series a, const Series& b) {
  for (int i = 0; i < a.size(); ++i) a.c[static_cast<size_t>(i)] -= b.c[static_cast<size_t>(i)];
  return a;
}
inline Series operator/(Series a, double b) {
  for (int i = 0; i < a.size(); ++i) a.c[static_cast<size_t>(i)] /= b;
  return a;
}
inline Series operator*(const Series& a, const Series& b) {
  Series out = Series::constant(a, 0);
  for (int i = 0; i < a.rows; ++i) {
    for (int j = 0; j < a.columns; ++j) {
      double factor = a.c[static_cast<size_t>(i * a.columns + j)];
      if (factor == 0) continue;
      for (int k = 0; i + k < a.rows; ++k) {
        for (int l = 0; j + l < a.columns; ++l) {
          out.c[static_cast<size_t>((i + k) * a.columns + j + l)] +=
              factor * b.c[static_cast<size_t>(k * a.columns + l)];
        }
      }
    }
  }
  return out;
}
// q b = a, coefficient by coefficient.
inline Series operator/(const Series& a, const Series& b) {
  Series q = Series::constant(a, 0);
  for (int i = 0; i < a.rows; ++i) {
    for (int j = 0; j < a.columns; ++j) {
      double left = a.c[static_cast<size_t>(i * a.columns + j)];
      for (int k = 0; k <= i; ++k) {
        for (int l = 0; l <= j; ++l) {
          if (k + l > 0) {
            left -= b.c[static_cast<size_t>(k * a.columns + l)] * q.c[static_cast<size_t>((i - k) * a.columns + j - l)];
          }
        }
      }
      q.c[static_cast<size_t>(i * a.columns + j)] = left / b.c[0];
    }
  }
  return q;
}
inline Series operator/(double a, const Series& b) { return Series::constant(b, a) / b; }

inline double value_of(double x) { return x; }
inline double value_of(const Series& x) { return x.c[0]; }
inline double constant_like(double, double value) { return value; }
inline Series constant_like(const Series& s, double value) { return Series::constant(s, value); }
inline void set_value(double& x, double value) { x = value; }
inline void set_value(Series& x, double value) { x.c[0] = value; }
inline double largest_of(double x) { return std::fabs(x); }
inline double largest_of(const Series& s) {
  double most = 0;
  for (int i = 0; i < s.size(); ++i) most = std::fmax(most, std::fabs(s.c[static_cast<size_t>(i)]));
  return most;
}
// Whether adding a changes b no more, in any coefficient; a number's, if it is to be right to `enough`.
inline bool negligible(double a, double b, double enough = 1e-16) {
  return std::fabs(a) <= 0.1 * enough * std::fabs(b);
}
inline bool negligible(const Series& a, const Series& b, double = 0) {
  for (int i = 0; i < a.size(); ++i) {
    if (!(std::fabs(a.c[static_cast<size_t>(i)]) <= 1e-17 * std::fabs(b.c[static_cast<size_t>(i)]))) return false;
  }
  return true;
}

// The highest power of x minus its value that is not 0.
inline int degree_of(const Series& x) { return x.rows + x.columns - 2; }
// sum of f[k] (x - value)^k, where f are Taylor coefficients at the value.
inline Series composed(const double* f, Series x) {
  x.c[0] = 0;
  int k = degree_of(x);
  Series sum = Series::constant(x, f[k]);
  while (k-- > 0) sum = sum * x + f[k];
  return sum;
}
using Coefficients = std::array<double, Series::most + 1>;

inline double exp_of(double x) { return std::exp(x); }
inline Series exp_of(const Series& x) {
  Coefficients f;
  f[0] = std::exp(x.c[0]);
  for (int k = 1; k <= degree_of(x); ++k) f[static_cast<size_t>(k)] = f[static_cast<size_t>(k - 1)] / k;
  return composed(f.data(), x);
}
inline double expm1_of(double x) { return std::expm1(x); }
inline Series expm1_of(const Series& x) {
  Series y = exp_of(x);
  y.c[0] = std::expm1(x.c[0]);
  return y;
}
// y's logarithm's derivatives, beginning with a value that is known better.
inline Series log_with_value(const Series& y, double value) {
  Coefficients f;
  f[0] = value;
  double power = -1;
  for (int k = 1; k <= degree_of(y); ++k) {
    power /= -y.c[0];
    f[static_cast<size_t>(k)] = power / k;
  }
  return composed(f.data(), y);
}
inline double log_of(double x) { return std::log(x); }
inline Series log_of(const Series& x) { return log_with_value(x, std::log(x.c[0])); }
inline double log1p_of(double x) { return std::log1p(x); }
inline Series log1p_of(const Series& x) { return log_with_value(x + 1.0, std::log1p(x.c[0])); }
inline double sqrt_of(double x) { return std::sqrt(x); }
inline Series sqrt_of(const Series& x) {
  Coefficients f;
  f[0] = std::sqrt(x.c[0]);
  for (int k = 1; k <= degree_of(x); ++k) {
    f[static_cast<size_t>(k)] = f[static_cast<size_t>(k - 1)] * (1.5 - k) / (k * x.c[0]);
  }
  return composed(f.data(), x);
}
// base^exponent for a plain base > 0.
inline double power_of(double base, double exponent) { return std::pow(base, exponent); }
inline Series power_of(double base, const Series& exponent) {
  Coefficients f;
  f[0] = std::pow(base, exponent.c[0]);
  double log = std::log(base);
  for (int k = 1; k <= degree_of(exponent); ++k) {
    f[static_cast<size_t>(k)] = f[static_cast<size_t>(k - 1)] * log / k;
  }
  return composed(f.data(), exponent);
}

} // namespace mlx::core::cpu::special
