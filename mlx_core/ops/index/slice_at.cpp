// Slices that start at computed indices: a gather, or scatter, of one slice. So starts may be traced or mapped over.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/batching.h"

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

array detail::slice_update_at(
    const array& src, const array& update, const array& start, const Axes& axes, StreamOrDevice s) {
  std::vector<array> indices = starts("slice_update", start, axes);
  if (update.ndim() > src.ndim()) {
    fail("slice_update", "an update of shape ", update.shape(), " has more axes than the array of shape ", src.shape(),
        ".");
  }
  // Leading axes that the update lacks are taken whole, or, where they have a start, have length 1.
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
  return scatter(src, indices, broadcast_to(update, shape), axes, s);
}

} // namespace mlx::core
