// Reading and writing slices at integer indices: gather, scatter, take.
#include "mlx_core/cpu/gather.h"

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/shape.h"

namespace mlx::core {

using cpu::ScatterMode;

void check_indices(const char* op, const array& indices) {
  if (!indices.dtype().is_integer()) {
    fail(op, "the indices are ", indices.dtype(), "; they must be integers.");
  }
}

array position_numbers(const Shape& shape) {
  int64_t count = size_of(shape);
  return reshape(arange(0, static_cast<double>(count), 1, count < (int64_t{1} << 31) ? int32 : int64), shape);
}

namespace {

Shape index_shape_of(const char* op, Operands indices) {
  Shape shape;
  for (const array& index : indices) {
    shape = broadcast_shapes(op, shape, index.shape());
  }
  return shape;
}

void check_axes(const char* op, Operands indices, const Axes& axes, const array& x) {
  if (indices.size() != axes.size()) {
    fail(op, "there are ", indices.size(), " indices but ", axes.size(), " axes; give one index array for each axis.");
  }
  for (const array& index : indices) {
    check_indices(op, index);
  }
  normalize_axes(op, axes, x.ndim());
}

// Strides of an array as if broadcast to a longer shape.
Strides broadcast_strides(const array& a, size_t rank) {
  Strides strides(rank, 0);
  for (size_t i = 0, shift = rank - a.shape().size(); i < a.shape().size(); ++i) {
    strides[shift + i] = a.shape()[i] == 1 ? 0 : a.strides()[i];
  }
  return strides;
}

// The index operands of a kernel, and the memory that their strides live in.
struct KernelIndices {
  KernelIndices(Operands indices, const Axes& axes, size_t rank) {
    strides.reserve(indices.size());
    for (size_t i = 0; i < indices.size(); ++i) {
      strides.push_back(broadcast_strides(indices[i], rank));
      operands.push_back({indices[i].raw_data(), indices[i].dtype(), strides.back(), axes[i]});
    }
  }
  std::vector<Strides> strides;
  std::vector<cpu::IndexOperand> operands;
};

// Indices of a batch: the batch axis first, and the lanes' own axes lined up behind it.
struct BatchedIndices {
  BatchedIndices(Operands indices, const MapAxes& axes) {
    for (size_t i = 0; i < indices.size(); ++i) {
      MapAxis axis = axes[i + 1];
      rank = std::max(rank, indices[i].ndim() - (axis ? 1 : 0));
      mapped = mapped || axis;
    }
    for (size_t i = 0; i < indices.size(); ++i) {
      arrays.push_back(batch_aligned(indices[i], axes[i + 1], rank));
    }
  }
  // One more index, along the batch axis of the indexed array: each lane reads and writes its own part.
  void select_lane(Dim lanes) {
    Shape shape(static_cast<size_t>(rank) + 1, 1);
    shape[0] = lanes;
    arrays.push_back(reshape(position_numbers({lanes}), shape));
  }
  std::vector<array> arrays;
  int rank = 0; // of the indices of one lane
  bool mapped = false;
};

std::vector<array> indices_of(Operands operands) { return {operands.begin() + 1, operands.end()}; }

} // namespace

// Operands: the source, then the indices.
class Gather final : public Primitive {
 public:
  static constexpr OpInfo info{
      .name = "gather",
      .primitive = "Gather",
      .summary = "The slices of an array that start at integer indices along some of its axes.",
      .example = ">>> mx.array([5, 6, 7])[mx.array([2, -3])]\narray([7, 5], dtype=int32)",
      .details = "Index arrays broadcast together; their shape comes first in the result, then that of a slice. Negative "
                 "indices count from the end; one outside the axis raises IndexError at evaluation. Indices carry no "
                 "derivative."};

  Gather(Axes axes, Shape slice_sizes) : axes_(std::move(axes)), slice_sizes_(std::move(slice_sizes)) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::moves_data; }
  void visit(ParamVisitor& v) const override {
    v("axes", axes_);
    v("slice_sizes", slice_sizes_);
  }
  Specs infer(Operands operands) const override {
    const array& x = operands[0];
    check_axes("gather", operands.subspan(1), axes_, x);
    Shape shape = index_shape_of("gather", operands.subspan(1));
    bool reads_nothing = surely_equal(size_of(shape), 0);
    for (size_t i = 0; i < slice_sizes_.size(); ++i) {
      Dim size = slice_sizes_[i], length = x.shape()[i];
      if (!reads_nothing && surely_differ(size, length) && size > length) {
        fail("gather", "slice_sizes ", slice_sizes_, " exceed shape ", x.shape(), " along axis ", i, ".");
      }
      shape.push_back(size);
    }
    return {Spec{std::move(shape), x.dtype()}};
  }
  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    y.allocate();
    if (size_of(y.shape()) == 0) {
      return;
    }
    size_t rank = y.shape().size() - x.shape().size();
    KernelIndices indices(operands.subspan(1), axes_, rank);
    Sizes shape = sizes_of(y.shape());
    cpu::gather(
        x.raw_data(), sizes_of(x.shape()), x.strides(), x.itemsize(), indices.operands, {shape.data(), rank},
        {shape.data() + rank, x.shape().size()}, y.mutable_data());
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    return {tangents[0] ? Tangent(gather(*tangents[0], indices_of(primals), axes_, slice_sizes_)) : std::nullopt};
  }
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    if (cotangents[0] && wanted[0]) {
      array nothing = zeros(primals[0].shape(), cotangents[0]->dtype());
      out[0] = scatter_add(nothing, indices_of(primals), *cotangents[0], axes_);
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    BatchedIndices indices(operands.subspan(1), axes);
    array x = batch_first(operands[0], axes[0]);
    if (!axes[0]) {
      return {{gather(x, indices.arrays, axes_, slice_sizes_)}, {0}};
    }
    if (!indices.mapped) { // the batch axis is part of each slice
      array y = gather(x, indices.arrays, behind_batch(axes_), prepended(x.shape()[0], slice_sizes_));
      return {{y}, {indices.rank}};
    }
    indices.select_lane(x.shape()[0]);
    Axes selected = behind_batch(axes_);
    selected.push_back(0);
    array y = gather(x, indices.arrays, selected, prepended(1, slice_sizes_));
    return {{squeeze(y, {1 + indices.rank})}, {0}};
  }

 private:
  Axes axes_;
  Shape slice_sizes_;
};

array gather(
    const array& a, const std::vector<array>& indices, const Axes& axes, const Shape& slice_sizes, StreamOrDevice s) {
  check_stream(s);
  if (static_cast<int>(slice_sizes.size()) != a.ndim()) {
    fail("gather", "slice_sizes ", slice_sizes, " must have one entry for each axis of shape ", a.shape(), ".");
  }
  Axes selected;
  for (int axis : axes) {
    selected.push_back(normalize_axis("gather", axis, a.ndim()));
  }
  std::vector<array> operands{a};
  operands.insert(operands.end(), indices.begin(), indices.end());
  return applied(make_primitive<Gather>(std::move(selected), slice_sizes), operands);
}

static constexpr OpInfo scatter_info{
    .name = "scatter",
    .primitive = "Scatter",
    .summary = "The array with the slices that start at integer indices replaced.",
    .example = ">>> x = mx.array([1, 2, 3])\n>>> x[mx.array([0, 2])] = mx.array([8, 9])\n>>> x\narray([8, 2, 9], dtype=int32)",
    .details = "Of several updates of one element the last is kept, and only that one has a gradient. An index outside its "
               "axis raises IndexError at evaluation."};
static constexpr OpInfo scatter_add_info{
    .name = "scatter_add",
    .primitive = "ScatterAdd",
    .summary = "The array with updates added to the slices that start at integer indices.",
    .example = ">>> mx.grad(lambda x: x[mx.array([0, 0])].sum())(mx.zeros((3,)))\narray([2, 0, 0], dtype=float32)",
    .details = "All updates of one element are added, in order: the transpose of gather. An index outside its axis raises "
               "IndexError at evaluation."};

// Operands: the source, the updates, then the indices. A set keeps the last of several updates of one element.
class Scatter final : public Primitive {
 public:
  Scatter(ScatterMode mode, Axes axes) : mode_(mode), axes_(std::move(axes)) {}
  const char* name() const override {
    return mode_ == ScatterMode::set ? scatter_info.primitive : scatter_add_info.primitive;
  }
  Dependence dependence() const override { return Dependence::moves_data; }
  void visit(ParamVisitor& v) const override { v("axes", axes_); }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    const array &x = operands[0], &updates = operands[1];
    array& y = outputs[0];
    y.allocate();
    cpu::copy_strided(x.raw_data(), x.strides(), y.mutable_data(), y.strides(), sizes_of(x.shape()), x.itemsize());
    if (size_of(updates.shape()) == 0) {
      return;
    }
    size_t rank = updates.shape().size() - x.shape().size();
    KernelIndices indices(operands.subspan(2), axes_, rank);
    Sizes shape = sizes_of(updates.shape());
    cpu::scatter(
        mode_, y.dtype(), y.mutable_data(), sizes_of(y.shape()), indices.operands, {shape.data(), rank},
        {shape.data() + rank, x.shape().size()}, updates.raw_data(), updates.strides());
  }
  // Linear in source and updates together.
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0] && !tangents[1]) {
      return {std::nullopt};
    }
    std::vector<array> operands(primals.begin(), primals.end());
    for (size_t i = 0; i < 2; ++i) {
      operands[i] = tangents[i] ? *tangents[i] : zeros_like(primals[i]);
    }
    return {applied(self(*this), operands)};
  }
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    if (!cotangents[0]) {
      return out;
    }
    const array &ct = *cotangents[0], &updates = primals[1];
    if (wanted[0]) {
      out[0] = ct;
      if (mode_ == ScatterMode::set) {
        out[0] = write(ct, zeros(updates.shape(), ct.dtype()), primals);
      }
    }
    if (wanted[1]) {
      out[1] = read(ct, primals);
      if (mode_ == ScatterMode::set && may_overlap(primals)) {
        // An update that a later one replaced has no influence: what it wrote is not there any more.
        array numbers = position_numbers(updates.shape());
        array written = write(zeros(primals[0].shape(), numbers.dtype()), numbers, primals);
        out[1] = where(equal(read(written, primals), numbers), *out[1], array(0, ct.dtype()));
      }
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

 private:
  array write(const array& x, const array& updates, Operands primals) const {
    std::vector<array> operands(primals.begin(), primals.end());
    operands[0] = x;
    operands[1] = updates;
    return applied(self(*this), operands);
  }
  array read(const array& from, Operands primals) const {
    const Shape& shape = primals[1].shape();
    Shape slice_sizes(shape.end() - from.ndim(), shape.end());
    return gather(from, {primals.begin() + 2, primals.end()}, axes_, slice_sizes);
  }
  static bool may_overlap(Operands primals) {
    const Shape& shape = primals[1].shape();
    return !surely_equal(size_of(Shape(shape.begin(), shape.end() - primals[0].ndim())), 1);
  }
  ScatterMode mode_;
  Axes axes_;
};

namespace {

array scattered(
    ScatterMode mode, const char* op, const array& a, const std::vector<array>& indices, const array& updates,
    const Axes& axes, const StreamOrDevice& s) {
  check_stream(s);
  check_axes(op, indices, axes, a);
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
  array values = updates.dtype() == a.dtype() ? updates : astype(updates, a.dtype());
  std::vector<array> operands{a, broadcast_to(values, shape)};
  operands.insert(operands.end(), indices.begin(), indices.end());
  return applied(make_primitive<Scatter>(mode, std::move(selected)), operands);
}

} // namespace

array scatter(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::set, "scatter", a, indices, updates, axes, s);
}
array scatter_add(
    const array& a, const std::vector<array>& indices, const array& updates, const Axes& axes, StreamOrDevice s) {
  return scattered(ScatterMode::add, "scatter_add", a, indices, updates, axes, s);
}

// --- take ---

static constexpr OpInfo take_info{
    .name = "take",
    .primitive = "Gather",
    .summary = "The entries at integer indices along an axis, or of the flattened array.",
    .example = ">>> mx.take(mx.array([5, 6, 7]), mx.array([2, 0]))\narray([7, 5], dtype=int32)",
    .details = "The axis is replaced by the axes of indices. Negative indices count from the end; one outside the axis "
               "raises IndexError at evaluation. Indices carry no derivative."};
array take(const array& a, const array& indices, int axis, StreamOrDevice s) {
  check_stream(s);
  check_indices("take", indices);
  int at = normalize_axis("take", axis, a.ndim());
  if (surely_equal(a.shape(at), 0) && !surely_equal(indices.size(), 0)) {
    fail("take", "axis ", axis, " of shape ", a.shape(), " has no elements to take.");
  }
  if (at > 0 && at == a.ndim() - 1) {
    // Along the last axis, element by element, in the order of memory.
    Shape shape = a.shape();
    shape.back() = indices.size();
    array picked = take_along_axis(a, broadcast_to(flatten(indices), shape), at);
    if (indices.ndim() == 0) {
      return squeeze(picked, {at});
    }
    return indices.ndim() == 1 ? picked : unflatten(picked, at, indices.shape());
  }
  Shape slice_sizes = a.shape();
  slice_sizes[static_cast<size_t>(at)] = 1;
  array y = squeeze(gather(a, {indices}, {at}, slice_sizes), {indices.ndim() + at});
  if (at == 0) {
    return y;
  }
  // The indices' axes go where the axis was.
  Axes order;
  for (int i = 0; i < y.ndim(); ++i) {
    order.push_back(i < at ? indices.ndim() + i : i < at + indices.ndim() ? i - at : i);
  }
  return transpose(y, order);
}
array take(const array& a, const array& indices, StreamOrDevice s) { return take(flatten(a), indices, 0, s); }

std::span<const OpInfo* const> gather_scatter_ops() {
  static constexpr const OpInfo* here[] = {&Gather::info, &scatter_info, &scatter_add_info, &take_info};
  static const std::vector<const OpInfo*>& ops = *new std::vector<const OpInfo*>(joined({here, along_axis_ops()}));
  return ops;
}

} // namespace mlx::core
