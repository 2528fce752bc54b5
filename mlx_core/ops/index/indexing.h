// What the indexing families share: checks of index arrays, their batching, and their form for the kernels.
#pragma once

#include <vector>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/out_of_bounds.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// Throws unless the indices are integers.
void check_indices(const char* op, const array& indices);
// Throws unless there is one integer index array for each of the axes, which are axes of x.
void check_indices(const char* op, Operands indices, const Axes& axes, const array& x);
// The axes, not negative, in the order given, which is that of the index arrays; check_indices has seen them.
Axes indexed_axes(const char* op, const Axes& axes, int ndim);
// The shape that index arrays broadcast to.
Shape index_shape_of(const char* op, Operands indices);
// Of the indices along an axis that an op returns: int32, or uint32 where the axis has more elements than int32 can
// count. Throws where uint32 cannot, either. Kernels write 32 bits.
Dtype index_dtype(const char* op, const Shape& shape, int axis);
// 0, 1, 2, ... in row-major order: a number for each element of `shape`, to tell updates of one place apart.
array position_numbers(const Shape& shape);

// The index operands of a kernel, broadcast to `rank` axes.
std::vector<kernel::Index> kernel_indices(std::span<const View> indices, const Axes& axes, size_t rank);
std::vector<kernel::Index> kernel_indices(Operands indices, const Axes& axes, size_t rank);

// Indices of a batch: the batch axis first, and the lanes' own axes lined up behind it. axes[0] is the indexed array's,
// axes[i + 1] that of indices[i].
struct BatchedIndices {
  BatchedIndices(Operands indices, const MapAxes& axes);
  // One more index, along the batch axis of the indexed array: each lane reads and writes its own part.
  void select_lane(Dim lanes);

  std::vector<array> arrays;
  int rank = 0; // of the indices of one lane
  bool mapped = false;
};

// The number that is read outside of an array of this dtype: the one given, or the default (out_of_bounds.h).
array fill_of(const char* op, const std::optional<array>& given, Dtype dtype, OutOfBounds mode);

} // namespace mlx::core
