// Sorting rows of a strided array.
#pragma once

#include "mlx_core/cpu/copy.h"
#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out (row-major over shape): the elements along axis in ascending order. Stable; NaNs last; false before true; complex
// numbers by real, then imaginary part, those with a NaN last. Parallel over rows when large.
void sort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out);

// out (uint32, row-major over shape): for each place along axis, the index of the element that sort puts there.
void argsort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out);

} // namespace mlx::core::cpu
