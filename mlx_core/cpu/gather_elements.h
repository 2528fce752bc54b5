// Single elements at indices of one or several axes.
#pragma once

#include <cstdint>
#include <span>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Indices of an axis, one after the other; negative ones count from its end.
struct ElementIndex {
  const void* data;
  Dtype dtype;            // int32, uint32 or int64
  int32_t length, stride; // of the axis, in elements; at least one long
};

// out[i] = src[the sum over the axes of index[i] * stride], for n positions. Offsets fit int32. Ends at an index out of
// bounds, or before n that are no whole vector: how many positions it has done. src may begin anywhere.
using GatherElements = int64_t (*)(const void* src, std::span<const ElementIndex> indices, int64_t n, void* out);

// Null for other sizes than 1, 2, 4 and 8 bytes.
GatherElements find_gather_elements(int item_size);

} // namespace mlx::core::cpu
