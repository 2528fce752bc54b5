// What the indexing families share: checks of index arrays, their batching, and their form for the kernels.
#include "mlx_core/ops/index/indexing.h"

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/ops/shape/range.h"

namespace mlx::core {

void check_indices(const char* op, const array& indices) {
  if (!indices.dtype().is_integer()) {
    fail(op, "the indices are ", indices.dtype(), "; they must be integers.");
  }
}

void check_indices(const char* op, Operands indices, const Axes& axes, const array& x) {
  if (indices.size() != axes.size()) {
    fail(op, "there are ", indices.size(), " indices but ", axes.size(), " axes; give one index array for each axis.");
  }
  for (const array& index : indices) {
    check_indices(op, index);
  }
  normalize_axes(op, axes, x.ndim());
}

Axes indexed_axes(const char* op, const Axes& axes, int ndim) {
  Axes all;
  for (int axis : axes) {
    all.push_back(normalize_axis(op, axis, ndim));
  }
  return all;
}

Dtype index_dtype(const char* op, const Shape& shape, int axis) {
  Dim length = shape[static_cast<size_t>(axis)];
  if (!length.is_symbolic() && length > (int64_t{1} << 32)) {
    fail(op, "axis ", axis, " of shape ", shape, " has ", length,
        " elements, which uint32 cannot number; cut the array into parts.");
  }
  return !length.is_symbolic() && length > (int64_t{1} << 31) ? uint32 : int32;
}

Shape index_shape_of(const char* op, Operands indices) {
  Shape shape;
  for (const array& index : indices) {
    shape = broadcast_shapes(op, shape, index.shape());
  }
  return shape;
}

array position_numbers(const Shape& shape) {
  Dim count = size_of(shape);
  return reshape(whole_range(0, 1, count, count < (int64_t{1} << 31) ? int32 : int64), shape);
}

std::vector<kernel::Index> kernel_indices(std::span<const View> indices, const Axes& axes, size_t rank) {
  std::vector<kernel::Index> out;
  out.reserve(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) {
    View view = indices[i];
    Strides strides(rank, 0);
    for (size_t k = 0, before = rank - view.ndim(); k < view.ndim(); ++k) {
      strides[before + k] = view.sizes[k] == 1 ? 0 : view.strides[k];
    }
    view.strides = std::move(strides);
    out.push_back({std::move(view), axes[i]});
  }
  return out;
}

std::vector<kernel::Index> kernel_indices(Operands indices, const Axes& axes, size_t rank) {
  SmallVector<View, 3> views;
  for (const array& index : indices) {
    views.push_back(index.view());
  }
  return kernel_indices({views.begin(), views.size()}, axes, rank);
}

BatchedIndices::BatchedIndices(Operands indices, const MapAxes& axes) {
  for (size_t i = 0; i < indices.size(); ++i) {
    MapAxis axis = axes[i + 1];
    rank = std::max(rank, indices[i].ndim() - (axis ? 1 : 0));
    mapped = mapped || axis;
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    arrays.push_back(batch_aligned(indices[i], axes[i + 1], rank));
  }
}

void BatchedIndices::select_lane(Dim lanes) {
  Shape shape(static_cast<size_t>(rank) + 1, 1);
  shape[0] = lanes;
  arrays.push_back(reshape(position_numbers({lanes}), shape));
}

} // namespace mlx::core
