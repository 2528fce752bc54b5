// Indices that may lie outside: brought inside before anything is read or written, by ops, so that all transforms are
// those of the ops.
#include "mlx_core/out_of_bounds.h"

#include <limits>

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

OutOfBounds out_of_bounds(const char* op, const std::string& mode) {
  constexpr const char* names[] = {"raise", "clip", "wrap", "fill"};
  for (size_t i = 0; i < std::size(names); ++i) {
    if (mode == names[i]) {
      return static_cast<OutOfBounds>(i);
    }
  }
  fail(op, "mode is \"", mode, "\"; it must be \"raise\", \"clip\", \"wrap\" or \"fill\".");
}

static int kind_of(Dtype dtype) { return dtype.is_complex() ? 2 : dtype.is_floating() ? 1 : 0; }

array fill_of(const char* op, const std::optional<array>& given, Dtype dtype, OutOfBounds mode) {
  if (given) {
    if (mode != OutOfBounds::fill) {
      fail(op, "fill_value is given, but only with mode=\"fill\" is anything filled.");
    }
    if (given->ndim() != 0) {
      fail(op, "fill_value has shape ", given->shape(), "; it must be one number.");
    }
    if (kind_of(given->dtype()) > kind_of(dtype)) {
      fail<TypeError>(op, "fill_value is of ", given->dtype(), ", which elements of ", dtype, " cannot hold.");
    }
    return astype(*given, dtype);
  }
  if (dtype.is_inexact()) {
    return array(std::numeric_limits<double>::quiet_NaN(), dtype);
  }
  if (dtype == bool_) {
    return array(true);
  }
  if (dtype.is_signed()) {
    int64_t lowest = std::numeric_limits<int64_t>::min() >> (64 - 8 * dtype.size());
    return array(lowest, dtype);
  }
  return astype(array(int64_t{-1}, int64), dtype);
}

namespace {

// A dtype for arithmetic with indices and a length.
Dtype wide_enough(Dtype indices, Dim length) {
  bool small = !length.is_symbolic() && length <= std::numeric_limits<int32_t>::max();
  return indices == uint64 || (indices == int32 && small) ? indices : int64;
}

struct Inside {
  array index;
  std::optional<array> is_inside; // with fill: where not, index is 0
};

// An index of slices of this length.
Inside brought_inside(const array& indices, Dim length, Dim slice, OutOfBounds mode) {
  array i = astype(indices, wide_enough(indices.dtype(), length));
  Dtype dtype = i.dtype();
  array zero = array(0, dtype);
  switch (mode) {
    case OutOfBounds::raise: break;
    case OutOfBounds::clip: {
      array first = maximum(i, zero);
      // of an axis without elements nothing is inside, and 0 is the error
      return {minimum(first, size_number(larger_of(length - slice, 0), dtype)), std::nullopt};
    }
    case OutOfBounds::wrap: return {remainder(i, size_number(length, dtype)), std::nullopt};
    case OutOfBounds::fill: {
      array from_start = dtype == uint64 ? i : where(less(i, zero), add(i, size_number(length, dtype)), i);
      array places = size_number(larger_of(length - slice + 1, 0), dtype);
      array inside = logical_and(greater_equal(from_start, zero), less(from_start, places));
      return {where(inside, from_start, zero), inside};
    }
  }
  return {indices, std::nullopt};
}

struct AllInside {
  std::vector<array> indices;
  std::optional<array> are_inside; // all of a place's
};

AllInside brought_inside(const std::vector<array>& indices, const Axes& axes, const Shape& shape,
    const Shape& slice_sizes, OutOfBounds mode) {
  AllInside all;
  for (size_t k = 0; k < indices.size(); ++k) {
    auto axis = static_cast<size_t>(axes[k]);
    Inside one = brought_inside(indices[k], shape[axis], slice_sizes[axis], mode);
    all.indices.push_back(one.index);
    if (one.is_inside) {
      all.are_inside = all.are_inside ? logical_and(*all.are_inside, *one.is_inside) : *one.is_inside;
    }
  }
  return all;
}

// `values` whose first axes are those of `is_inside`, with the fill value where that is false; after `behind` axes.
array filled(const array& values, const array& is_inside, int behind, const array& fill) {
  Shape shape = is_inside.shape();
  for (int i = behind + is_inside.ndim(); i < values.ndim(); ++i) {
    shape.push_back(1);
  }
  return where(reshape(is_inside, shape), values, fill);
}

// With one more element along axes that have none, so that 0 is inside.
array never_empty(array a, const Axes& axes, const array& fill) {
  for (int axis : axes) {
    Shape more = a.shape();
    Dim& length = more[static_cast<size_t>(axis)];
    length = larger_of(1 - length, 0);
    if (!surely_equal(length, 0)) {
      a = concatenate({a, broadcast_to(fill, more)}, axis);
    }
  }
  return a;
}

} // namespace

array take(const array& a, const array& indices, int axis, OutOfBounds mode, const std::optional<array>& fill_value,
    StreamOrDevice s) {
  StreamScope on(s);
  array fill = fill_of("take", fill_value, a.dtype(), mode);
  if (mode == OutOfBounds::raise) {
    return take(a, indices, axis);
  }
  check_indices("take", indices);
  int at = normalize_axis("take", axis, a.ndim());
  Inside inside = brought_inside(indices, a.shape(at), 1, mode);
  if (!inside.is_inside) {
    return take(a, inside.index, at);
  }
  return filled(take(never_empty(a, {at}, fill), inside.index, at), *inside.is_inside, at, fill);
}

array take_along_axis(const array& a, const array& indices, int axis, OutOfBounds mode,
    const std::optional<array>& fill_value, StreamOrDevice s) {
  StreamScope on(s);
  array fill = fill_of("take_along_axis", fill_value, a.dtype(), mode);
  if (mode == OutOfBounds::raise) {
    return take_along_axis(a, indices, axis);
  }
  check_indices("take_along_axis", indices);
  int at = normalize_axis("take_along_axis", axis, a.ndim());
  Inside inside = brought_inside(indices, a.shape(at), 1, mode);
  if (!inside.is_inside) {
    return take_along_axis(a, inside.index, at);
  }
  return where(*inside.is_inside, take_along_axis(never_empty(a, {at}, fill), inside.index, at), fill);
}

array gather(const array& a, const std::vector<array>& indices, const Axes& axes, const Shape& slice_sizes,
    OutOfBounds mode, const std::optional<array>& fill_value, StreamOrDevice s) {
  StreamScope on(s);
  array fill = fill_of("gather", fill_value, a.dtype(), mode);
  if (mode == OutOfBounds::raise) {
    return gather(a, indices, axes, slice_sizes);
  }
  check_indices("gather", indices, axes, a);
  Axes along = indexed_axes("gather", axes, a.ndim());
  AllInside inside = brought_inside(indices, along, a.shape(), slice_sizes, mode);
  if (!inside.are_inside) {
    return gather(a, inside.indices, along, slice_sizes);
  }
  array values = gather(never_empty(a, along, fill), inside.indices, along, slice_sizes);
  array are_inside = broadcast_to(*inside.are_inside, index_shape_of("gather", inside.indices));
  return filled(values, are_inside, 0, fill);
}

array write_inside(const char* op, const array& a, const std::vector<array>& indices, const Axes& axes,
    OutOfBounds mode, const std::function<array(const array&, const std::vector<array>&)>& write) {
  if (mode == OutOfBounds::raise || indices.empty()) {
    return write(a, indices);
  }
  check_indices(op, indices, axes, a);
  Axes along = indexed_axes(op, axes, a.ndim());
  AllInside inside = brought_inside(indices, along, a.shape(), Shape(a.shape().size(), 1), mode);
  if (!inside.are_inside) {
    return write(a, inside.indices);
  }
  Shape row = a.shape();
  auto first = static_cast<size_t>(along[0]);
  row[first] = 1;
  array& index = inside.indices[0];
  index = where(*inside.are_inside, index, size_number(a.shape()[first], index.dtype()));
  array nothing(0, a.dtype());
  array longer = never_empty(concatenate({a, broadcast_to(nothing, row)}, along[0]), along, nothing);
  Shape start(row.size(), 0), steps(row.size(), 1);
  return slice(write(longer, inside.indices), start, a.shape(), steps);
}

array put_along_axis(
    const array& a, const array& indices, const array& values, int axis, OutOfBounds mode, StreamOrDevice s) {
  StreamScope on(s);
  if (mode == OutOfBounds::raise) {
    return put_along_axis(a, indices, values, axis);
  }
  int at = normalize_axis("put_along_axis", axis, a.ndim());
  return write_inside("put_along_axis", a, {indices}, {at}, mode,
      [&](const array& x, const std::vector<array>& inside) { return put_along_axis(x, inside[0], values, at); });
}

} // namespace mlx::core
