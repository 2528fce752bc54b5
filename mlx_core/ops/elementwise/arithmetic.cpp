// Sums, products, quotients and their kin; sign and absolute value.
#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

struct Add {
  static constexpr OpInfo info{.name = "add",
      .primitive = "Add",
      .summary = "Sum of a and b, element by element.",
      .max_ulp = 0.5,
      .example = ">>> mx.add(mx.array([1, 2]), mx.array([10, 20]))\narray([11, 22], dtype=int32)",
      .details = "On bool: logical or.",
      .binary = &add};
  static constexpr Body body = Body::add;
  // d(a + b) = da + db
  static array chain(int, const array& g, const array&, const array&, const array&) { return g; }
};
array add(const array& a, const array& b, StreamOrDevice s) { return Binary<Add>::apply(a, b, s); }

struct Subtract {
  static constexpr OpInfo info{.name = "subtract",
      .primitive = "Subtract",
      .summary = "Difference of a and b, element by element.",
      .max_ulp = 0.5,
      .example = ">>> mx.subtract(mx.array([10, 20]), mx.array([1, 2]))\narray([9, 18], dtype=int32)",
      .details = "On bool: exclusive or.",
      .binary = &subtract};
  static constexpr Body body = Body::subtract;
  // d(a - b) = da - db
  static array chain(int k, const array& g, const array&, const array&, const array&) { return k == 0 ? g : -g; }
};
array subtract(const array& a, const array& b, StreamOrDevice s) { return Binary<Subtract>::apply(a, b, s); }

struct Multiply {
  static constexpr OpInfo info{.name = "multiply",
      .primitive = "Multiply",
      .summary = "Product of a and b, element by element.",
      .max_ulp = 0.5,
      .example = ">>> mx.multiply(mx.array([1, 2]), mx.array([10, 20]))\narray([10, 40], dtype=int32)",
      .details = "On bool: logical and.",
      .binary = &multiply};
  static constexpr Body body = Body::multiply;
  // d(a b) = b da + a db
  static array chain(int k, const array& g, const array& a, const array& b, const array&) {
    return zero_times(g, k == 0 ? b : a);
  }
};
array multiply(const array& a, const array& b, StreamOrDevice s) { return Binary<Multiply>::apply(a, b, s); }

struct ZeroTimes {
  static constexpr OpInfo info{.name = "zero_times",
      .primitive = "ZeroTimes",
      .summary = "0 where a or b is 0, whatever the other is there; elsewhere the product of a and b.",
      .max_ulp = 0.5,
      .example = ">>> mx.zero_times(mx.array([0.0, 2.0]), mx.array([mx.inf, 3.0]))\narray([0, 6], dtype=float32)",
      .details =
          "How tangents and cotangents are multiplied with derivatives: a branch that is not taken has the "
          "cotangent 0, and keeps it where the derivative is infinite or NaN. As it is 0 where either is, forward and "
          "reverse mode agree.",
      .binary = &zero_times};
  static constexpr Body body = Body::zero_times;
  // The product's rule, again with this product: at a point that a mask took out, a is 0, and the tangent of b, there
  // the slope of something infinite, must not count.
  static array chain(int k, const array& g, const array& a, const array& b, const array&) {
    return zero_times(g, k == 0 ? b : a);
  }
};
array zero_times(const array& a, const array& b, StreamOrDevice s) { return Binary<ZeroTimes>::apply(a, b, s); }

struct Divide {
  static constexpr OpInfo info{.name = "divide",
      .primitive = "Divide",
      .summary = "Quotient of a and b, element by element.",
      .accepts = Dtypes::inexact,
      .second_domain = {0.3, 3},
      .max_ulp = 0.5,
      .example = ">>> mx.divide(mx.array([1, 2]), mx.array([4, 4]))\narray([0.25, 0.5], dtype=float32)",
      .details = "Integers and bool are divided in float32. See floor_divide for the integer quotient.",
      .binary = &divide};
  static constexpr Body body = Body::divide;
  // d(a / b) = (da - y db) / b
  static array common(const array& g, const array&, const array& b, const array&) { return zero_divide(g, b); }
  static array chain(int k, const array& g, const array&, const array&, const array& y) {
    return k == 0 ? g : -zero_times(g, y);
  }
};
array divide(const array& a, const array& b, StreamOrDevice s) { return Binary<Divide>::apply(a, b, s); }

// In derivatives only.
struct ZeroDivide {
  static constexpr OpInfo info{.name = "zero_divide",
      .primitive = "ZeroDivide",
      .summary = "0 where a is 0 or b infinite, whatever the other is there; elsewhere the quotient of a and b."};
  static constexpr Body body = Body::zero_divide;
  static array common(const array& g, const array&, const array& b, const array&) { return zero_divide(g, b); }
  static array chain(int k, const array& g, const array&, const array&, const array& y) {
    return k == 0 ? g : -zero_times(g, y);
  }
};
array zero_divide(const array& g, const array& divisor) { return Binary<ZeroDivide>::apply(g, divisor, {}); }

// Inside logsumexp and its kin, whose largest elements may be infinite.
struct Gap {
  static constexpr OpInfo info{.name = "gap",
      .primitive = "Gap",
      .summary = "The difference of a and b; 0 where they are equal, infinities too."};
  static constexpr Body body = Body::gap;
  // The difference's rule.
  static array chain(int k, const array& g, const array&, const array&, const array&) { return k == 0 ? g : -g; }
};
array gap(const array& a, const array& b) { return Binary<Gap>::apply(a, b, {}); }

struct FloorDivide {
  static constexpr OpInfo info{.name = "floor_divide",
      .primitive = "FloorDivide",
      .summary = "Quotient of a and b rounded down, element by element.",
      .accepts = Dtypes::real,
      .differentiable = Differentiable::zero,
      .no_derivative = {"the rounded quotient is piecewise constant"},
      .second_domain = {0.3, 3},
      .max_ulp = 0.5,
      .example = ">>> mx.floor_divide(mx.array([7, -7]), mx.array([2, 2]))\narray([3, -4], dtype=int32)",
      .details =
          "Integers stay integers. The whole number below the exact quotient, rounded once where the dtype does not "
          "hold it: as Python's //, and with the signs that it gives to zeros. Where an operand is 0 or infinite it is "
          "what a / b is: by 0 infinite, of an infinity infinite, by an infinity 0, and NaN for 0 / 0 and inf / inf.",
      .binary = &floor_divide};
  static constexpr Body body = Body::floor_divide;
};
array floor_divide(const array& a, const array& b, StreamOrDevice s) { return Binary<FloorDivide>::apply(a, b, s); }

struct Remainder {
  static constexpr OpInfo info{.name = "remainder",
      .primitive = "Remainder",
      .summary = "a - floor(a / b) b, element by element: the remainder with the sign of b.",
      .accepts = Dtypes::real,
      .domain = {2.1, 2.9}, // floor(a / b) is 1 throughout
      .second_domain = {1.5, 2},
      .max_ulp = 0.5,
      .example = ">>> mx.remainder(mx.array([7, -7]), mx.array([4, 4]))\narray([3, 1], dtype=int32)",
      .details =
          "Of the exact quotient, rounded once, with the sign of b on zeros as well: as Python's %. NaN by 0 and of an "
          "infinity.",
      .binary = &remainder};
  static constexpr Body body = Body::remainder;
  // d remainder(a, b) = da - floor(a / b) db. By an infinity of the other sign it is a + b, which floor_divide does not
  // say.
  static array chain(int k, const array& g, const array& a, const array& b, const array& y) {
    if (k == 0) {
      return g;
    }
    array quotient = floor_divide(a, b);
    if (b.dtype().is_floating()) {
      auto number = [&](int value) { return array(value, b.dtype()); };
      quotient = where(isinf(b), where(equal(y, b), number(-1), number(0)), quotient);
    }
    return zero_times(-g, quotient);
  }
};
array remainder(const array& a, const array& b, StreamOrDevice s) { return Binary<Remainder>::apply(a, b, s); }

constexpr OpInfo divmod_info{.name = "divmod",
    .summary = "The pair floor_divide(a, b), remainder(a, b).",
    .accepts = Dtypes::real,
    .domain = {2.1, 2.9},
    .second_domain = {1.5, 2},
    .example =
        ">>> mx.divmod(mx.array([7, -7]), mx.array([4, 4]))\n"
        "[array([1, -2], dtype=int32), array([3, 1], dtype=int32)]",
    .details = "The derivative of the quotient is zero, that of the remainder is remainder's."};
std::vector<array> divmod(const array& a, const array& b, StreamOrDevice s) {
  auto [x, y] = to_common(divmod_info, a, b);
  return {floor_divide(x, y, s), remainder(x, y, s)};
}

struct Negative {
  static constexpr OpInfo info{.name = "negative",
      .primitive = "Negative",
      .summary = "-a of each element.",
      .accepts = Dtypes::numeric,
      .example = ">>> mx.negative(mx.array([1.0, -2.0]))\narray([-1, 2], dtype=float32)",
      .details = "Unsigned integers wrap around.",
      .unary = &negative};
  static constexpr Body body = Body::negative;
  // d(-x) = -dx
  static array chain(const array& g, const array&, const array&) { return -g; }
};
array negative(const array& a, StreamOrDevice s) { return Unary<Negative>::apply(a, s); }

constexpr OpInfo positive_info{.name = "positive",
    .summary = "a itself.",
    .example = ">>> mx.positive(mx.array([1.0, -2.0]))\narray([1, -2], dtype=float32)",
    .unary = &positive};
array positive(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return a;
}

struct Abs {
  static constexpr OpInfo info{.name = "abs",
      .primitive = "Abs",
      .summary = "Absolute value of each element.",
      .domain = {-3, -0.1},
      .max_ulp = 0.5,
      .example = ">>> mx.abs(mx.array([1.0, -2.0]))\narray([1, 2], dtype=float32)",
      .details = "Real for complex arguments. The derivative at 0 is 0.",
      .unary = &abs};
  static constexpr Body body = Body::abs;
  // d|x| = Re(conj(sign(x)) dx); on real numbers sign(x) dx
  static array jvp(const array& t, const array& x, const array&) { return real(zero_times(t, conj_of(sign(x)))); }
  static array vjp(const array& ct, const array& x, const array&) { return zero_times(astype(ct, x.dtype()), sign(x)); }
};
array abs(const array& a, StreamOrDevice s) {
  if (a.dtype().is_bool() || a.dtype().is_unsigned()) {
    return positive(a, s);
  }
  return Unary<Abs>::apply(a, s);
}

struct Sign {
  static constexpr OpInfo info{.name = "sign",
      .primitive = "Sign",
      .summary = "Sign of each element: -1, 0 or 1; for complex arguments a / abs(a), and 0 at 0.",
      .domain = {0.1, 3},
      .max_ulp = 0.5,
      .example = ">>> mx.sign(mx.array([-3.0, 0.0, 2.0]))\narray([-1, 0, 1], dtype=float32)",
      .details = "The derivative is zero on real arguments.",
      .unary = &sign};
  static constexpr Body body = Body::sign;
  // With y = x / |x|: dy = i y Im(conj(y) dx) / |x|, the part of dx across x; real numbers have none. As a real-linear
  // map of the plane it is symmetric, so that vjp is jvp.
  static Tangent jvp(const array& t, const array& x, const array& y) {
    if (!x.dtype().is_complex()) {
      return std::nullopt;
    }
    array across = zero_divide(imag(zero_times(t, conjugate(y))), abs(x));
    return zero_times(make_complex(array(0, across.dtype()), across), y);
  }
  static Tangent vjp(const array& ct, const array& x, const array& y) { return jvp(ct, x, y); }
};
array sign(const array& a, StreamOrDevice s) { return a.dtype().is_bool() ? positive(a, s) : Unary<Sign>::apply(a, s); }

std::span<const OpInfo* const> arithmetic_ops() {
  static constexpr const OpInfo* ops[] = {&Add::info, &Subtract::info, &Multiply::info, &ZeroTimes::info, &Divide::info,
      &FloorDivide::info, &Remainder::info, &divmod_info, &Negative::info, &positive_info, &Abs::info, &Sign::info};
  return ops;
}

std::span<const Remake> arithmetic_remakes() {
  using A = std::vector<array>;
  static constexpr Remake rows[] = {
      {"Gap", [](const Parts& p) { return A{gap(p[0], p[1])}; }},
      {"ZeroDivide", [](const Parts& p) { return A{zero_divide(p[0], p[1])}; }},
  };
  return rows;
}

} // namespace mlx::core
