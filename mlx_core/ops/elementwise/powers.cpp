// Powers and roots.
#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

struct Power {
  static constexpr OpInfo info{.name = "power",
      .primitive = "Power",
      .summary = "a to the power of b, element by element.",
      .domain = {0.3, 3},
      .second_domain = {-2, 2},
      .max_ulp = 2,
      .example = ">>> mx.power(mx.array([2.0, 3.0]), mx.array([3.0, -1.0]))\narray([8, 0.333333], dtype=float32)",
      .details =
          "Integers stay integers; their negative powers are cut to an integer: 0, but for 1 and -1. 0 to the power of "
          "0 is 1. "
          "The derivative with respect to a is 0 where b is 0; that with respect to b is 0 where a is 0.",
      .binary = &power};
  static constexpr Body body = Body::power;
  // d a^b = b a^(b - 1) da + log(a) a^b db. A zero factor b or log(a) hides an infinite other factor: 0^0 is constant
  // along a. log(0) is replaced by 0: 0^b is constant along b > 0.
  static array chain(int k, const array& g, const array& a, const array& b, const array& y) {
    if (k == 0) {
      return zero_times(g, zero_times(b, power(a, b - 1)));
    }
    array logarithm = log(where(equal(a, array(0, a.dtype())), array(1, a.dtype()), a));
    return zero_times(g, zero_times(logarithm, y));
  }
};
array power(const array& a, const array& b, StreamOrDevice s) { return Binary<Power>::apply(a, b, s); }

struct Square {
  static constexpr OpInfo info{.name = "square",
      .primitive = "Square",
      .summary = "a * a of each element.",
      .max_ulp = 0.5,
      .example = ">>> mx.square(mx.array([2.0, -3.0]))\narray([4, 9], dtype=float32)",
      .unary = &square};
  static constexpr Body body = Body::square;
  // d x^2 = 2 x dx
  static array derivative(const array& x, const array&) { return 2 * x; }
};
array square(const array& a, StreamOrDevice s) {
  return a.dtype().is_bool() ? positive(a, s) : Unary<Square>::apply(a, s);
}

struct Sqrt {
  static constexpr OpInfo info{.name = "sqrt",
      .primitive = "Sqrt",
      .summary = "Square root of each element.",
      .accepts = Dtypes::inexact,
      .domain = {0.1, 10},
      .max_ulp = 0.5,
      .example = ">>> mx.sqrt(mx.array([4.0, 2.0]))\narray([2, 1.41421], dtype=float32)",
      .details = "NaN for negative real numbers. The derivative at 0 is infinite.",
      .unary = &sqrt};
  static constexpr Body body = Body::sqrt;
  // d sqrt(x) = dx / (2 y)
  static array chain(const array& g, const array&, const array& y) { return zero_divide(0.5 * g, y); }
};
array sqrt(const array& a, StreamOrDevice s) { return Unary<Sqrt>::apply(a, s); }

struct Rsqrt {
  static constexpr OpInfo info{.name = "rsqrt",
      .primitive = "Rsqrt",
      .summary = "1 / sqrt(a) of each element.",
      .accepts = Dtypes::inexact,
      .domain = {0.1, 10},
      .max_ulp = 1.5,
      .example = ">>> mx.rsqrt(mx.array([4.0, 2.0]))\narray([0.5, 0.707107], dtype=float32)",
      .unary = &rsqrt};
  static constexpr Body body = Body::rsqrt;
  // d x^(-1/2) = -y / (2 x) dx
  static array derivative(const array& x, const array& y) { return -0.5 * y / x; }
};
array rsqrt(const array& a, StreamOrDevice s) { return Unary<Rsqrt>::apply(a, s); }

struct Reciprocal {
  static constexpr OpInfo info{.name = "reciprocal",
      .primitive = "Reciprocal",
      .summary = "1 / a of each element.",
      .accepts = Dtypes::inexact,
      .domain = {0.3, 10},
      .max_ulp = 0.5,
      .example = ">>> mx.reciprocal(mx.array([4.0, -2.0]))\narray([0.25, -0.5], dtype=float32)",
      .unary = &reciprocal};
  static constexpr Body body = Body::reciprocal;
  // d(1 / x) = -y^2 dx
  static array derivative(const array&, const array& y) { return -square(y); }
};
array reciprocal(const array& a, StreamOrDevice s) { return Unary<Reciprocal>::apply(a, s); }

struct Hypot {
  static constexpr OpInfo info{.name = "hypot",
      .primitive = "Hypot",
      .summary = "sqrt(a**2 + b**2), element by element, without overflow.",
      .accepts = Dtypes::floating,
      .max_ulp = 1,
      .example = ">>> mx.hypot(mx.array([3.0]), mx.array([4.0]))\narray([5], dtype=float32)",
      .details = "Derivatives at (0, 0) are 0. Infinite where a or b is, even beside NaN.",
      .binary = &hypot};
  static constexpr Body body = Body::hypot;
  // d hypot(a, b) = (a da + b db) / y, nothing at (0, 0), to any order
  static array chain(int k, const array& g, const array& a, const array& b, const array& y) {
    array none = equal(y, array(0, y.dtype()));
    return zero_times(g, where(none, array(0, y.dtype()), divide(k == 0 ? a : b, where(none, array(1, y.dtype()), y))));
  }
};
array hypot(const array& a, const array& b, StreamOrDevice s) { return Binary<Hypot>::apply(a, b, s); }

std::span<const OpInfo* const> power_ops() {
  static constexpr const OpInfo* ops[] = {
      &Power::info, &Square::info, &Sqrt::info, &Rsqrt::info, &Reciprocal::info, &Hypot::info};
  return ops;
}

} // namespace mlx::core
