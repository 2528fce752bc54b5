// Writing at integer indices: scatter, and its forms that add, multiply, or take extrema.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/index/scatter_derivatives.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

static constexpr OpInfo scatter_info{.name = "scatter",
    .primitive = "Scatter",
    .summary = "The array with the slices that start at integer indices replaced.",
    .example =
        ">>> x = mx.array([1, 2, 3])\n>>> x[mx.array([0, 2])] = mx.array([8, 9])\n>>> x\narray([8, 2, 9], dtype=int32)",
    .details =
        "Of several updates of one element the last is kept, and only that one has a gradient. An index outside its "
        "axis raises IndexError at evaluation."};
static constexpr OpInfo scatter_add_info{.name = "scatter_add",
    .primitive = "ScatterAdd",
    .summary = "The array with updates added to the slices that start at integer indices.",
    .example = ">>> mx.zeros((3,)).at[mx.array([0, 0, 2])].add(1)\narray([2, 0, 1], dtype=float32)",
    .details =
        "All updates of one element are added, in order: the transpose of gather. An index outside its axis raises "
        "IndexError at evaluation."};
static constexpr OpInfo scatter_prod_info{.name = "scatter_prod",
    .primitive = "ScatterProd",
    .summary = "The array with the slices that start at integer indices multiplied by updates.",
    .example =
        ">>> mx.array([3, 4, 5]).at[mx.array([0, 0, 2])].multiply(mx.array([2, 2, 3]))\narray([12, 4, 15], "
        "dtype=int32)",
    .details =
        "All updates of one element multiply it, in order; the derivative in one is the product of the others, zeros "
        "included. An index outside its axis raises IndexError at evaluation."};
static constexpr OpInfo scatter_max_info{.name = "scatter_max",
    .primitive = "ScatterMax",
    .summary = "The array with the slices that start at integer indices replaced by updates where these are larger.",
    .example =
        ">>> mx.array([3, 4, 5]).at[mx.array([0, 0, 2])].maximum(mx.array([7, 6, 1]))\narray([7, 4, 5], dtype=int32)",
    .details =
        "NaN where the element or one of its updates is NaN. The element and those of its updates that equal the "
        "result "
        "share the gradient equally. An index outside its axis raises IndexError at evaluation."};
static constexpr OpInfo scatter_min_info{.name = "scatter_min",
    .primitive = "ScatterMin",
    .summary = "The array with the slices that start at integer indices replaced by updates where these are smaller.",
    .example =
        ">>> mx.array([3, 4, 5]).at[mx.array([0, 0, 2])].minimum(mx.array([2, 1, 9]))\narray([1, 4, 5], dtype=int32)",
    .details =
        "NaN where the element or one of its updates is NaN. The element and those of its updates that equal the "
        "result "
        "share the gradient equally. An index outside its axis raises IndexError at evaluation."};

static const OpInfo& info_of(ScatterMode mode) {
  switch (mode) {
    case ScatterMode::set: return scatter_info;
    case ScatterMode::add: return scatter_add_info;
    case ScatterMode::multiply: return scatter_prod_info;
    case ScatterMode::maximum: return scatter_max_info;
    case ScatterMode::minimum: return scatter_min_info;
  }
  return scatter_info;
}

// Operands: the source, the updates, then the indices. A set keeps the last of several updates of one element.
class Scatter final : public Primitive, public OnViews {
 public:
  Scatter(ScatterMode mode, Axes axes) : mode_(mode), axes_(std::move(axes)) {}
  const char* name() const override { return info_of(mode_).primitive; }
  Dependence dependence() const override { return linear() ? Dependence::moves_data : Dependence::opaque; }
  Role role() const override { return mode_ == ScatterMode::add ? Role::accumulation : Role::ordinary; }
  void visit(ParamVisitor& v) const override { v("axes", axes_); }
  int reusable_operand() const override { return 0; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    outputs[0].begin_with(operands[0], kernels);
    SmallVector<View, 3> indices;
    for (const array& index : operands.subspan(2)) {
      indices.push_back(index.view());
    }
    combine(operands[1].view(), {indices.begin(), indices.size()}, outputs[0].view(), kernels);
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    kernels.run(kernel::Copy{operands[0], output});
    combine(operands[1], operands.subspan(2), output, kernels);
  }
  bool may_throw() const override { return true; }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0] && !tangents[1]) {
      return {std::nullopt};
    }
    if (!linear()) {
      ScatterPlaces places = places_of(primals);
      ScatterOperands at{primals, places, outputs[0]};
      return {mode_ == ScatterMode::multiply ? product_jvp(at, tangents) : extremum_jvp(at, tangents)};
    }
    std::vector<array> operands(primals.begin(), primals.end());
    for (size_t i = 0; i < 2; ++i) {
      operands[i] = tangents[i] ? *tangents[i] : zeros_like(primals[i]);
    }
    return {applied(self(*this), operands)};
  }
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    if (!cotangents[0]) {
      return out;
    }
    ScatterPlaces places = places_of(primals);
    ScatterOperands at{primals, places, outputs[0]};
    const array& ct = *cotangents[0];
    switch (mode_) {
      case ScatterMode::set: set_vjp(at, ct, wanted, out); break;
      case ScatterMode::add:
        out[0] = ct;
        if (wanted[1]) {
          out[1] = places.read(ct);
        }
        break;
      case ScatterMode::multiply: product_vjp(at, ct, wanted, out); break;
      case ScatterMode::maximum:
      case ScatterMode::minimum: extremum_vjp(at, ct, wanted, out); break;
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    MapAxes index_axes(axes.begin() + 1, axes.end());
    BatchedIndices indices(operands.subspan(2), index_axes);
    array x = batch_first(operands[0], axes[0], lanes), updates = batch_first(operands[1], axes[1], lanes);
    Axes selected = behind_batch(axes_);
    if (indices.mapped) {
      indices.select_lane(lanes);
      selected.push_back(0);
      updates = expand_dims(updates, {1 + indices.rank});
    } else { // the batch axis is part of each slice
      updates = moveaxis(updates, 0, indices.rank);
    }
    std::vector<array> all{x, updates};
    all.insert(all.end(), indices.arrays.begin(), indices.arrays.end());
    return {{applied(make_primitive<Scatter>(mode_, std::move(selected)), all)}, {0}};
  }

  IndexedSlices slices() const { return {axes_, mode_}; }

 private:
  void combine(const View& updates, std::span<const View> indices, const View& y, Kernels& kernels) const {
    size_t rank = updates.ndim() - y.ndim();
    std::vector<kernel::Index> places = kernel_indices(indices, axes_, rank);
    std::span<const int64_t> shape(updates.sizes);
    kernels.run(kernel::Scatter{mode_, places, shape.first(rank), shape.subspan(rank), updates, y});
  }
  // In source and updates together.
  bool linear() const { return mode_ == ScatterMode::set || mode_ == ScatterMode::add; }
  ScatterPlaces places_of(Operands primals) const {
    const Shape& shape = primals[1].shape();
    Shape slice(shape.end() - primals[0].ndim(), shape.end());
    return {{primals.begin() + 2, primals.end()}, axes_, primals[0].shape(), std::move(slice)};
  }
  // What was overwritten has no influence; nor has an update that a later one replaced: what it wrote is not there any
  // more.
  static void set_vjp(const ScatterOperands& at, const array& ct, std::span<const bool> wanted, Tangents& out) {
    const ScatterPlaces& places = at.places;
    const Shape& shape = at.primals[1].shape();
    if (wanted[0]) {
      out[0] = scatter(ct, places.indices, zeros(shape, ct.dtype()), places.axes);
    }
    if (wanted[1]) {
      out[1] = places.read(ct);
      if (!places.apart()) {
        array numbers = position_numbers(shape);
        array written = scatter(zeros(places.whole, numbers.dtype()), places.indices, numbers, places.axes);
        out[1] = where(equal(places.read(written), numbers), *out[1], array(0, ct.dtype()));
      }
    }
  }
  ScatterMode mode_;
  Axes axes_;
};

std::optional<IndexedSlices> written_slices(const Primitive& primitive) {
  auto* scatter = dynamic_cast<const Scatter*>(&primitive);
  return scatter ? std::optional(scatter->slices()) : std::nullopt;
}

namespace {

array scattered(ScatterMode mode, const array& a, const std::vector<array>& indices, const array& updates,
    const Axes& axes, const StreamOrDevice& s) {
  const char* op = info_of(mode).name;
  StreamScope on(s);
  check_indices(op, indices, axes, a);
  Shape shape = index_shape_of(op, indices);
  if (updates.ndim() != static_cast<int>(shape.size()) + a.ndim()) {
    fail(op, "updates of shape ", updates.shape(), " must have the indices' shape ", shape,
        " followed by a slice of an array of shape ", a.shape(), ".");
  }
  for (int i = 0; i < a.ndim(); ++i) {
    Dim size = updates.shape()[shape.size()];
    Dim length = a.shape()[static_cast<size_t>(i)];
    if (surely_differ(size, length) && size > length && !surely_equal(updates.size(), 0)) {
      fail(op, "updates of shape ", updates.shape(), " exceed shape ", a.shape(), " along axis ", i, ".");
    }
    shape.push_back(size);
  }
  Axes selected;
  for (int axis : axes) {
    selected.push_back(normalize_axis(op, axis, a.ndim()));
  }
  array values = astype(updates, a.dtype());
  std::vector<array> operands{a, broadcast_to(values, shape)};
  operands.insert(operands.end(), indices.begin(), indices.end());
  return applied(make_primitive<Scatter>(mode, std::move(selected)), operands);
}

} // namespace

array scatter(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::set, a, indices, updates, axes, s);
}
array scatter_add(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::add, a, indices, updates, axes, s);
}
array scatter_prod(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::multiply, a, indices, updates, axes, s);
}
array scatter_max(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::maximum, a, indices, updates, axes, s);
}
array scatter_min(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::minimum, a, indices, updates, axes, s);
}

std::span<const OpInfo* const> scatter_ops() {
  static constexpr const OpInfo* ops[] = {
      &scatter_info, &scatter_add_info, &scatter_prod_info, &scatter_max_info, &scatter_min_info};
  return ops;
}

} // namespace mlx::core
