// Functions as polynomials on pieces of equal width.
#pragma once

#include <algorithm>

namespace mlx::core::cpu::special {

// c[0] + x (c[1] + x (...)), where x may be a Series (series.h).
template <typename T>
inline T horner(const double* c, int count, const T& x) {
  T sum = x * c[count - 1] + c[count - 2];
  for (int k = count - 3; k >= 0; --k) {
    sum = sum * x + c[k];
  }
  return sum;
}

// Piece i holds powers of t in [-1, 1], which runs through [first + i width, first + (i + 1) width].
template <int count, int terms>
struct Pieces {
  double first, width;
  double c[count][terms];

  double operator()(double x) const {
    double from = x - first;
    int i = std::clamp(static_cast<int>(from / width), 0, count - 1);
    double t = (from - (i + 0.5) * width) * (2 / width);
    return horner(c[i], terms, t);
  }
};

} // namespace mlx::core::cpu::special
