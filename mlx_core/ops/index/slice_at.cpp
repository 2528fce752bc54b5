// Slices that start at computed indices: a gather, or scatter, of one slice. So starts may be traced or mapped over.
#include <algorithm>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/shape/range.h"
#include "mlx_core/ops/shape/size_number.h"
#include "mlx_core/out_of_bounds.h"

namespace mlx::core {

// One scalar index array for each of the axes.
static std::vector<array> starts(const char* op, const array& start, const Axes& axes) {
  if (start.ndim() > 1 || surely_differ(start.size(), static_cast<int64_t>(axes.size()))) {
    fail(op, "start_indices has shape ", start.shape(), " but axes has ", axes.size(),
        " entries; there should be one index for each axis.");
  }
  return unstack(reshape(start, {-1}), 0);
}

array detail::slice_at(
    const array& a, const array& start, const Axes& axes, const Shape& slice_size, StreamOrDevice s) {
  check_shape("slice", slice_size);
  return gather(a, starts("slice", start, axes), axes, slice_size, s);
}

// What is written: an update that lacks leading axes takes them whole, or, where they have a start, has length 1.
static array whole_update(const array& src, const array& update, const Axes& axes) {
  if (update.ndim() > src.ndim()) {
    fail("slice_update", "an update of shape ", update.shape(), " has more axes than the array of shape ", src.shape(),
        ".");
  }
  Shape shape(src.shape().begin(), src.shape().end() - update.ndim());
  for (int axis : axes) {
    auto at = static_cast<size_t>(normalize_axis("slice_update", axis, src.ndim()));
    if (at < shape.size()) {
      shape[at] = 1;
    }
  }
  for (Dim length : update.shape()) {
    shape.push_back(length);
  }
  return broadcast_to(update, shape);
}

array detail::slice_update_at(
    const array& src, const array& update, const array& start, const Axes& axes, StreamOrDevice s) {
  return scatter(src, starts("slice_update", start, axes), whole_update(src, update, axes), axes, s);
}

// --- starts that may be outside ---

// A start as int64, which together with the part's length does not overflow, of an axis of this length.
static array first_place(const array& start, Dim length, Dim part, OutOfBounds mode) {
  array n = size_number(length, int64), zero(0, int64);
  array first = astype(start.dtype() == uint64 ? minimum(start, array(INT64_MAX, uint64)) : start, int64);
  switch (mode) {
    case OutOfBounds::raise: break;
    case OutOfBounds::clip: return minimum(maximum(first, zero), size_number(larger_of(length - part, 0), int64));
    case OutOfBounds::wrap: return remainder(first, n);
    case OutOfBounds::fill: return minimum(where(less(first, zero), add(first, n), first), n);
  }
  return first;
}

// The places of all elements of the part along an axis. Outside are those from `length` on.
static array all_places(const array& start, Dim length, Dim part, OutOfBounds mode) {
  array all = add(first_place(start, length, part, mode), whole_range(0, 1, part, int64));
  return mode == OutOfBounds::fill ? where(less(all, array(0, int64)), size_number(length, int64), all) : all;
}

static std::vector<array> clipped_starts(
    const std::vector<array>& starts, const Axes& axes, const Shape& shape, const Shape& part) {
  std::vector<array> all;
  for (size_t k = 0; k < axes.size(); ++k) {
    auto axis = static_cast<size_t>(axes[k]);
    all.push_back(first_place(starts[k], shape[axis], part[axis], OutOfBounds::clip));
  }
  return all;
}

array slice(const array& a, const array& start, const Axes& axes, const Shape& slice_size, OutOfBounds mode,
    const std::optional<array>& fill_value, StreamOrDevice s) {
  StreamScope on(s);
  array fill = fill_of("slice", fill_value, a.dtype(), mode);
  if (mode == OutOfBounds::raise) {
    return detail::slice_at(a, start, axes, slice_size, s);
  }
  check_shape("slice", slice_size);
  std::vector<array> at = starts("slice", start, axes);
  check_indices("slice", at, axes, a);
  Axes along = indexed_axes("slice", axes, a.ndim());
  if (static_cast<int>(slice_size.size()) != a.ndim()) {
    fail("slice", "slice_size is ", slice_size, " but a has shape ", a.shape(), "; there is a length for each axis.");
  }
  if (mode == OutOfBounds::clip) {
    return gather(a, clipped_starts(at, along, a.shape(), slice_size), along, slice_size);
  }
  Shape others = slice_size;
  for (int axis : along) {
    others[static_cast<size_t>(axis)] = a.shape(axis);
  }
  array part = slice(a, Shape(others.size(), 0), others, Shape(others.size(), 1));
  for (size_t k = 0; k < along.size(); ++k) {
    auto axis = static_cast<size_t>(along[k]);
    array places = all_places(at[k], a.shape()[axis], slice_size[axis], mode);
    part = take(part, places, along[k], mode, mode == OutOfBounds::fill ? std::optional(fill) : std::nullopt);
  }
  return part;
}

array slice_update(
    const array& src, const array& update, const array& start, const Axes& axes, OutOfBounds mode, StreamOrDevice s) {
  StreamScope on(s);
  if (mode == OutOfBounds::raise) {
    return detail::slice_update_at(src, update, start, axes, s);
  }
  std::vector<array> at = starts("slice_update", start, axes);
  check_indices("slice_update", at, axes, src);
  Axes along = indexed_axes("slice_update", axes, src.ndim());
  array whole = whole_update(src, update, along);
  if (mode == OutOfBounds::clip) {
    return scatter(src, clipped_starts(at, along, src.shape(), whole.shape()), whole, along);
  }
  // One update for each place along the axes that have starts: (places..., the slice, of length 1 along these axes).
  const size_t count = along.size();
  std::vector<array> places;
  Shape shape;
  Axes to_front;
  for (size_t k = 0; k < count; ++k) {
    auto axis = static_cast<size_t>(along[k]);
    Shape one(count, 1);
    one[k] = whole.shape()[axis];
    places.push_back(reshape(all_places(at[k], src.shape()[axis], one[k], mode), one));
    shape.push_back(one[k]);
    to_front.push_back(along[k]);
  }
  for (int axis = 0; axis < src.ndim(); ++axis) {
    bool has_start = std::find(along.begin(), along.end(), axis) != along.end();
    shape.push_back(has_start ? Dim(1) : whole.shape(axis));
    if (!has_start) to_front.push_back(axis);
  }
  array updates = reshape(transpose(whole, to_front), shape);
  return write_inside("slice_update", src, places, along, mode,
      [&](const array& x, const std::vector<array>& inside) { return scatter(x, inside, updates, along); });
}

} // namespace mlx::core
