// The same elements in other places: repeated, rolled, flipped, spread over a grid. All are made of views and copies,
// whose rules give theirs.
#include "mlx_core/ops/shape/rearrange.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

// --- repetition: a broadcast along a new axis, merged into its neighbour ---

static constexpr OpInfo tile_info{.name = "tile",
    .summary = "The array repeated as a whole along its axes.",
    .example =
        ">>> mx.tile(mx.array([1, 2]), 2)\narray([1, 2, 1, 2], dtype=int32)\n"
        ">>> mx.tile(mx.array([1, 2]), (2, 1))\narray([[1, 2],\n       [1, 2]], dtype=int32)",
    .details =
        "reps counts the copies along each axis, from the last; where it has more entries than a has axes, a gets "
        "leading axes of length 1. Raises ValueError for a negative count."};
array tile(const array& a, const Shape& reps, StreamOrDevice s) try {
  StreamScope on(s);
  size_t rank = std::max(reps.size(), a.shape().size());
  Shape apart, copies, merged;
  for (size_t i = 0; i < rank; ++i) {
    size_t no_length = rank - a.shape().size(), no_count = rank - reps.size();
    Dim length = i < no_length ? Dim(1) : a.shape()[i - no_length], count = i < no_count ? Dim(1) : reps[i - no_count];
    if (!count.is_symbolic() && count < 0) {
      fail("tile", "reps ", reps, " has a negative entry; a number of copies is 0 or more.");
    }
    if (!surely_equal(count, 1)) {
      apart.push_back(1);
      copies.push_back(count);
    }
    apart.push_back(length);
    copies.push_back(length);
    merged.push_back(count * length);
  }
  return reshape(broadcast_to(reshape(a, std::move(apart)), copies), std::move(merged));
} catch (const SizeError& error) {
  error.rethrow_in("tile");
}

static constexpr OpInfo repeat_info{.name = "repeat",
    .summary = "The array with each entry along an axis repeated in place.",
    .example =
        ">>> mx.repeat(mx.array([1, 2]), 2)\narray([1, 1, 2, 2], dtype=int32)\n"
        ">>> mx.repeat(mx.array([[1, 2]]), 2, axis=0)\narray([[1, 2],\n       [1, 2]], dtype=int32)\n"
        ">>> mx.repeat(mx.array([1, 2, 3]), [2, 0, 1])\narray([1, 1, 3], dtype=int32)",
    .details =
        "With axis=None the flattened array. Several counts are one for each entry; they decide the result's shape, so "
        "that their values are read: an array of counts must be known, which it is not inside vmap or compile. Raises "
        "ValueError for a negative count, or another number of counts than entries."};
array repeat(const array& a, int repeats, int axis, StreamOrDevice s) try {
  StreamScope on(s);
  auto at = static_cast<size_t>(normalize_axis("repeat", axis, a.ndim()));
  if (repeats < 0) {
    fail("repeat", "repeats is ", repeats, "; a number of copies is 0 or more.");
  }
  if (repeats == 1) {
    return a;
  }
  Shape copies = a.shape(), merged = a.shape();
  copies.insert(copies.begin() + at + 1, repeats);
  merged[at] *= repeats;
  return reshape(broadcast_to(expand_dims(a, {static_cast<int>(at) + 1}), copies), std::move(merged));
} catch (const SizeError& error) {
  error.rethrow_in("repeat");
}
array repeat(const array& a, int repeats, StreamOrDevice s) { return repeat(flatten(a), repeats, 0, s); }
array repeat(const array& a, const std::vector<int64_t>& repeats, int axis, StreamOrDevice s) try {
  StreamScope on(s);
  auto at = static_cast<size_t>(normalize_axis("repeat", axis, a.ndim()));
  int64_t length = a.shape()[at], total = 0;
  if (static_cast<int64_t>(repeats.size()) != length) {
    fail("repeat", "there are ", repeats.size(), " counts for the ", length, " entries along axis ", axis, " of shape ",
        a.shape(), "; give one for each, or one number for all.");
  }
  for (int64_t count : repeats) {
    if (count < 0) {
      fail("repeat", "repeats has a count of ", count, "; a number of copies is 0 or more.");
    }
    total = checked_add(total, count);
  }
  Shape merged = a.shape();
  merged[at] = total;
  check_shape("repeat", merged);
  if (surely_equal(size_of(merged), 0)) {
    return zeros(std::move(merged), a.dtype());
  }
  // Which entry stands at each place.
  array entries = array::uninitialized({Dim(total)}, int64);
  auto* entry = reinterpret_cast<int64_t*>(entries.mutable_data());
  for (size_t i = 0; i < repeats.size(); ++i) {
    entry = std::fill_n(entry, repeats[i], static_cast<int64_t>(i));
  }
  return take(a, entries, static_cast<int>(at), s);
} catch (const SizeError& error) {
  error.rethrow_in("repeat");
}

// --- order ---

static constexpr OpInfo roll_info{.name = "roll",
    .summary = "The entries moved along an axis; those that leave at one end come back at the other.",
    .example = ">>> mx.roll(mx.array([1, 2, 3, 4]), 1)\narray([4, 1, 2, 3], dtype=int32)",
    .details =
        "shift counts places towards higher indices. One shift serves all given axes; several with one axis add up, "
        "else there is one for each axis. With axis=None the elements move in row-major order."};
array roll(const array& a, const Shape& shift, const Axes& axes, StreamOrDevice s) try {
  StreamScope on(s);
  if (shift.size() != axes.size() && shift.size() != 1 && axes.size() != 1) {
    fail("roll", "shift ", shift, " and axis ", axes,
        " have different numbers of entries; give one shift for each axis.");
  }
  Shape total(a.shape().size(), 0);
  for (size_t i = 0; i < std::max(shift.size(), axes.size()) && !axes.empty() && !shift.empty(); ++i) {
    auto at = static_cast<size_t>(normalize_axis("roll", axes[axes.size() == 1 ? 0 : i], a.ndim()));
    total[at] += shift[shift.size() == 1 ? 0 : i];
  }
  array y = a;
  for (size_t at = 0; at < total.size(); ++at) {
    if (surely_equal(total[at], 0)) {
      continue;
    }
    Dim n = a.shape()[at], places = total[at], turn = larger_of(n, 1);
    Dim behind = places - floor_divide(places, turn) * turn; // entries that come to the front
    if (surely_equal(behind, 0)) {
      continue;
    }
    Shape zero(a.shape().size(), 0), cut_start = zero, cut_stop = a.shape();
    cut_start[at] = n - behind;
    cut_stop[at] = n - behind;
    y = concatenate({slice(y, cut_start, a.shape()), slice(y, zero, cut_stop)}, static_cast<int>(at));
  }
  return y;
} catch (const SizeError& error) {
  error.rethrow_in("roll");
}
array roll(const array& a, int shift, int axis, StreamOrDevice s) { return roll(a, Shape{shift}, Axes{axis}, s); }
array roll(const array& a, int shift, StreamOrDevice s) { return reshape(roll(flatten(a), shift, 0, s), a.shape()); }

static constexpr OpInfo flip_info{.name = "flip",
    .primitive = "Slice",
    .summary = "The entries in reverse order along the given axes; along every axis by default.",
    .example = ">>> mx.flip(mx.array([[1, 2], [3, 4]]), axis=1)\narray([[2, 1],\n       [4, 3]], dtype=int32)",
    .details = "A view."};
array flip(const array& a, const Axes& axes, StreamOrDevice s) {
  Shape start(a.shape().size(), 0), stop = a.shape(), strides(a.shape().size(), 1);
  for (int axis : normalize_axes("flip", axes, a.ndim())) {
    auto at = static_cast<size_t>(axis);
    start[at] = -1;
    stop[at] = -1 - a.shape()[at]; // the very beginning, included
    strides[at] = -1;
  }
  return slice(a, std::move(start), std::move(stop), std::move(strides), s);
}
array flip(const array& a, StreamOrDevice s) { return flip(a, all_axes(a.ndim()), s); }

// --- grids ---

static constexpr OpInfo meshgrid_info{.name = "meshgrid",
    .primitive = "Broadcast",
    .summary = "The coordinates of a grid's points: one array for each axis, from the coordinates along it.",
    .example =
        ">>> x, y = mx.meshgrid(mx.array([1, 2]), mx.array([3, 4]))\n>>> x\narray([[1, 2],\n       [1, 2]], "
        "dtype=int32)\n"
        ">>> y\narray([[3, 3],\n       [4, 4]], dtype=int32)",
    .details =
        "Arguments are flattened. indexing=\"xy\" exchanges the first two axes of the results, \"ij\" does not. With "
        "sparse they have length 1 along the other axes, and broadcast to the grid. Raises ValueError for another "
        "indexing."};
std::vector<array> meshgrid(
    const std::vector<array>& arrays, bool sparse, const std::string& indexing, StreamOrDevice s) {
  StreamScope on(s);
  if (indexing != "xy" && indexing != "ij") {
    fail("meshgrid", "indexing is \"", indexing, "\"; it should be \"xy\" or \"ij\".");
  }
  bool exchanged = indexing == "xy" && arrays.size() > 1;
  Shape grid(arrays.size(), 1);
  std::vector<array> out;
  for (size_t i = 0; i < arrays.size(); ++i) {
    size_t at = exchanged && i < 2 ? 1 - i : i;
    Shape shape(arrays.size(), 1);
    shape[at] = grid[at] = arrays[i].size();
    out.push_back(reshape(arrays[i], std::move(shape)));
  }
  if (!sparse) {
    check_shape("meshgrid", grid);
  }
  for (array& axis : out) {
    axis = sparse ? axis : broadcast_to(axis, grid);
  }
  return out;
}

static constexpr OpInfo atleast_1d_info{.name = "atleast_1d",
    .primitive = "ExpandDims",
    .summary = "The array, or for a scalar an array of one element.",
    .example = ">>> mx.atleast_1d(mx.array(3))\narray([3], dtype=int32)",
    .details = "Of several arguments, a list."};
array atleast_1d(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return a.ndim() == 0 ? expand_dims(a, {0}) : a;
}

static constexpr OpInfo atleast_2d_info{.name = "atleast_2d",
    .primitive = "ExpandDims",
    .summary = "The array with at least two dimensions: new axes of length 1 come first.",
    .example = ">>> mx.atleast_2d(mx.array([3, 4]))\narray([[3, 4]], dtype=int32)",
    .details = "Of several arguments, a list."};
array atleast_2d(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return a.ndim() == 0 ? expand_dims(a, {0, 1}) : a.ndim() == 1 ? expand_dims(a, {0}) : a;
}

static constexpr OpInfo atleast_3d_info{.name = "atleast_3d",
    .primitive = "ExpandDims",
    .summary = "The array with at least three dimensions: (n,) becomes (1, n, 1) and (m, n) becomes (m, n, 1).",
    .example = ">>> mx.atleast_3d(mx.array([3, 4])).shape\n(1, 2, 1)",
    .details = "Of several arguments, a list."};
array atleast_3d(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  switch (a.ndim()) {
    case 0: return expand_dims(a, {0, 1, 2});
    case 1: return expand_dims(a, {0, 2});
    case 2: return expand_dims(a, {2});
    default: return a;
  }
}

std::span<const OpInfo* const> rearrange_ops() {
  static constexpr const OpInfo* ops[] = {&tile_info, &repeat_info, &roll_info, &flip_info, &meshgrid_info,
      &atleast_1d_info, &atleast_2d_info, &atleast_3d_info};
  return ops;
}

} // namespace mlx::core
