// Reshaping, axes of length 1, contiguous copies, and stop_gradient.
#include "mlx_core/ops/shape/shape.h"
#include "mlx_core/backend/kernels.h"

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"

namespace mlx::core {

// --- reshape ---

Strides broadcast_strides(const array& a, size_t rank) {
  Strides strides(rank, 0);
  for (size_t i = 0, shift = rank - a.shape().size(); i < a.shape().size(); ++i) {
    strides[shift + i] = a.shape()[i] == 1 ? 0 : a.strides()[i];
  }
  return strides;
}

// Groups of axes that hold the same elements are matched; inside a group the old axes must follow each other without
// gaps.
std::optional<Strides> reshaped_strides(const Sizes& old_shape, const Strides& old_strides, const Sizes& to) {
  Sizes shape;
  Strides strides;
  for (size_t i = 0; i < old_shape.size(); ++i) {
    if (old_shape[i] != 1) {
      shape.push_back(old_shape[i]);
      strides.push_back(old_strides[i]);
    }
  }
  Strides out(to.size(), 1);
  size_t from = 0, at = 0;
  while (from < shape.size() && at < to.size()) {
    size_t from_end = from + 1, at_end = at + 1;
    int64_t old_count = shape[from], new_count = to[at];
    while (old_count != new_count) {
      if (old_count < new_count) {
        old_count *= shape[from_end++];
      } else {
        new_count *= to[at_end++];
      }
    }
    for (size_t k = from; k + 1 < from_end; ++k) {
      if (strides[k] != strides[k + 1] * shape[k + 1]) {
        return std::nullopt;
      }
    }
    int64_t step = strides[from_end - 1];
    for (size_t k = at_end; k-- > at;) {
      out[k] = step;
      step *= to[k];
    }
    from = from_end;
    at = at_end;
  }
  return out; // what is left of `to` has length 1
}

class Reshape final : public Linear {
 public:
  static constexpr OpInfo info{.name = "reshape",
      .primitive = "Reshape",
      .summary = "The elements in row-major order under another shape of the same size.",
      .example = ">>> mx.reshape(mx.arange(6), (2, -1))\narray([[0, 1, 2],\n       [3, 4, 5]], dtype=int32)",
      .details =
          "One entry of shape may be -1: it is what the others leave. The result is a view where the layout allows "
          "it."};

  explicit Reshape(Shape shape) : shape_(std::move(shape)) {}
  bool keeps_order() const override { return true; }
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("shape", shape_); }
  Specs infer(Operands operands) const override {
    const array& x = operands[0];
    if (surely_differ(x.size(), size_of(shape_))) {
      fail("reshape", "Cannot reshape an array of size ", x.size(), " and shape ", x.shape(), " into shape ", shape_,
          ".");
    }
    return {Spec{shape_, x.dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    if (x.is_row_contiguous()) {
      return y.share(x, row_major_strides(y.shape()));
    }
    Sizes from = sizes_of(x.shape());
    if (std::optional<Strides> strides = reshaped_strides(from, x.strides(), sizes_of(y.shape()))) {
      return y.share(x, std::move(*strides));
    }
    y.allocate();
    kernels.run(kernel::Copy{x.view(), y.view().laid_out(from, row_major_strides(x.shape()))});
  }
  array transpose(const array& cotangent, const array& x) const override { return reshape(cotangent, x.shape()); }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    array x = batch_first(operands[0], axes[0]);
    return {{reshape(x, prepended(x.shape()[0], shape_))}, {0}};
  }

 private:
  Shape shape_;
};

PrimitiveRef reshaping(Shape shape) { return make_primitive<Reshape>(std::move(shape)); }

namespace {

// Whether all entries but one are those of the shape before.
bool differs_at(size_t one, const Shape& before, const Shape& shape) {
  for (size_t i = 0; i < shape.size() && before.size() == shape.size(); ++i) {
    if (i != one && !surely_equal(shape[i], before[i])) {
      return false;
    }
  }
  return before.size() == shape.size();
}

// Replaces the -1 in shape by what `size` leaves for it.
void infer_entry(const char* op, const Shape& before, Dim size, Shape& shape) {
  size_t unknown = shape.size();
  Dim known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].is_symbolic()) {
      known *= shape[i];
    } else if (shape[i] == -1) {
      if (unknown != shape.size()) {
        fail(op, "shape ", shape, " has more than one -1; only one entry can be inferred.");
      }
      unknown = i;
    } else if (shape[i] < 0) {
      fail(op, "shape ", shape, " has a negative entry; only -1, for the one to infer, may be negative.");
    } else {
      known *= shape[i];
    }
  }
  if (unknown == shape.size()) {
    return;
  }
  if (!known.is_symbolic() && known == 0) {
    fail(op, "Cannot infer the -1 in shape ", shape, ": the other entries hold no elements, so it could be anything.");
  }
  if (!known.is_symbolic() && !size.is_symbolic() && static_cast<int64_t>(size) % static_cast<int64_t>(known) != 0) {
    fail(op, "Cannot infer the -1 in shape ", shape, ": the other entries hold ", known,
        " elements, which does not divide the array's size ", size, ".");
  }
  // An open size that stays is known to be the same, a quotient is not: and no array of the same shape is made.
  bool stays = known.is_symbolic() && differs_at(unknown, before, shape) && !(known == 0);
  shape[unknown] = stays ? before[unknown] : size / known;
}

} // namespace

array reshape(const array& a, Shape shape, StreamOrDevice s) try {
  StreamScope on(s);
  infer_entry("reshape", a.shape(), a.size(), shape);
  check_shape("reshape", shape);
  if (surely_equal(a.shape(), shape)) {
    return a;
  }
  return applied(make_primitive<Reshape>(std::move(shape)), {a});
} catch (const SizeError& error) {
  error.rethrow_in("reshape");
}

static constexpr OpInfo flatten_info{.name = "flatten",
    .primitive = "Reshape",
    .summary = "The axes from start_axis to end_axis, both included, merged into one.",
    .example = ">>> mx.flatten(mx.array([[1, 2], [3, 4]]))\narray([1, 2, 3, 4], dtype=int32)",
    .details = "Axes outside the array are brought to its first or last. A scalar becomes an array of one element."};
array flatten(const array& a, int start_axis, int end_axis, StreamOrDevice s) {
  int ndim = a.ndim();
  if (ndim == 0) {
    return reshape(a, {1}, s);
  }
  int start = std::max(0, start_axis + (start_axis < 0 ? ndim : 0));
  int end = std::min(ndim - 1, end_axis + (end_axis < 0 ? ndim : 0));
  if (end < start) {
    fail("flatten", "start_axis ", start_axis, " lies behind end_axis ", end_axis, " in an array with ", ndim,
        " dimensions.");
  }
  Shape shape(a.shape().begin(), a.shape().begin() + start + 1);
  for (int k = start + 1; k < ndim; ++k) {
    Dim length = a.shape()[static_cast<size_t>(k)];
    if (k <= end) {
      shape[static_cast<size_t>(start)] *= length;
    } else {
      shape.push_back(length);
    }
  }
  return reshape(a, std::move(shape), s);
}

static constexpr OpInfo unflatten_info{.name = "unflatten",
    .primitive = "Reshape",
    .summary = "One axis split into several.",
    .example = ">>> mx.unflatten(mx.arange(6), 0, (2, -1))\narray([[0, 1, 2],\n       [3, 4, 5]], dtype=int32)",
    .details = "The lengths in shape multiply to that of the axis; one of them may be -1."};
array unflatten(const array& a, int axis, Shape shape, StreamOrDevice s) try {
  if (shape.empty()) {
    fail("unflatten", "shape is empty; give the lengths that the axis is split into.");
  }
  size_t at = static_cast<size_t>(normalize_axis("unflatten", axis, a.ndim()));
  infer_entry("unflatten", {a.shape()[at]}, a.shape()[at], shape);
  check_shape("unflatten", shape);
  if (surely_differ(size_of(shape), a.shape()[at])) {
    fail("unflatten", "Cannot split axis ", axis, " of length ", a.shape()[at], " into shape ", shape, ".");
  }
  Shape whole(a.shape().begin(), a.shape().begin() + at);
  whole.reserve(a.shape().size() + shape.size());
  for (Dim d : shape) {
    whole.push_back(d);
  }
  for (size_t i = at + 1; i < a.shape().size(); ++i) {
    whole.push_back(a.shape()[i]);
  }
  return reshape(a, std::move(whole), s);
} catch (const SizeError& error) {
  error.rethrow_in("unflatten");
}

// --- axes of length 1 ---

class Squeeze final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "squeeze",
      .primitive = "Squeeze",
      .summary = "The array without the given axes, all of length 1; without every such axis by default.",
      .example = ">>> mx.squeeze(mx.array([[[1], [2]]])).shape\n(2,)",
      .details = "Raises when one of the axes has another length."};

  explicit Squeeze(Axes axes) : axes_(std::move(axes)) {} // sorted
  bool keeps_order() const override { return true; }
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("axes", axes_); }
  Specs infer(Operands operands) const override {
    const Shape& from = operands[0].shape();
    for (int axis : axes_) {
      if (!(from[static_cast<size_t>(axis)] == 1)) {
        fail("squeeze", "axis ", axis, " has length ", from[static_cast<size_t>(axis)], " in shape ", from,
            "; only axes of length 1 can be left out.");
      }
    }
    return {Spec{kept(from), operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    outputs[0].share(operands[0], kept(operands[0].strides()));
  }
  array transpose(const array& cotangent, const array&) const override { return expand_dims(cotangent, axes_); }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Axes around = around_batch(axes_, *axes[0]);
    int batch = *axes[0];
    for (int axis : around) {
      batch -= axis < *axes[0] ? 1 : 0;
    }
    return {{squeeze(operands[0], around)}, {batch}};
  }

 private:
  template <typename V>
  V kept(const V& from) const {
    V out;
    auto next = axes_.begin();
    for (size_t i = 0; i < from.size(); ++i) {
      if (next != axes_.end() && *next == static_cast<int>(i)) {
        ++next;
      } else {
        out.push_back(from[i]);
      }
    }
    return out;
  }
  Axes axes_;
};

array squeeze(const array& a, const Axes& axes, StreamOrDevice s) {
  StreamScope on(s);
  if (axes.empty()) {
    return a;
  }
  return applied(make_primitive<Squeeze>(normalize_axes("squeeze", axes, a.ndim())), {a});
}
array squeeze(const array& a, StreamOrDevice s) {
  Axes axes;
  for (int i = 0; i < a.ndim(); ++i) {
    if (a.shape()[static_cast<size_t>(i)] == 1) {
      axes.push_back(i);
    }
  }
  return squeeze(a, axes, s);
}

class ExpandDims final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "expand_dims",
      .primitive = "ExpandDims",
      .summary = "The array with axes of length 1 added, which then have the given positions.",
      .example = ">>> mx.expand_dims(mx.array([1, 2]), 1)\narray([[1],\n       [2]], dtype=int32)"};

  explicit ExpandDims(Axes axes) : axes_(std::move(axes)) {} // sorted; positions in the output
  bool keeps_order() const override { return true; }
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("axes", axes_); }
  Specs infer(Operands operands) const override {
    return {Spec{widened(operands[0].shape(), Dim(1)), operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    outputs[0].share(operands[0], widened(operands[0].strides(), int64_t{1}));
  }
  array transpose(const array& cotangent, const array&) const override { return squeeze(cotangent, axes_); }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    // In front is the one place where the batch axis cannot come between the new axes.
    return {{expand_dims(batch_first(operands[0], axes[0]), behind_batch(axes_))}, {0}};
  }

 private:
  template <typename V>
  V widened(const V& from, typename V::value_type filler) const {
    V out;
    size_t rank = from.size() + axes_.size();
    out.reserve(rank);
    auto next = axes_.begin();
    for (size_t i = 0, taken = 0; i < rank; ++i) {
      if (next != axes_.end() && *next == static_cast<int>(i)) {
        out.push_back(filler);
        ++next;
      } else {
        out.push_back(from[taken++]);
      }
    }
    return out;
  }
  Axes axes_;
};

array expand_dims(const array& a, const Axes& axes, StreamOrDevice s) {
  StreamScope on(s);
  if (axes.empty()) {
    return a;
  }
  int rank = a.ndim() + static_cast<int>(axes.size());
  return applied(make_primitive<ExpandDims>(normalize_axes("expand_dims", axes, rank)), {a});
}

// --- contiguous, stop_gradient ---

class Contiguous final : public Linear {
 public:
  static constexpr OpInfo info{.name = "contiguous",
      .primitive = "Contiguous",
      .summary = "The same array, laid out in row-major order without gaps; a copy only where it was not.",
      .example =
          ">>> mx.contiguous(mx.transpose(mx.array([[1, 2], [3, 4]])))\narray([[1, 3],\n       [2, 4]], dtype=int32)"};

  const char* name() const override { return info.primitive; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    if (x.is_row_contiguous()) {
      return y.share(x, x.strides());
    }
    y.allocate();
    kernels.run(kernel::Copy{x.view(), y.view()});
  }
  array transpose(const array& cotangent, const array&) const override { return cotangent; }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{contiguous(batch_first(operands[0], axes[0]))}, {0}};
  }
};

array contiguous(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return applied(make_primitive<Contiguous>(), {a});
}

class StopGradient final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "stop_gradient",
      .primitive = "StopGradient",
      .summary = "The array itself, treated as a constant by differentiation.",
      .differentiable = Differentiable::zero,
      .no_derivative = {"stop_gradient makes its argument a constant"},
      .example = ">>> mx.grad(lambda x: x * mx.stop_gradient(x))(mx.array(3.0))\narray(3, dtype=float32)"};

  const char* name() const override { return info.primitive; }
  EvalKind eval_kind() const override { return EvalKind::identity; }
  Dependence dependence() const override { return Dependence::elementwise; }
  Role role() const override { return Role::barrier; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    outputs[0].share(operands[0], operands[0].strides());
  }
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{stop_gradient(operands[0])}, {*axes[0]}};
  }
};

array stop_gradient(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return applied(make_primitive<StopGradient>(), {a});
}

std::span<const OpInfo* const> shape_ops() {
  static constexpr const OpInfo* here[] = {&Reshape::info, &flatten_info, &unflatten_info, &Squeeze::info,
      &ExpandDims::info, &Contiguous::info, &StopGradient::info};
  static const std::vector<const OpInfo*>& ops =
      *new std::vector<const OpInfo*>(joined({here, transpose_ops(), broadcast_ops(), join_ops()}));
  return ops;
}

std::span<const Remake> shape_remakes() {
  using A = std::vector<array>;
  static constexpr Remake rows[] = {
      {"Reshape", [](const Parts& p) { return A{reshape(p[0], p.shape("shape"))}; }},
      {"Squeeze", [](const Parts& p) { return A{squeeze(p[0], p.axes("axes"))}; }},
      {"ExpandDims", [](const Parts& p) { return A{expand_dims(p[0], p.axes("axes"))}; }},
      {"Transpose", [](const Parts& p) { return A{transpose(p[0], p.axes("axes"))}; }},
      {"Broadcast", [](const Parts& p) { return A{broadcast_to(p[0], p.shape("shape"))}; }},
      {"Concatenate", [](const Parts& p) { return A{concatenate(p.operands(), p.integer("axis"))}; }},
      {"Contiguous", [](const Parts& p) { return A{contiguous(p[0])}; }},
      {"StopGradient", [](const Parts& p) { return A{stop_gradient(p[0])}; }},
  };
  return rows;
}

} // namespace mlx::core
