// Arrays put together and turned as NumPy's short names do it: vstack, hstack, dstack, column_stack; ravel, fliplr,
// flipud, rot90.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

namespace {

// Each array with at least so many dimensions, one after another along an axis.
array stacked(
    const char* op, const std::vector<array>& arrays, array (*at_least)(const array&, StreamOrDevice), int axis) try {
  std::vector<array> all;
  for (const array& a : arrays) {
    all.push_back(at_least(a, {}));
  }
  if (all.empty()) {
    fail(op, "No arrays were given; at least one is needed.");
  }
  return concatenate(all, axis < all[0].ndim() ? axis : 0);
} catch (const SizeError& error) {
  error.rethrow_in(op);
}

array as_column(const array& a, StreamOrDevice) { return a.ndim() < 2 ? reshape(a, {-1, 1}) : a; }

void check_rank(const char* op, const array& a, int least) {
  if (a.ndim() < least) {
    fail(op, "the array has shape ", a.shape(), "; it needs at least ", least,
        least == 1 ? " dimension." : " dimensions.");
  }
}

} // namespace

static constexpr OpInfo vstack_info{.name = "vstack",
    .summary = "Arrays as rows, one below another: joined along the first axis, vectors as matrices of one row.",
    .example = ">>> mx.vstack([mx.array([1, 2]), mx.array([3, 4])])\narray([[1, 2],\n       [3, 4]], dtype=int32)"};
array vstack(const std::vector<array>& arrays, StreamOrDevice s) {
  StreamScope on(s);
  return stacked("vstack", arrays, atleast_2d, 0);
}

static constexpr OpInfo hstack_info{.name = "hstack",
    .summary = "Arrays side by side: joined along the second axis, vectors along their only one.",
    .example = ">>> mx.hstack([mx.array([1, 2]), mx.array([3])])\narray([1, 2, 3], dtype=int32)"};
array hstack(const std::vector<array>& arrays, StreamOrDevice s) {
  StreamScope on(s);
  return stacked("hstack", arrays, atleast_1d, 1);
}

static constexpr OpInfo dstack_info{.name = "dstack",
    .summary = "Arrays one behind another: joined along the third axis, as atleast_3d has them.",
    .example = ">>> mx.dstack([mx.array([1, 2]), mx.array([3, 4])])\narray([[[1, 3],\n        [2, 4]]], dtype=int32)"};
array dstack(const std::vector<array>& arrays, StreamOrDevice s) {
  StreamScope on(s);
  return stacked("dstack", arrays, atleast_3d, 2);
}

static constexpr OpInfo column_stack_info{.name = "column_stack",
    .summary = "Arrays side by side, vectors as columns.",
    .example =
        ">>> mx.column_stack([mx.array([1, 2]), mx.array([3, 4])])\narray([[1, 3],\n       [2, 4]], dtype=int32)"};
array column_stack(const std::vector<array>& arrays, StreamOrDevice s) {
  StreamScope on(s);
  return stacked("column_stack", arrays, as_column, 1);
}

static constexpr OpInfo ravel_info{.name = "ravel",
    .summary = "The elements in row-major order, along one axis.",
    .example = ">>> mx.ravel(mx.array([[1, 2], [3, 4]]))\narray([1, 2, 3, 4], dtype=int32)"};
array ravel(const array& a, StreamOrDevice s) { return flatten(a, 0, -1, s); }

static constexpr OpInfo fliplr_info{.name = "fliplr",
    .summary = "The elements along the second axis in reverse order.",
    .example = ">>> mx.fliplr(mx.array([[1, 2], [3, 4]]))\narray([[2, 1],\n       [4, 3]], dtype=int32)"};
array fliplr(const array& a, StreamOrDevice s) {
  check_rank("fliplr", a, 2);
  return flip(a, 1, s);
}

static constexpr OpInfo flipud_info{.name = "flipud",
    .summary = "The elements along the first axis in reverse order.",
    .example = ">>> mx.flipud(mx.array([[1, 2], [3, 4]]))\narray([[3, 4],\n       [1, 2]], dtype=int32)"};
array flipud(const array& a, StreamOrDevice s) {
  check_rank("flipud", a, 1);
  return flip(a, 0, s);
}

static constexpr OpInfo rot90_info{.name = "rot90",
    .summary = "The plane of two axes turned by k quarters, from the first of them to the second.",
    .example = ">>> mx.rot90(mx.array([[1, 2], [3, 4]]))\narray([[2, 4],\n       [1, 3]], dtype=int32)",
    .details = "Negative k turn backwards. Raises ValueError unless there are two different axes."};
array rot90(const array& a, int k, const Axes& axes, StreamOrDevice s) {
  StreamScope on(s);
  if (axes.size() != 2) {
    fail("rot90", "axes are ", axes, "; there must be two of them.");
  }
  int first = normalize_axis("rot90", axes[0], a.ndim()), second = normalize_axis("rot90", axes[1], a.ndim());
  if (first == second) {
    fail("rot90", "axes are ", axes, ", the same one twice for an array of shape ", a.shape(), ".");
  }
  switch ((k % 4 + 4) % 4) {
    case 1: return swapaxes(flip(a, second), first, second);
    case 2: return flip(a, Axes{first, second});
    case 3: return flip(swapaxes(a, first, second), second);
    default: return a;
  }
}

std::span<const OpInfo* const> stacking_ops() {
  static constexpr const OpInfo* ops[] = {&vstack_info, &hstack_info, &dstack_info, &column_stack_info, &ravel_info,
      &fliplr_info, &flipud_info, &rot90_info};
  return ops;
}

} // namespace mlx::core
