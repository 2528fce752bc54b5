// Reading at integer indices: gather, take. The family's other parts are in scatter.cpp, along_axis.cpp, slice_at.cpp
// and strided.cpp.

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

// Of memory in which `outer` of the axes that follow the first `rank` come before those.
static Strides strides_behind(const Shape& shape, size_t rank, size_t outer) {
  auto at = [&](size_t i) { return i < outer ? rank + i : i < outer + rank ? i - outer : i; };
  Strides strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[at(i - 1)] = strides[at(i)] * static_cast<int64_t>(shape[at(i)]);
  }
  return strides;
}

// Whether slices are lines whose elements lie apart in memory, each in a line of the cache of its own, and so many are
// read that it pays to bring the array in order first.
static bool slices_lie_apart(const array& x, const Shape& slice_sizes, size_t outer, const array& y) {
  constexpr size_t worth_it = 1 << 14, line = 64; // bytes
  size_t axes = 0, bytes = 0;                     // longer than 1; from one element to the next
  for (size_t d = outer; d < slice_sizes.size(); ++d) {
    if (slice_sizes[d] != 1) {
      ++axes;
      bytes = static_cast<size_t>(std::abs(x.strides()[d])) * x.itemsize();
    }
  }
  return axes == 1 && bytes >= line && y.nbytes() >= worth_it && 2 * y.nbytes() >= x.nbytes();
}

static std::vector<array> indices_of(Operands operands) { return {operands.begin() + 1, operands.end()}; }

// Operands: the source, then the indices.
class Gather final : public Primitive, public OnViews {
 public:
  static constexpr OpInfo info{.name = "gather",
      .primitive = "Gather",
      .summary = "The slices of an array that start at integer indices along some of its axes.",
      .example = ">>> mx.array([5, 6, 7])[mx.array([2, -3])]\narray([7, 5], dtype=int32)",
      .details =
          "Index arrays broadcast together; their shape comes first in the result, then that of a slice. Negative "
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
    check_indices("gather", operands.subspan(1), axes_, x);
    Shape shape = index_shape_of("gather", operands.subspan(1));
    bool reads_nothing = surely_equal(size_of(shape), 0);
    for (size_t i = 0; i < slice_sizes_.size(); ++i) {
      Dim size = slice_sizes_[i], length = x.shape()[i];
      if (!reads_nothing && surely_differ(size, length) && size > length) {
        fail<AxisError>("gather", "slice_sizes ", slice_sizes_, " exceed shape ", x.shape(), " along axis ", i, ".");
      }
      shape.push_back(size);
    }
    return {Spec{std::move(shape), x.dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    array x = operands[0];
    array& y = outputs[0];
    size_t rank = y.shape().size() - x.shape().size();
    size_t outer = kernels.device() == Device::cpu ? axes_before_indices() : 0;
    if (kernels.device() == Device::cpu && slices_lie_apart(x, slice_sizes_, outer, y)) {
      x = array::uninitialized(x.shape(), x.dtype());
      kernels.run(kernel::Copy{operands[0].view(), x.view()});
    }
    y.set_storage(core::allocate(y.nbytes()), 0, strides_behind(y.shape(), rank, outer));
    std::vector<kernel::Index> indices = kernel_indices(operands.subspan(1), axes_, rank);
    Sizes shape = sizes_of(y.shape());
    kernels.run(kernel::Gather{x.view(), indices, {shape.data(), rank}, {shape.data() + rank, x.shape().size()},
        y.view(), static_cast<int64_t>(outer)});
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    size_t rank = output.ndim() - operands[0].ndim();
    std::vector<kernel::Index> indices = kernel_indices(operands.subspan(1), axes_, rank);
    std::span<const int64_t> shape(output.sizes);
    kernels.run(kernel::Gather{operands[0], indices, shape.first(rank), shape.subspan(rank), output});
  }
  bool may_throw() const override { return true; }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    return {tangents[0] ? Tangent(gather(*tangents[0], indices_of(primals), axes_, slice_sizes_)) : std::nullopt};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(primals.size());
    if (cotangents[0] && wanted[0]) {
      out[0] = vjp_onto(zeros(primals[0].shape(), cotangents[0]->dtype()), primals, *cotangents[0]);
    }
    return out;
  }
  Tangent vjp_onto(const array& sum, Operands primals, const array& cotangent) const override {
    return scatter_add(sum, indices_of(primals), cotangent, axes_);
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

  const Axes& axes() const { return axes_; }

 private:
  // The axes before indexed ones that are next to each other: their place in memory is before the indices' as well,
  // which is where indexing puts them, and how the source is read in order.
  size_t axes_before_indices() const {
    for (size_t i = 0; i < axes_.size(); ++i) {
      if (axes_[i] != axes_[0] + static_cast<int>(i)) {
        return 0;
      }
    }
    return axes_.empty() ? 0 : static_cast<size_t>(axes_[0]);
  }

  Axes axes_;
  Shape slice_sizes_;
};

std::optional<IndexedSlices> read_slices(const Primitive& primitive) {
  auto* gather = dynamic_cast<const Gather*>(&primitive);
  return gather ? std::optional(IndexedSlices{gather->axes(), std::nullopt}) : std::nullopt;
}

array gather(
    const array& a, const std::vector<array>& indices, const Axes& axes, const Shape& slice_sizes, StreamOrDevice s) {
  StreamScope on(s);
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
// --- take ---

static constexpr OpInfo take_info{.name = "take",
    .primitive = "Gather",
    .summary = "The entries at integer indices along an axis, or of the flattened array.",
    .example = ">>> mx.take(mx.array([5, 6, 7]), mx.array([2, 0]))\narray([7, 5], dtype=int32)",
    .details =
        "The axis is replaced by the axes of indices. Negative indices count from the end; one outside the axis "
        "raises IndexError at evaluation. With mode \"clip\" it is the nearest place instead (0 for all negative "
        "ones), with "
        "\"wrap\" it is counted modulo the length, and with \"fill\" fill_value is read, which has the derivative, "
        "too: by "
        "default NaN, for integers the lowest (signed) or highest (unsigned), for bools True. Indices carry no "
        "derivative."};
array take(const array& a, const array& indices, int axis, StreamOrDevice s) try {
  StreamScope on(s);
  check_indices("take", indices);
  int at = normalize_axis("take", axis, a.ndim());
  if (surely_equal(a.shape(at), 0) && !surely_equal(indices.size(), 0)) {
    fail<AxisError>("take", "axis ", axis, " of shape ", a.shape(), " has no elements to take.");
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
} catch (const SizeError& error) {
  error.rethrow_in("take");
}
array take(const array& a, const array& indices, StreamOrDevice s) { return take(flatten(a), indices, 0, s); }

std::span<const OpInfo* const> gather_scatter_ops() {
  static constexpr const OpInfo* here[] = {&Gather::info, &take_info};
  static const std::vector<const OpInfo*>& ops =
      *new std::vector<const OpInfo*>(joined({here, scatter_ops(), along_axis_ops(), strided_ops()}));
  return ops;
}

namespace {

template <array (*f)(const array&, const std::vector<array>&, const array&, const Axes&, StreamOrDevice)>
std::vector<array> scattering(const Parts& p) {
  return {f(p[0], p.operands_from(2), p[1], p.axes("axes"), {})};
}
template <array (*f)(const array&, const array&, const array&, int, StreamOrDevice)>
std::vector<array> writing_along(const Parts& p) {
  return {f(p[0], p[1], p[2], p.integer("axis"), {})};
}

} // namespace

std::span<const Remake> gather_scatter_remakes() {
  using A = std::vector<array>;
  static constexpr Remake rows[] = {
      {"Gather",
          [](const Parts& p) { return A{gather(p[0], p.operands_from(1), p.axes("axes"), p.shape("slice_sizes"))}; }},
      {"GatherAxis", [](const Parts& p) { return A{take_along_axis(p[0], p[1], p.integer("axis"))}; }},
      {"Scatter", scattering<scatter>},
      {"ScatterAdd", scattering<scatter_add>},
      {"ScatterProd", scattering<scatter_prod>},
      {"ScatterMax", scattering<scatter_max>},
      {"ScatterMin", scattering<scatter_min>},
      {"ScatterAxis", writing_along<put_along_axis>},
      {"ScatterAddAxis", writing_along<scatter_add_axis>},
      {"AsStrided",
          [](const Parts& p) {
            Shape strides = p.shape("strides");
            return A{as_strided(p[0], p.shape("shape"), Strides(strides.begin(), strides.end()), p.size("offset"))};
          }},
  };
  return rows;
}

} // namespace mlx::core
