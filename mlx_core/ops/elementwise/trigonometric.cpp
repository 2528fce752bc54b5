// Trigonometric functions, their inverses, and the conversion between degrees and radians.
#include <numbers>

#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

struct Sin {
  static constexpr OpInfo info{.name = "sin",
      .primitive = "Sin",
      .summary = "Sine of each element, in radians.",
      .accepts = Dtypes::inexact,
      .max_ulp = 2,
      .example = ">>> mx.sin(mx.array([0.0, 1.0]))\narray([0, 0.841471], dtype=float32)",
      .unary = &sin};
  static constexpr Body body = Body::sin;
  // d sin(x) = cos(x) dx
  static array derivative(const array& x, const array&) { return cos(x); }
};
array sin(const array& a, StreamOrDevice s) { return Unary<Sin>::apply(a, s); }

struct Cos {
  static constexpr OpInfo info{.name = "cos",
      .primitive = "Cos",
      .summary = "Cosine of each element, in radians.",
      .accepts = Dtypes::inexact,
      .max_ulp = 2,
      .example = ">>> mx.cos(mx.array([0.0, 1.0]))\narray([1, 0.540302], dtype=float32)",
      .unary = &cos};
  static constexpr Body body = Body::cos;
  // d cos(x) = -sin(x) dx
  static array derivative(const array& x, const array&) { return -sin(x); }
};
array cos(const array& a, StreamOrDevice s) { return Unary<Cos>::apply(a, s); }

struct Tan {
  static constexpr OpInfo info{.name = "tan",
      .primitive = "Tan",
      .summary = "Tangent of each element, in radians.",
      .accepts = Dtypes::inexact,
      .domain = {-1.3, 1.3},
      .max_ulp = 2,
      .example = ">>> mx.tan(mx.array([0.0, 1.0]))\narray([0, 1.55741], dtype=float32)",
      .unary = &tan};
  static constexpr Body body = Body::tan;
  // d tan(x) = (1 + y^2) dx
  static array derivative(const array&, const array& y) { return 1 + square(y); }
};
array tan(const array& a, StreamOrDevice s) { return Unary<Tan>::apply(a, s); }

struct ArcSin {
  static constexpr OpInfo info{.name = "arcsin",
      .primitive = "ArcSin",
      .summary = "Inverse sine of each element, in radians.",
      .accepts = Dtypes::inexact,
      .domain = {-0.9, 0.9},
      .max_ulp = 1.5,
      .example = ">>> mx.arcsin(mx.array([0.0, 1.0]))\narray([0, 1.5708], dtype=float32)",
      .details = "NaN for real arguments outside [-1, 1].",
      .unary = &arcsin};
  static constexpr Body body = Body::arcsin;
  // d arcsin(x) = dx / sqrt((1 - x) (1 + x)), the product for the accuracy near 1
  static array derivative(const array& x, const array&) { return rsqrt((1 - x) * (1 + x)); }
};
array arcsin(const array& a, StreamOrDevice s) { return Unary<ArcSin>::apply(a, s); }

struct ArcCos {
  static constexpr OpInfo info{.name = "arccos",
      .primitive = "ArcCos",
      .summary = "Inverse cosine of each element, in radians.",
      .accepts = Dtypes::inexact,
      .domain = {-0.9, 0.9},
      .max_ulp = 1.5,
      .example = ">>> mx.arccos(mx.array([0.0, 1.0]))\narray([1.5708, 0], dtype=float32)",
      .details = "NaN for real arguments outside [-1, 1].",
      .unary = &arccos};
  static constexpr Body body = Body::arccos;
  // d arccos(x) = -d arcsin(x)
  static array derivative(const array& x, const array& y) { return -ArcSin::derivative(x, y); }
};
array arccos(const array& a, StreamOrDevice s) { return Unary<ArcCos>::apply(a, s); }

struct ArcTan {
  static constexpr OpInfo info{.name = "arctan",
      .primitive = "ArcTan",
      .summary = "Inverse tangent of each element, in radians.",
      .accepts = Dtypes::inexact,
      // clear of the complex branch points i and -i
      .domain = {-0.9, 0.9},
      .max_ulp = 2,
      .example = ">>> mx.arctan(mx.array([0.0, 1.0]))\narray([0, 0.785398], dtype=float32)",
      .unary = &arctan};
  static constexpr Body body = Body::arctan;
  // d arctan(x) = dx / (1 + x^2)
  static array chain(const array& g, const array& x, const array&) { return zero_divide(g, 1 + square(x)); }
};
array arctan(const array& a, StreamOrDevice s) { return Unary<ArcTan>::apply(a, s); }

struct ArcTan2 {
  static constexpr OpInfo info{.name = "arctan2",
      .primitive = "ArcTan2",
      .summary = "Angle of the point (b, a) against the first axis, in radians, element by element.",
      .accepts = Dtypes::floating,
      .second_domain = {0.3, 3},
      .max_ulp = 1,
      .example =
          ">>> mx.arctan2(mx.array([1.0, -1.0]), mx.array([1.0, -1.0]))\n"
          "array([0.785398, -2.35619], dtype=float32)",
      .details = "The gradient at the origin, where there is none, is 0.",
      .binary = &arctan2};
  static constexpr Body body = Body::arctan2;
  // d arctan2(a, b) = (b da - a db) / (a^2 + b^2)
  static array chain(int k, const array& g, const array& a, const array& b, const array&) {
    return zero_times(k == 0 ? g : -g, zero_divide(k == 0 ? b : a, square(a) + square(b)));
  }
};
array arctan2(const array& a, const array& b, StreamOrDevice s) { return Binary<ArcTan2>::apply(a, b, s); }

constexpr OpInfo sinc_info{.name = "sinc",
    .summary = "sin(pi a) / (pi a) of each element, 1 at 0.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.sinc(mx.array([0.0, 0.5]))\narray([1, 0.63662], dtype=float32)",
    .details = "Near 0 it is its power series, so that derivatives of any order are right there, too."};
array sinc(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  array x = to_accepted(sinc_info, a);
  Dtype dtype = x.dtype();
  if (x.itemsize() == 2) {
    return astype(sinc(astype(x, float32)), dtype);
  }
  array near = less(abs(x), array(0.25, dtype));
  array angle = where(near, array(1, dtype), x) * std::numbers::pi, square = where(near, x, array(0, dtype));
  square = square * square * (std::numbers::pi * std::numbers::pi);
  // 1 - z / 3! (1 - z / (4 5) (1 - z / (6 7) (...))), z = (pi x)^2 below 0.62: the terms left out are below 1e-20
  array series(1, dtype);
  for (int k = 18; k >= 2; k -= 2) {
    series = 1 - square * (1.0 / (k * (k + 1))) * series;
  }
  // sin(pi x) by the distance to the nearest integer, which is exact: so it is 0 at integers.
  array whole = round(x), turned = sin((x - whole) * std::numbers::pi);
  array odd = not_equal(remainder(whole, array(2, dtype)), array(0, dtype));
  return where(near, series, where(odd, negative(turned), turned) / angle);
}

// --- degrees and radians ---

// a times a constant. The 16-bit types round once, not the constant as well.
static array scaled(const OpInfo& info, const array& a, double factor, const StreamOrDevice& s) {
  array x = to_accepted(info, a);
  Dtype computed = x.itemsize() == 2 ? float32 : x.dtype();
  return astype(multiply(astype(x, computed, s), array(factor, computed), s), x.dtype(), s);
}

constexpr OpInfo degrees_info{.name = "degrees",
    .summary = "Radians converted to degrees, element by element.",
    .accepts = Dtypes::inexact,
    .max_ulp = 1,
    .example = ">>> mx.degrees(mx.array([0.0, 1.0]))\narray([0, 57.2958], dtype=float32)",
    .unary = &degrees};
array degrees(const array& a, StreamOrDevice s) { return scaled(degrees_info, a, 180 / std::numbers::pi, s); }

constexpr OpInfo radians_info{.name = "radians",
    .summary = "Degrees converted to radians, element by element.",
    .accepts = Dtypes::inexact,
    .domain = {-180, 180},
    .max_ulp = 1,
    .example = ">>> mx.radians(mx.array([0.0, 180.0]))\narray([0, 3.14159], dtype=float32)",
    .unary = &radians};
array radians(const array& a, StreamOrDevice s) { return scaled(radians_info, a, std::numbers::pi / 180, s); }

std::span<const OpInfo* const> trigonometric_ops() {
  static constexpr const OpInfo* ops[] = {&Sin::info, &Cos::info, &Tan::info, &ArcSin::info, &ArcCos::info,
      &ArcTan::info, &ArcTan2::info, &sinc_info, &degrees_info, &radians_info};
  return ops;
}

} // namespace mlx::core
