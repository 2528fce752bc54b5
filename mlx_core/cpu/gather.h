// Reading and writing at integer indices.
#pragma once

#include <cstdint>

#include "mlx_core/backend/body.h"
#include "mlx_core/cpu/copy.h"

namespace mlx::core::cpu {

// One index operand of a gather or scatter: integers of any integer dtype, broadcast (by strides) to index_shape, that
// select along `axis` of the indexed array. Negative values count from the end.
struct IndexOperand {
  const void* data;
  Dtype dtype;
  Ints strides;
  int axis;
};

// out[i..., s...] = src[index, + s...]: for each position i of index_shape, the slice of `src` of shape slice_shape
// (one entry per axis of src) that starts at the indices (0 on axes without an index). out is consecutive: the first
// `outer` axes of the slice, which have no index, then index_shape, and the slice's other axes. Parallel when large.
// Throws std::out_of_range naming the index, the axis and its length when an index is outside [-length, length -
// slice].
void gather(const void* src, Ints src_shape, Ints src_strides, int item_size, std::span<const IndexOperand> indices,
    Ints index_shape, Ints slice_shape, int64_t outer, void* out);

// The reverse: combines updates (strided, shape index_shape + slice_shape) into consecutive dst of dst_shape, in
// row-major order of the updates, so that the last duplicate wins a set. No element is written by two threads.
void scatter(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, std::span<const IndexOperand> indices,
    Ints index_shape, Ints slice_shape, const void* updates, Ints update_strides);

// take_along_axis: out (row-major, shape) where out[..., j, ...] = src[..., index[..., j, ...], ...]. src has
// src_length elements along axis; src_strides and index_strides are both given for `shape` (0 where broadcast).
void gather_along_axis(const void* src, Ints src_strides, int64_t src_length, int item_size, const void* index,
    Dtype index_dtype, Ints index_strides, Ints shape, int axis, void* out);

// Combines updates into dst at index along axis, in row-major order of updates. dst is consecutive of dst_shape;
// updates and index are strided over `shape` (dst_shape but for axis).
void scatter_along_axis(ScatterMode mode, Dtype dtype, void* dst, Ints dst_shape, int axis, const void* index,
    Dtype index_dtype, Ints index_strides, const void* updates, Ints update_strides, Ints shape);

} // namespace mlx::core::cpu
