// Finding and counting: searchsorted, unique, count_nonzero, minmax.
#include <limits>

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/deciding_values.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/shape/shape.h"
#include "mlx_core/value_shapes.h"

namespace mlx::core {

// Operands: sorted rows (batch axes, then the row) and values (the same batch axes, then at least one more).
class SearchSorted final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "searchsorted",
      .primitive = "SearchSorted",
      .summary = "The indices at which values go into a sorted array so that it stays sorted.",
      .differentiable = Differentiable::no,
      .no_derivative = {"the output is indices"},
      .example = ">>> mx.searchsorted(mx.array([1, 2, 2, 4]), mx.array([0, 2, 5]))\narray([0, 1, 4], dtype=int32)",
      .details =
          "sorted_sequence has one axis and ascends, NaNs last; values may have any shape. With side \"left\" the "
          "index is the "
          "number of elements below the value, with \"right\" that of elements not above it. Both are promoted to a "
          "common "
          "dtype."};

  SearchSorted(bool right, int batch_rank) : right_(right), batch_rank_(batch_rank) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override {
    v("right", right_);
    v("batch_rank", batch_rank_);
  }
  Specs infer(Operands operands) const override {
    Dtype dtype = index_dtype("searchsorted", operands[0].shape(), operands[0].ndim() - 1);
    return {Spec{operands[1].shape(), dtype}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array &sorted = operands[0], &values = operands[1];
    outputs[0].allocate();
    Strides row_strides(values.shape().size(), 0);
    for (size_t i = 0; i < static_cast<size_t>(batch_rank_); ++i) {
      row_strides[i] = sorted.strides()[i];
    }
    kernels.run(kernel::SearchSorted{sorted.view(), values.view(), row_strides, right_, outputs[0].view()});
  }
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    if (!axes[0] && batch_rank_ == 0) { // more values
      return {{applied(self(*this), operands)}, {*axes[1]}};
    }
    Dim lanes = lanes_of(operands, axes);
    array sorted = batch_first(operands[0], axes[0], lanes), values = batch_first(operands[1], axes[1], lanes);
    return {{applied(make_primitive<SearchSorted>(right_, batch_rank_ + 1), {sorted, values})}, {0}};
  }

 private:
  bool right_;
  int batch_rank_;
};

array searchsorted(const array& sorted_sequence, const array& values, const std::string& side, StreamOrDevice s) {
  StreamScope on(s);
  if (sorted_sequence.ndim() != 1) {
    fail("searchsorted", "sorted_sequence has shape ", sorted_sequence.shape(), "; it must have one axis.");
  }
  if (side != "left" && side != "right") {
    fail("searchsorted", "side is \"", side, "\"; it must be \"left\" or \"right\".");
  }
  Dtype common = promote_types(sorted_sequence.dtype(), values.dtype());
  // The kernel runs along an axis.
  array targets = values.ndim() == 0 ? reshape(values, {1}) : values;
  array found = applied(
      make_primitive<SearchSorted>(side == "right", 0), {astype(sorted_sequence, common), astype(targets, common)});
  return reshape(found, values.shape());
}

namespace {

array ascending(const array& x) { return argsort(x, 0); }

// Of each element in sorted order, how many different ones come before it. Equal ones keep their order, so the first of
// them is the first occurrence.
array ranks(const array& x, const array& order) {
  array sorted = take(x, order, 0), start = ones({1}, bool_);
  Dim length = x.size();
  if (!surely_equal(length, 1)) {
    start = concatenate({start, not_equal(slice(sorted, {1}, {length}), slice(sorted, {0}, {length - 1}))}, 0);
  }
  return subtract(cumsum(astype(start, int32), 0), array(1, int32));
}

} // namespace

static constexpr OpInfo unique_info{.name = "unique",
    .summary = "The smallest `size` different elements of the flattened array, ascending.",
    .example = ">>> mx.unique(mx.array([2, 1, 2, 3, 1]), 3)\narray([1, 2, 3], dtype=int32)",
    .details =
        "The shape does not depend on the values: entries past the last different element hold fill_value (by default "
        "the "
        "smallest element), and their count is 0. With return_index, return_inverse or return_counts a tuple: the "
        "values; "
        "the index in the flattened array of the first occurrence of each; for each element of a, the index of its "
        "value; "
        "how often each occurs. When there are more than size different elements, inverse is clamped to the last "
        "entry. "
        "Each NaN is different. The derivative goes to the first occurrences."};
std::vector<array> unique(const array& a, int size, bool return_index, bool return_inverse, bool return_counts,
    const std::optional<array>& fill_value, StreamOrDevice s) {
  StreamScope on(s);
  if (size < 0) {
    fail("unique", "size is ", size, "; the number of entries cannot be negative.");
  }
  if (fill_value && !(fill_value->size() == 1)) {
    fail("unique", "fill_value has shape ", fill_value->shape(), "; it must be one element.");
  }
  array x = flatten(a);
  Dim length = x.size();
  if (!length.is_symbolic() && length > std::numeric_limits<int32_t>::max()) {
    fail("unique", "a of shape ", a.shape(), " has more elements than int32 can count; cut it into parts.");
  }
  if (length == 0 && size > 0 && !fill_value) {
    fail("unique", "a has no elements but size is ", size, "; give a fill_value for the entries, or size 0.");
  }
  array fill = fill_value ? astype(reshape(*fill_value, {}), x.dtype()) : array(0, x.dtype());
  if (length == 0) {
    array none = zeros({size}, int32);
    x = full({size}, fill, x.dtype());
    std::vector<array> out{x};
    if (return_index) out.push_back(none);
    if (return_inverse) out.push_back(zeros(a.shape(), int32));
    if (return_counts) out.push_back(none);
    return out;
  }
  // Entry k is at the places where rank is k.
  array order = ascending(x), rank = ranks(x, order);
  array entries = arange(0, size, 1, int32);
  array first = searchsorted(rank, entries, "left"), behind = searchsorted(rank, entries, "right");
  array present = less(first, behind);
  array index = take(order, where(present, first, array(0, first.dtype())), 0);
  array values = take(x, index, 0);
  std::vector<array> out{fill_value ? where(present, values, fill) : values};
  if (return_index) {
    out.push_back(index);
  }
  if (return_inverse) {
    array clamped = minimum(rank, array(std::max(size - 1, 0), int32));
    out.push_back(reshape(put_along_axis(zeros({length}, int32), order, clamped, 0), a.shape()));
  }
  if (return_counts) {
    out.push_back(astype(subtract(behind, first), int32));
  }
  return out;
}
array unique(const array& a, int size, const std::optional<array>& fill_value, StreamOrDevice s) {
  return unique(a, size, false, false, false, fill_value, s)[0];
}

Distinct distinct(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  array x = flatten(a);
  Dim length = x.size();
  if (length > std::numeric_limits<int32_t>::max()) {
    fail("unique_all", "a of shape ", a.shape(), " has more elements than int32 can count; cut it into parts.");
  }
  if (length == 0) {
    array none = zeros({0}, int32);
    return {x, none, none, array(0, int32), a.shape()};
  }
  array order = ascending(x), rank = ranks(x, order);
  return {x, order, rank, add(reshape(slice(rank, {length - 1}, {length}), {}), array(1, int32)), a.shape()};
}

std::vector<array> unique_all(const Distinct& of, StreamOrDevice s) {
  StreamScope on(s);
  int32_t different = deciding("unique_all", "a", of.x, "unique(a, size) has as many entries as it is told.",
      [&] { return of.count.item<int32_t>(); });
  array entries = arange(0, different, 1, int32);
  array first = searchsorted(of.rank, entries, "left"), behind = searchsorted(of.rank, entries, "right");
  array index = take(of.order, first, 0);
  array inverse = put_along_axis(zeros(of.x.shape(), int32), of.order, of.rank, 0);
  return {
      take(of.x, index, 0), astype(index, int32), reshape(inverse, of.shape), astype(subtract(behind, first), int32)};
}
std::vector<array> unique_all(const array& a, StreamOrDevice s) { return unique_all(distinct(a, s), s); }

static constexpr OpInfo count_nonzero_info{.name = "count_nonzero",
    .summary = "The number of elements over axes that are not zero.",
    .differentiable = Differentiable::zero,
    .no_derivative = {"a count is constant around almost every argument"},
    .example = ">>> mx.count_nonzero(mx.array([[1, 0], [3, 4]]), axis=0)\narray([2, 1], dtype=int32)",
    .details =
        "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. NaN is not "
        "zero."};
array count_nonzero(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  StreamScope on(s);
  Axes over = normalize_axes("count_nonzero", axes, a.ndim());
  return sum(astype(not_equal(a, array(0, a.dtype())), int32), over, keepdims, s);
}
array count_nonzero(const array& a, bool keepdims, StreamOrDevice s) {
  return count_nonzero(a, all_axes(a.ndim()), keepdims, s);
}

static constexpr OpInfo minmax_info{.name = "minmax",
    .summary = "The minimum and the maximum over axes.",
    .example = ">>> mx.minmax(mx.array([3, 1, 2]))\n(array(1, dtype=int32), array(3, dtype=int32))",
    .details =
        "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. See min "
        "and max."};
std::vector<array> minmax(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  Axes over = normalize_axes("minmax", axes, a.ndim());
  for (int axis : over) {
    if (surely_equal(a.shape(axis), 0)) {
      fail("minmax", "axis ", axis, " of shape ", a.shape(), " has no elements, so there is no minimum over it.");
    }
  }
  return {min(a, over, keepdims, s), max(a, over, keepdims, s)};
}
std::vector<array> minmax(const array& a, bool keepdims, StreamOrDevice s) {
  return minmax(a, all_axes(a.ndim()), keepdims, s);
}

std::span<const OpInfo* const> search_ops() {
  static constexpr const OpInfo* ops[] = {&SearchSorted::info, &unique_info, &count_nonzero_info, &minmax_info};
  return ops;
}

} // namespace mlx::core
