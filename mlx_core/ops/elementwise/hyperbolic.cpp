// Hyperbolic functions and their inverses.
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

struct Sinh {
  static constexpr OpInfo info{.name = "sinh",
      .primitive = "Sinh",
      .summary = "Hyperbolic sine of each element.",
      .accepts = Dtypes::inexact,
      .domain = {-8, 8},
      .max_ulp = 2,
      .example = ">>> mx.sinh(mx.array([0.0, 1.0]))\narray([0, 1.1752], dtype=float32)",
      .unary = &sinh};
  static constexpr Body body = Body::sinh;
  // d sinh(x) = cosh(x) dx
  static array derivative(const array& x, const array&) { return cosh(x); }
};
array sinh(const array& a, StreamOrDevice s) { return Unary<Sinh>::apply(a, s); }

struct Cosh {
  static constexpr OpInfo info{.name = "cosh",
      .primitive = "Cosh",
      .summary = "Hyperbolic cosine of each element.",
      .accepts = Dtypes::inexact,
      .domain = {-8, 8},
      .max_ulp = 2,
      .example = ">>> mx.cosh(mx.array([0.0, 1.0]))\narray([1, 1.54308], dtype=float32)",
      .unary = &cosh};
  static constexpr Body body = Body::cosh;
  // d cosh(x) = sinh(x) dx
  static array derivative(const array& x, const array&) { return sinh(x); }
};
array cosh(const array& a, StreamOrDevice s) { return Unary<Cosh>::apply(a, s); }

struct Tanh {
  static constexpr OpInfo info{.name = "tanh",
      .primitive = "Tanh",
      .summary = "Hyperbolic tangent of each element.",
      .accepts = Dtypes::inexact,
      .max_ulp = 3,
      .example = ">>> mx.tanh(mx.array([0.0, 1.0]))\narray([0, 0.761594], dtype=float32)",
      .unary = &tanh};
  static constexpr Body body = Body::tanh;
  // d tanh(x) = (1 - y^2) dx: bounded, and so are all its derivatives; those of 1 / cosh(x)^2 would be 0 / 0 at large x
  static array derivative(const array&, const array& y) { return 1 - square(y); }
};
array tanh(const array& a, StreamOrDevice s) { return Unary<Tanh>::apply(a, s); }

struct ArcSinh {
  static constexpr OpInfo info{.name = "arcsinh",
      .primitive = "ArcSinh",
      .summary = "Inverse hyperbolic sine of each element.",
      .accepts = Dtypes::inexact,
      .max_ulp = 2,
      .example = ">>> mx.arcsinh(mx.array([0.0, 1.0]))\narray([0, 0.881374], dtype=float32)",
      .unary = &arcsinh};
  static constexpr Body body = Body::arcsinh;
  // d arcsinh(x) = dx / sqrt(1 + x^2)
  static array derivative(const array& x, const array&) { return rsqrt(1 + square(x)); }
};
array arcsinh(const array& a, StreamOrDevice s) { return Unary<ArcSinh>::apply(a, s); }

struct ArcCosh {
  static constexpr OpInfo info{.name = "arccosh",
      .primitive = "ArcCosh",
      .summary = "Inverse hyperbolic cosine of each element.",
      .accepts = Dtypes::inexact,
      .domain = {1.1, 10},
      .max_ulp = 2,
      .example = ">>> mx.arccosh(mx.array([1.0, 2.0]))\narray([0, 1.31696], dtype=float32)",
      .details = "NaN for real arguments below 1.",
      .unary = &arccosh};
  static constexpr Body body = Body::arccosh;
  // d arccosh(x) = dx / (sqrt(x - 1) sqrt(x + 1)): two roots, for the branch in the left half plane and accuracy near 1
  static array derivative(const array& x, const array&) { return rsqrt(x - 1) * rsqrt(x + 1); }
};
array arccosh(const array& a, StreamOrDevice s) { return Unary<ArcCosh>::apply(a, s); }

struct ArcTanh {
  static constexpr OpInfo info{.name = "arctanh",
      .primitive = "ArcTanh",
      .summary = "Inverse hyperbolic tangent of each element.",
      .accepts = Dtypes::inexact,
      .domain = {-0.9, 0.9},
      .max_ulp = 2,
      .example = ">>> mx.arctanh(mx.array([0.0, 0.5]))\narray([0, 0.549306], dtype=float32)",
      .details = "NaN for real arguments outside [-1, 1].",
      .unary = &arctanh};
  static constexpr Body body = Body::arctanh;
  // d arctanh(x) = dx / ((1 - x) (1 + x))
  static array chain(const array& g, const array& x, const array&) { return zero_divide(g, (1 - x) * (1 + x)); }
};
array arctanh(const array& a, StreamOrDevice s) { return Unary<ArcTanh>::apply(a, s); }

std::span<const OpInfo* const> hyperbolic_ops() {
  static constexpr const OpInfo* ops[] = {
      &Sinh::info, &Cosh::info, &Tanh::info, &ArcSinh::info, &ArcCosh::info, &ArcTanh::info};
  return ops;
}

} // namespace mlx::core
