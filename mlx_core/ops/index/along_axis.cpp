// Reading and writing along one axis, with an index for each place: take_along_axis, put_along_axis, scatter_add_axis.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

// y[..., j, ...] = x[..., index[..., j, ...], ...]; the shapes of x and index agree but for the axis.
class GatherAxis final : public Primitive, public OnViews {
 public:
  static constexpr OpInfo info{.name = "take_along_axis",
      .primitive = "GatherAxis",
      .summary = "For each place of indices, the entry of a that the index names along an axis.",
      .example =
          ">>> mx.take_along_axis(mx.array([[1, 2], [3, 4]]), mx.array([[1], [0]]), axis=1)\narray([[2],\n       [3]], "
          "dtype=int32)",
      .details =
          "indices has as many dimensions as a, and the other axes broadcast. Negative indices count from the end; one "
          "outside the axis raises IndexError at evaluation, unless mode says otherwise: see take. Indices carry no "
          "derivative."};

  explicit GatherAxis(int axis) : axis_(axis) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::moves_data; }
  void visit(ParamVisitor& v) const override { v("axis", axis_); }
  Specs infer(Operands operands) const override { return {Spec{operands[1].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    outputs[0].allocate();
    const View views[] = {operands[0].view(), operands[1].view()};
    run_on(views, outputs[0].view(), kernels);
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    int64_t length = operands[0].sizes[static_cast<size_t>(axis_)];
    kernels.run(kernel::GatherAlong{operands[0], operands[1], axis_, length, output});
  }
  bool may_throw() const override { return true; }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    return {tangents[0] ? Tangent(applied(self(*this), {*tangents[0], primals[1]})) : std::nullopt};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (cotangents[0] && wanted[0]) {
      out[0] = vjp_onto(zeros(primals[0].shape(), cotangents[0]->dtype()), primals, *cotangents[0]);
    }
    return out;
  }
  Tangent vjp_onto(const array& sum, Operands primals, const array& cotangent) const override {
    return scatter_add_axis(sum, primals[1], cotangent, axis_);
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    array x = batch_first(operands[0], axes[0], lanes), index = batch_first(operands[1], axes[1], lanes);
    return {{applied(make_primitive<GatherAxis>(axis_ + 1), {x, index})}, {0}};
  }

 private:
  int axis_;
};

namespace {

// The shape with another length along one axis.
Shape with_length(Shape shape, int axis, Dim length) {
  shape[static_cast<size_t>(axis)] = length;
  return shape;
}

int checked_axis(const char* op, const array& a, const array& indices, int axis) {
  check_indices(op, indices);
  if (indices.ndim() != a.ndim()) {
    fail(op, "indices has ", indices.ndim(), " dimensions but the array has ", a.ndim(), "; they must have as many.");
  }
  return normalize_axis(op, axis, a.ndim());
}

} // namespace

array take_along_axis(const array& a, const array& indices, int axis, StreamOrDevice s) try {
  StreamScope on(s);
  int at = checked_axis("take_along_axis", a, indices, axis);
  Shape common =
      broadcast_shapes("take_along_axis", with_length(a.shape(), at, 1), with_length(indices.shape(), at, 1));
  array x = broadcast_to(a, with_length(common, at, a.shape(at)));
  array index = broadcast_to(indices, with_length(common, at, indices.shape(at)));
  return applied(make_primitive<GatherAxis>(at), {x, index});
} catch (const SizeError& error) {
  error.rethrow_in("take_along_axis");
}

static constexpr OpInfo put_along_axis_info{.name = "put_along_axis",
    .primitive = "ScatterAxis",
    .summary =
        "A copy of a in which, for each place of indices, the entry that the index names along an axis is replaced.",
    .example =
        ">>> mx.put_along_axis(mx.array([[1, 2], [3, 4]]), mx.array([[1], [0]]), mx.array(9), axis=1)\narray([[1, "
        "9],\n       [9, 4]], dtype=int32)",
    .details =
        "indices has as many dimensions as a; its other axes, and values, broadcast. Of several values for one entry "
        "the last is kept, and only that one has a gradient. One outside the axis raises IndexError at evaluation; "
        "with mode \"clip\" it is the nearest place, with \"wrap\" counted modulo the length, with \"fill\" its value "
        "is left "
        "out."};

// Operands: x, index, updates; index and updates have x's shape but for the axis. A set keeps the last of duplicates.
class ScatterAxis final : public Primitive, public OnViews {
 public:
  ScatterAxis(ScatterMode mode, int axis) : mode_(mode), axis_(axis) {}
  const char* name() const override { return mode_ == ScatterMode::set ? "ScatterAxis" : "ScatterAddAxis"; }
  Dependence dependence() const override { return Dependence::moves_data; }
  Role role() const override { return mode_ == ScatterMode::add ? Role::accumulation : Role::ordinary; }
  void visit(ParamVisitor& v) const override { v("axis", axis_); }
  int reusable_operand() const override { return 0; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    outputs[0].begin_with(operands[0], kernels);
    combine(operands[1].view(), operands[2].view(), outputs[0].view(), kernels);
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    kernels.run(kernel::Copy{operands[0], output});
    combine(operands[1], operands[2], output, kernels);
  }
  bool may_throw() const override { return true; }
  // Linear in x and updates together.
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0] && !tangents[2]) {
      return {std::nullopt};
    }
    array x = tangents[0] ? *tangents[0] : zeros_like(primals[0]);
    array updates = tangents[2] ? *tangents[2] : zeros_like(primals[2]);
    return {applied(self(*this), {x, primals[1], updates})};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(3);
    if (!cotangents[0]) {
      return out;
    }
    const array &ct = *cotangents[0], &index = primals[1];
    if (wanted[0]) {
      out[0] = mode_ == ScatterMode::set ? applied(self(*this), {ct, index, zeros(index.shape(), ct.dtype())}) : ct;
    }
    if (wanted[2]) {
      out[2] = take_along_axis(ct, index, axis_);
      Dim length = index.shape()[static_cast<size_t>(axis_)];
      if (mode_ == ScatterMode::set && !surely_equal(length, 1)) {
        // A value that a later one replaced has no influence: what it wrote is not there any more.
        Shape along(index.shape().size(), 1);
        array numbers = broadcast_to(
            reshape(position_numbers({length}), with_length(std::move(along), axis_, length)), index.shape());
        array written = applied(self(*this), {zeros(primals[0].shape(), numbers.dtype()), index, numbers});
        out[2] = where(equal(take_along_axis(written, index, axis_), numbers), *out[2], array(0, ct.dtype()));
      }
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    array x = batch_first(operands[0], axes[0], lanes), index = batch_first(operands[1], axes[1], lanes),
          updates = batch_first(operands[2], axes[2], lanes);
    return {{applied(make_primitive<ScatterAxis>(mode_, axis_ + 1), {x, index, updates})}, {0}};
  }

 private:
  void combine(const View& index, const View& updates, const View& y, Kernels& kernels) const {
    kernels.run(kernel::ScatterAlong{mode_, index, updates, axis_, y});
  }

  ScatterMode mode_;
  int axis_;
};

namespace {

array put(ScatterMode mode, const char* op, const array& a, const array& indices, const array& values, int axis,
    const StreamOrDevice& s) {
  StreamScope on(s);
  int at = checked_axis(op, a, indices, axis);
  Shape shape = with_length(a.shape(), at, indices.shape(at));
  if (!(broadcast_shapes(op, shape, indices.shape()) == shape)) {
    fail(op, "indices of shape ", indices.shape(), " do not broadcast to an array of shape ", a.shape(), " along axis ",
        axis, ".");
  }
  if (!(broadcast_shapes(op, shape, values.shape()) == shape)) {
    fail(op, "values of shape ", values.shape(), " do not broadcast to the ", shape, " places to write.");
  }
  array updates = astype(values, a.dtype());
  return applied(
      make_primitive<ScatterAxis>(mode, at), {a, broadcast_to(indices, shape), broadcast_to(updates, shape)});
}

} // namespace

array put_along_axis(const array& a, const array& indices, const array& values, int axis, StreamOrDevice s) {
  return put(ScatterMode::set, "put_along_axis", a, indices, values, axis, s);
}
array scatter_add_axis(const array& a, const array& indices, const array& values, int axis, StreamOrDevice s) {
  return put(ScatterMode::add, "scatter_add_axis", a, indices, values, axis, s);
}

std::span<const OpInfo* const> along_axis_ops() {
  static constexpr const OpInfo* ops[] = {&GatherAxis::info, &put_along_axis_info};
  return ops;
}

} // namespace mlx::core
