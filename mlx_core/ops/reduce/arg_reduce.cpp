// argmin and argmax: where the extremum along an axis is.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

static constexpr OpInfo argmin_info{.name = "argmin",
    .primitive = "ArgReduce",
    .summary = "The index of the smallest element along an axis, or in the flattened array.",
    .differentiable = Differentiable::no,
    .no_derivative = {"the output is an index"},
    .example = ">>> mx.argmin(mx.array([3, 1, 2]))\narray(1, dtype=int32)",
    .details = "The first of equal ones; a NaN counts as smallest. Raises when there are no elements."};
static constexpr OpInfo argmax_info{.name = "argmax",
    .primitive = "ArgReduce",
    .summary = "The index of the largest element along an axis, or in the flattened array.",
    .differentiable = Differentiable::no,
    .no_derivative = {"the output is an index"},
    .example = ">>> mx.argmax(mx.array([3, 1, 2]))\narray(0, dtype=int32)",
    .details = "The first of equal ones; a NaN counts as largest. Raises when there are no elements."};

class ArgReduce final : public Primitive {
 public:
  ArgReduce(bool max, int axis, bool keepdims) : max_(max), axis_(axis), keepdims_(keepdims) {}
  const char* name() const override { return "ArgReduce"; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override {
    v("max", max_);
    v("axis", axis_);
    v("keepdims", keepdims_);
  }
  Specs infer(Operands operands) const override {
    Shape shape = operands[0].shape();
    auto at = static_cast<size_t>(axis_);
    if (surely_equal(shape[at], 0)) {
      fail(max_ ? "argmax" : "argmin", "axis ", axis_, " of shape ", shape, " has no elements.");
    }
    Dtype dtype = index_dtype(max_ ? "argmax" : "argmin", shape, axis_);
    if (keepdims_) {
      shape[at] = 1;
    } else {
      shape.erase(shape.begin() + at);
    }
    return {Spec{std::move(shape), dtype}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    outputs[0].allocate();
    kernels.run(kernel::ArgReduce{max_, x.view(), axis_, outputs[0].view()});
  }
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    int batch = *axes[0], axis = axis_ + (axis_ >= batch ? 1 : 0);
    int out = !keepdims_ && axis < batch ? batch - 1 : batch;
    return {{applied(make_primitive<ArgReduce>(max_, axis, keepdims_), {operands[0]})}, {out}};
  }

  ArgReduced parameters() const { return {max_, axis_}; }

 private:
  bool max_;
  int axis_;
  bool keepdims_;
};

std::optional<ArgReduced> arg_reduced(const Primitive& primitive) {
  auto* reduce = dynamic_cast<const ArgReduce*>(&primitive);
  return reduce ? std::optional(reduce->parameters()) : std::nullopt;
}

namespace {

array arg_reduced(bool max, const array& a, int axis, bool keepdims, const StreamOrDevice& s) {
  StreamScope on(s);
  int at = normalize_axis(max ? "argmax" : "argmin", axis, a.ndim());
  return applied(make_primitive<ArgReduce>(max, at, keepdims), {a});
}
array arg_reduced(bool max, const array& a, bool keepdims, const StreamOrDevice& s) {
  array index = arg_reduced(max, flatten(a), 0, false, s);
  return keepdims ? reshape(index, Shape(a.shape().size(), 1)) : index;
}

} // namespace

array argmin(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return arg_reduced(false, a, axis, keepdims, s);
}
array argmin(const array& a, bool keepdims, StreamOrDevice s) { return arg_reduced(false, a, keepdims, s); }
array argmax(const array& a, int axis, bool keepdims, StreamOrDevice s) {
  return arg_reduced(true, a, axis, keepdims, s);
}
array argmax(const array& a, bool keepdims, StreamOrDevice s) { return arg_reduced(true, a, keepdims, s); }

std::span<const OpInfo* const> arg_reduce_ops() {
  static constexpr const OpInfo* ops[] = {&argmin_info, &argmax_info};
  return ops;
}

} // namespace mlx::core
