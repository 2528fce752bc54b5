// What floating-point numbers are made of: their sign bits, and their neighbours.
#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

struct CopySign {
  static constexpr OpInfo info{.name = "copysign",
      .primitive = "CopySign",
      .summary = "The magnitude of a with the sign of b, element by element.",
      .accepts = Dtypes::floating,
      .domain = {0.3, 3},
      .example = ">>> mx.copysign(mx.array([1.0, 2.0]), mx.array([-0.0, 3.0]))\narray([-1, 2], dtype=float32)",
      .details = "The derivative with respect to b is 0.",
      .binary = &copysign};
  static constexpr Body body = Body::copysign;
  // d copysign(a, b) = da where the signs agree, -da where they differ
  static array chain(int k, const array& g, const array& a, const array& b, const array& y) {
    return k == 0 ? where(equal(signbit(a), signbit(b)), g, negative(g)) : zeros_like(y);
  }
};
array copysign(const array& a, const array& b, StreamOrDevice s) { return Binary<CopySign>::apply(a, b, s); }

struct NextAfter {
  static constexpr OpInfo info{.name = "nextafter",
      .primitive = "NextAfter",
      .summary = "The floating-point number next to a on the way to b, element by element.",
      .accepts = Dtypes::floating,
      .example = ">>> mx.nextafter(mx.array(1.0), mx.array(2.0)) - 1\narray(1.19209e-07, dtype=float32)",
      .details = "The derivative with respect to a is 1, that with respect to b is 0."};
  static constexpr Body body = Body::nextafter;
  static array chain(int k, const array& g, const array&, const array&, const array& y) {
    return k == 0 ? g : zeros_like(y);
  }
};
array nextafter(const array& a, const array& b, StreamOrDevice s) { return Binary<NextAfter>::apply(a, b, s); }

struct SignBit {
  static constexpr OpInfo info{.name = "signbit",
      .primitive = "SignBit",
      .summary = "Whether each element has its sign bit set: negative numbers, -0, and NaN with it.",
      .accepts = Dtypes::real,
      .differentiable = Differentiable::no,
      .no_derivative = {"the output is bool"},
      .example = ">>> mx.signbit(mx.array([-0.0, 1.0]))\narray([True, False], dtype=bool)",
      .unary = &signbit};
  static constexpr Body body = Body::signbit;
};
array signbit(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return a.dtype().is_bool() ? zeros(a.shape(), bool_) : Unary<SignBit>::apply(a, s);
}

std::span<const Remake> float_part_remakes() {
  static constexpr Remake rows[] = {
      {"NextAfter", [](const Parts& p) { return std::vector<array>{nextafter(p[0], p[1])}; }}};
  return rows;
}

std::span<const OpInfo* const> float_part_ops() {
  static constexpr const OpInfo* ops[] = {&CopySign::info, &NextAfter::info, &SignBit::info};
  return ops;
}

} // namespace mlx::core
