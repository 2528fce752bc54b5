// Choosing between values: where, and nan_to_num.
#include <limits>

#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

constexpr OpInfo where_info{.name = "where",
    .primitive = "Select",
    .summary = "x where the condition holds, y elsewhere.",
    .example =
        ">>> mx.where(mx.array([True, False]), mx.array([1, 2]), mx.array([10, 20]))\n"
        "array([1, 20], dtype=int32)",
    .details =
        "The arguments broadcast. A condition that is not bool holds where it is not 0. The gradient reaches x and "
        "y only where each is chosen. The condition alone gives the indices where it holds, as ``nonzero``.",
    .ternary = &where};

class Select final : public Elementwise {
 public:
  const char* name() const override { return where_info.primitive; }
  Body body() const override { return Body::select; }

  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[1] && !tangents[2]) {
      return {std::nullopt};
    }
    array zero(0, outputs[0].dtype());
    array t = where(primals[0], tangents[1].value_or(zero), tangents[2].value_or(zero));
    return {broadcast_to(t, outputs[0].shape())};
  }

  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(3);
    if (!cotangents[0]) {
      return out;
    }
    const array& ct = *cotangents[0];
    array zero(0, ct.dtype());
    if (wanted[1]) {
      out[1] = sum_to(where(primals[0], ct, zero), primals[1].shape());
    }
    if (wanted[2]) {
      out[2] = sum_to(where(primals[0], zero, ct), primals[2].shape());
    }
    return out;
  }
};

array where(const array& condition, const array& x, const array& y, StreamOrDevice s) {
  StreamScope on(s);
  static const PrimitiveRef& select = *new PrimitiveRef(make_primitive<Select>());
  Dtype dtype = promote_types(x.dtype(), y.dtype());
  Shape shape = broadcast_shapes("where", broadcast_shapes("where", condition.shape(), x.shape()), y.shape());
  return array::make(
      select, Spec{std::move(shape), dtype}, {astype(condition, bool_), astype(x, dtype), astype(y, dtype)});
}

// --- nan_to_num ---

static double largest_finite(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float16: return 65504;
    case Dtype::Val::bfloat16: return 0x1.fep127;
    case Dtype::Val::float32: return std::numeric_limits<float>::max();
    default: return std::numeric_limits<double>::max();
  }
}

constexpr OpInfo nan_to_num_info{.name = "nan_to_num",
    .summary = "a with NaN and the infinities replaced by finite numbers.",
    .example = ">>> mx.nan_to_num(mx.array([1.0, mx.nan, -mx.inf]), neginf=-5)\narray([1, 0, -5], dtype=float32)",
    .details =
        "posinf and neginf default to the dtype's largest and smallest finite number. Complex numbers are replaced "
        "part by part; integers and bool are returned as they are. The gradient is 0 where an element is "
        "replaced."};
array nan_to_num(
    const array& a, double nan, std::optional<double> posinf, std::optional<double> neginf, StreamOrDevice s) {
  if (a.dtype().is_complex()) {
    return make_complex(
        nan_to_num(real(a, s), nan, posinf, neginf, s), nan_to_num(imag(a, s), nan, posinf, neginf, s), s);
  }
  if (!a.dtype().is_inexact()) {
    return positive(a, s);
  }
  auto number = [&](double value) { return array(value, a.dtype()); };
  double largest = largest_finite(a.dtype());
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // Comparisons, and no isnan: in a group of nodes they and what they choose stay in registers.
  array y = where(not_equal(a, a, s), number(nan), a, s);
  y = where(equal(a, number(infinity), s), number(posinf ? *posinf : largest), y, s);
  return where(equal(a, number(-infinity), s), number(neginf ? *neginf : -largest), y, s);
}

std::span<const OpInfo* const> select_ops() {
  static constexpr const OpInfo* ops[] = {&where_info, &nan_to_num_info};
  return ops;
}

} // namespace mlx::core
