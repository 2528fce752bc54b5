// The bodies of argmin and argmax, by vectors.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

inline constexpr int64_t arg_strip = 256; // columns at once, at most

struct ArgKernels {
  // index[j] = in which of the rows, `stride` elements apart, the extremum of column j is, for j < width <= arg_strip:
  // the first, or the first NaN.
  void (*columns)(const void* in, int64_t rows, int64_t stride, int64_t width, uint32_t* index);
  // The first of n elements that is equal to the value, or NaN where that is. There is one. The value is a partial of
  // the reduction.
  int64_t (*find)(const void* in, int64_t n, const void* value);
};
ArgKernels find_arg_kernels(bool max, Dtype dtype);

} // namespace mlx::core::cpu
