// Parting an axis at an element of the sorted order: partition, argpartition, topk, median.

#include <limits>

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

class ArgPartition final : public Primitive, public OnViews {
 public:
  static constexpr OpInfo info{.name = "argpartition",
      .primitive = "ArgPartition",
      .summary =
          "The indices that partition an array along an axis (the last by default; None takes the flattened array).",
      .differentiable = Differentiable::no,
      .no_derivative = {"the output is indices"},
      .example = ">>> mx.argpartition(mx.array([3, 1, 2]), 1)\narray([1, 2, 0], dtype=int32)",
      .details =
          "See partition for the order. A negative kth counts from the end; one outside the axis raises ValueError."};

  // Of the order along the axis, the places [first, end).
  ArgPartition(Dim kth, int axis, Dim first, Dim end) : kth_(kth), first_(first), end_(end), axis_(axis) {}
  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  void visit(ParamVisitor& v) const override {
    v("kth", kth_);
    v("axis", axis_);
    v("first", first_);
    v("end", end_);
  }
  Specs infer(Operands operands) const override {
    Dtype dtype = index_dtype("argpartition", operands[0].shape(), axis_);
    Shape shape = operands[0].shape();
    shape[static_cast<size_t>(axis_)] = end_ - first_;
    return {Spec{std::move(shape), dtype}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    outputs[0].allocate();
    const View x = operands[0].view();
    run_on({&x, 1}, outputs[0].view(), kernels);
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    kernels.run(kernel::ArgPartition{operands[0], axis_, kth_, first_, output});
  }
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    int axis = axis_ + (axis_ >= *axes[0] ? 1 : 0);
    return {{applied(make_primitive<ArgPartition>(kth_, axis, first_, end_), {operands[0]})}, {*axes[0]}};
  }

 private:
  Dim kth_, first_, end_;
  int axis_;
};

array partition_order(const array& a, Dim kth, int axis, Dim first, Dim end) {
  return applied(make_primitive<ArgPartition>(kth, axis, first, end), {a});
}

namespace {

array parting(const char* op, const array& a, Dim kth, int axis) {
  int at = normalize_axis(op, axis, a.ndim());
  Dim length = a.shape(at);
  if (kth >= length || kth < 0 - length) {
    fail(op, "kth is ", kth, " but axis ", axis, " of shape ", a.shape(), " has ", length,
        " elements; give a kth from ", 0 - length, " to ", length - 1, ".");
  }
  return partition_order(a, kth < 0 ? kth + length : kth, at, 0, length);
}

// Entries [from, to) along an axis.
array range(const array& a, int axis, Dim from, Dim to) {
  Shape start(a.shape().size(), 0), stop = a.shape();
  start[static_cast<size_t>(axis)] = from;
  stop[static_cast<size_t>(axis)] = to;
  return slice(a, std::move(start), std::move(stop));
}

} // namespace

array argpartition(const array& a, int kth, int axis, StreamOrDevice s) {
  StreamScope on(s);
  return parting("argpartition", a, kth, axis);
}
array argpartition(const array& a, int kth, StreamOrDevice s) { return argpartition(flatten(a), kth, 0, s); }

static constexpr OpInfo partition_info{.name = "partition",
    .summary =
        "The elements along an axis with the kth smallest in place kth, those not larger before it and the others "
        "behind.",
    .example = ">>> mx.partition(mx.array([3, 1, 2]), 1)\narray([1, 2, 3], dtype=int32)",
    .details =
        "The axis is the last by default; None takes the flattened array. kth counts from 0, a negative one from the "
        "end; one "
        "outside the axis raises ValueError. The order before and behind kth is not specified. NaNs are the largest; "
        "complex numbers are ordered by real, then imaginary part. The derivative follows each element to its place."};
array partition(const array& a, int kth, int axis, StreamOrDevice s) {
  StreamScope on(s);
  return take_along_axis(a, parting("partition", a, kth, axis), axis);
}
array partition(const array& a, int kth, StreamOrDevice s) { return partition(flatten(a), kth, 0, s); }

static constexpr OpInfo topk_info{.name = "topk",
    .summary = "The k largest elements along an axis (the last by default; None takes the flattened array).",
    .example = ">>> mx.topk(mx.array([3, 1, 2]), 1)\narray([3], dtype=int32)",
    .details =
        "Their order is not specified. k may be from 0 to the length of the axis. NaNs are the largest; complex "
        "numbers are "
        "ordered by real, then imaginary part. The derivative follows each element to its place."};
array topk(const array& a, int k, int axis, StreamOrDevice s) {
  StreamScope on(s);
  int at = normalize_axis("topk", axis, a.ndim());
  Dim length = a.shape(at);
  if (k < 0 || length < k) {
    fail("topk", "k is ", k, " but axis ", axis, " of shape ", a.shape(), " has ", length,
        " elements; give a k from 0 to ", length, ".");
  }
  if (length == k) {
    return a;
  }
  if (k == 0) {
    return range(a, at, 0, 0);
  }
  return take_along_axis(a, partition_order(a, length - k, at, length - k, length), at);
}
array topk(const array& a, int k, StreamOrDevice s) { return topk(flatten(a), k, 0, s); }

static constexpr OpInfo median_info{.name = "median",
    .summary = "The median over axes: the middle element in sorted order, or the mean of the two in the middle.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.median(mx.array([4.0, 1.0, 3.0, 2.0]))\narray(2.5, dtype=float32)",
    .details =
        "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. NaN where "
        "there is "
        "one. Complex numbers are ordered by real, then imaginary part. Raises over axes without elements. The "
        "derivative "
        "goes to the elements in the middle."};
array median(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  StreamScope on(s);
  Axes over = normalize_axes("median", axes, a.ndim()), order;
  Shape lane;
  for (int i = 0, next = 0; i < a.ndim(); ++i) {
    if (next < static_cast<int>(over.size()) && over[static_cast<size_t>(next)] == i) {
      ++next;
    } else {
      order.push_back(i);
      lane.push_back(a.shape(i));
    }
  }
  lane.push_back(1);
  for (int axis : over) {
    order.push_back(axis);
    lane.back() *= a.shape(axis);
  }
  Dim length = lane.back();
  if (length == 0) {
    fail("median", "axis ", over, " of shape ", a.shape(), " has no elements, so there is no median over it.");
  }
  // Parted at the upper middle, an axis has the lower one just in front of it.
  Dim half = length / 2;
  bool two = 2 * half == length;
  Dtype out = inexact_of(a.dtype());
  array x = reshape(transpose(a, order), lane);
  array places = partition_order(x, half, x.ndim() - 1, two ? half - 1 : half, half + 1);
  array middle = astype(take_along_axis(x, places, -1), out);
  if (two) {
    middle = sum(multiply(middle, array(0.5, out)), {-1}, true);
  }
  if (a.dtype().is_inexact()) {
    middle = where(any(isnan(x), {-1}, true), array(std::numeric_limits<float>::quiet_NaN(), out), middle);
  }
  array y = squeeze(middle, {-1});
  return keepdims ? expand_dims(y, over) : y;
}
array median(const array& a, bool keepdims, StreamOrDevice s) { return median(a, all_axes(a.ndim()), keepdims, s); }

std::vector<array> partition_remade(const Parts& p) {
  const array& a = p[0];
  int axis = normalize_axis("argpartition", p.integer("axis"), a.ndim());
  Dim length = a.shape(axis), kth = p.size("kth"), first = 0, end = length;
  if (p.is_integer("first")) { // files had the whole order alone
    first = p.size("first");
    end = p.size("end");
  }
  Parts::require(!(kth < 0) && kth < length && !(first < 0) && !(end < first) && !(length < end),
      "a partition's places are not on its axis.");
  return {partition_order(a, kth, axis, first, end)};
}

std::span<const OpInfo* const> partition_ops() {
  static constexpr const OpInfo* ops[] = {&ArgPartition::info, &partition_info, &topk_info, &median_info};
  return ops;
}

} // namespace mlx::core
