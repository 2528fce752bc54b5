// Broadcasting, and its transpose: summing to a shape.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

class Broadcast final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "broadcast_to",
      .primitive = "Broadcast",
      .summary = "The array repeated along new leading axes and along axes of length 1, without a copy.",
      .example = ">>> mx.broadcast_to(mx.array([1, 2]), (2, 2))\narray([[1, 2],\n       [1, 2]], dtype=int32)",
      .details = "Each axis of a, counted from the last, has length 1 or the length in shape."};

  explicit Broadcast(Shape shape) : shape_(std::move(shape)) {}
  bool keeps_order() const override { return true; }
  const char* name() const override { return info.primitive; }
  Role role() const override { return Role::repetition; }
  void visit(ParamVisitor& v) const override { v("shape", shape_); }
  Specs infer(Operands operands) const override {
    const Shape& from = operands[0].shape();
    bool fits = from.size() <= shape_.size();
    for (size_t i = 0; fits && i < from.size(); ++i) {
      Dim to = shape_[shape_.size() - from.size() + i];
      fits = !surely_differ(from[i], to) || surely_equal(from[i], 1);
    }
    if (!fits) {
      fail("broadcast_to", "Cannot broadcast an array of shape ", from, " to shape ", shape_,
          ": each axis, counted from the last, must have length 1 or the new length.");
    }
    return {Spec{shape_, operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    const array& x = operands[0];
    const Shape& to = outputs[0].shape();
    Strides strides(to.size(), 0);
    size_t shift = to.size() - x.shape().size();
    for (size_t i = 0; i < x.shape().size(); ++i) {
      strides[shift + i] = x.shape()[i] == to[shift + i] ? x.strides()[i] : 0;
    }
    outputs[0].share(x, std::move(strides));
  }
  array transpose(const array& cotangent, const array& x) const override { return sum_to(cotangent, x.shape()); }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    array x = batch_aligned(operands[0], axes[0], static_cast<int>(shape_.size()));
    return {{broadcast_to(x, prepended(x.shape()[0], shape_))}, {0}};
  }

 private:
  Shape shape_;
};

PrimitiveRef repeating(Shape shape) { return make_primitive<Broadcast>(std::move(shape)); }

array broadcast_to(const array& a, const Shape& shape, StreamOrDevice s) {
  StreamScope on(s);
  if (surely_equal(a.shape(), shape)) {
    return a;
  }
  check_shape("broadcast_to", shape);
  return applied(make_primitive<Broadcast>(shape), {a});
}

static constexpr OpInfo broadcast_arrays_info{.name = "broadcast_arrays",
    .primitive = "Broadcast",
    .summary = "The arrays broadcast to their common shape.",
    .example =
        ">>> a, b = mx.broadcast_arrays(mx.array([[1], [2]]), mx.array([3, 4]))\n>>> a\narray([[1, 1],\n       [2, "
        "2]], dtype=int32)"};
std::vector<array> broadcast_arrays(const std::vector<array>& arrays, StreamOrDevice s) {
  Shape shape;
  for (const array& a : arrays) {
    shape = broadcast_shapes("broadcast_arrays", shape, a.shape());
  }
  std::vector<array> out;
  for (const array& a : arrays) {
    out.push_back(broadcast_to(a, shape, s));
  }
  return out;
}

array sum_to(const array& a, const Shape& shape, StreamOrDevice s) {
  StreamScope on(s);
  if (surely_equal(a.shape(), shape)) {
    return a;
  }
  Axes leading, summed;
  int extra = a.ndim() - static_cast<int>(shape.size());
  for (int i = 0; i < a.ndim(); ++i) {
    if (i < extra) {
      leading.push_back(i);
      summed.push_back(i);
      continue;
    }
    Dim from = a.shape()[static_cast<size_t>(i)], to = shape[static_cast<size_t>(i - extra)];
    if (surely_equal(to, 1) ? !surely_equal(from, 1) : !(to == from)) {
      summed.push_back(i);
    }
  }
  if (summed.empty()) {
    return a;
  }
  bool only_leading = summed.size() == leading.size();
  array total = sum(a, summed, !only_leading, s);
  if (!only_leading && !leading.empty()) {
    total = squeeze(total, leading, s);
  }
  return astype(total, a.dtype(), s); // sums widen small integers
}

std::span<const OpInfo* const> broadcast_ops() {
  static constexpr const OpInfo* ops[] = {&Broadcast::info, &broadcast_arrays_info};
  return ops;
}

} // namespace mlx::core
