// The larger and the smaller of two arrays, and clip.
#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

// In derivatives only: of g, a and b, g where a > b, half of g where they are equal, else 0. As a step of its own it is
// one pass in place of five.
class Share final : public Elementwise {
 public:
  const char* name() const override { return "Share"; }
  Body body() const override { return Body::share; }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    return {broadcast_to(of(*tangents[0], primals[1], primals[2]), outputs[0].shape())};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(3);
    if (cotangents[0] && wanted[0]) {
      out[0] = sum_to(of(*cotangents[0], primals[1], primals[2]), primals[0].shape());
    }
    return out;
  }
  static array of(const array& g, const array& a, const array& b) {
    static const PrimitiveRef& share = *new PrimitiveRef(make_primitive<Share>());
    Shape shape = broadcast_shapes("maximum", broadcast_shapes("maximum", g.shape(), a.shape()), b.shape());
    return array::make(share, Spec{std::move(shape), g.dtype()}, {g, a, b});
  }
};

// The tangent of the operand that is chosen where larger > smaller. Complex numbers are chosen by their parts.
static array chosen(const array& g, const array& larger, const array& smaller) {
  if (!g.dtype().is_complex()) {
    return Share::of(g, larger, smaller);
  }
  return where(equal(larger, smaller), g * 0.5, where(greater(larger, smaller), g, array(0, g.dtype())));
}

struct Maximum {
  static constexpr OpInfo info{.name = "maximum",
      .primitive = "Maximum",
      .summary = "The larger of a and b, element by element; NaN where either is NaN.",
      .example = ">>> mx.maximum(mx.array([1.0, 5.0]), mx.array([3.0, 2.0]))\narray([3, 5], dtype=float32)",
      .details =
          "Complex numbers are ordered by real part, then by imaginary part. Equal elements share the gradient "
          "equally.",
      .binary = &maximum};
  static constexpr Body body = Body::maximum;
  static array chain(int k, const array& g, const array& a, const array& b, const array&) {
    return k == 0 ? chosen(g, a, b) : chosen(g, b, a);
  }
};
array maximum(const array& a, const array& b, StreamOrDevice s) { return Binary<Maximum>::apply(a, b, s); }

struct Minimum {
  static constexpr OpInfo info{.name = "minimum",
      .primitive = "Minimum",
      .summary = "The smaller of a and b, element by element; NaN where either is NaN.",
      .example = ">>> mx.minimum(mx.array([1.0, 5.0]), mx.array([3.0, 2.0]))\narray([1, 2], dtype=float32)",
      .details =
          "Complex numbers are ordered by real part, then by imaginary part. Equal elements share the gradient "
          "equally.",
      .binary = &minimum};
  static constexpr Body body = Body::minimum;
  static array chain(int k, const array& g, const array& a, const array& b, const array&) {
    return k == 0 ? chosen(g, b, a) : chosen(g, a, b);
  }
};
array minimum(const array& a, const array& b, StreamOrDevice s) { return Binary<Minimum>::apply(a, b, s); }

// The other where one is NaN.
static array ignoring_nan(
    const OpInfo& info, array (*of)(const array&, const array&, StreamOrDevice), const array& a, const array& b) {
  auto [x, y] = to_common(info, a, b);
  return x.dtype().is_inexact() ? of(where(isnan(x), y, x), where(isnan(y), x, y), {}) : of(x, y, {});
}

constexpr OpInfo fmax_info{.name = "fmax",
    .summary = "The larger of a and b, element by element; where one is NaN, the other.",
    .accepts = Dtypes::real,
    .example = ">>> mx.fmax(mx.array([1.0, mx.nan]), mx.array([3.0, 2.0]))\narray([3, 2], dtype=float32)",
    .details = "Equal elements share the gradient equally.",
    .binary = &fmax};
array fmax(const array& a, const array& b, StreamOrDevice s) {
  StreamScope on(s);
  return ignoring_nan(fmax_info, maximum, a, b);
}

constexpr OpInfo fmin_info{.name = "fmin",
    .summary = "The smaller of a and b, element by element; where one is NaN, the other.",
    .accepts = Dtypes::real,
    .example = ">>> mx.fmin(mx.array([1.0, mx.nan]), mx.array([3.0, 2.0]))\narray([1, 2], dtype=float32)",
    .details = "Equal elements share the gradient equally.",
    .binary = &fmin};
array fmin(const array& a, const array& b, StreamOrDevice s) {
  StreamScope on(s);
  return ignoring_nan(fmin_info, minimum, a, b);
}

constexpr OpInfo clip_info{.name = "clip",
    .summary = "Each element limited to the range from a_min to a_max.",
    .example = ">>> mx.clip(mx.array([1.0, 5.0, 9.0]), 2, 6)\narray([2, 5, 6], dtype=float32)",
    .details =
        "minimum(maximum(a, a_min), a_max), so that a_max wins where the limits cross. A limit may be None, or an "
        "array that broadcasts with a; NaN where one of the three is NaN. An element equal to a limit shares the "
        "gradient with it equally."};
array clip(const array& a, const std::optional<array>& a_min, const std::optional<array>& a_max, StreamOrDevice s) {
  StreamScope on(s);
  array y = a;
  if (a_min) {
    y = maximum(y, *a_min);
  }
  if (a_max) {
    y = minimum(y, *a_max);
  }
  return y;
}

std::span<const Remake> extrema_remakes() {
  static constexpr Remake rows[] = {
      {"Share", [](const Parts& p) { return std::vector<array>{Share::of(p[0], p[1], p[2])}; }},
  };
  return rows;
}

std::span<const OpInfo* const> extrema_ops() {
  static constexpr const OpInfo* ops[] = {&Maximum::info, &Minimum::info, &fmax_info, &fmin_info, &clip_info};
  return ops;
}

} // namespace mlx::core
