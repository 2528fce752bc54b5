// Sorting rows of a strided array, parting them, and searching in sorted ones.
#pragma once

#include "mlx_core/cpu/copy.h"
#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out (row-major over shape): the elements along axis in ascending order. Stable; NaNs last; false before true; complex
// numbers by real, then imaginary part, those with a NaN last. Parallel over rows when large.
void sort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out);

// out (uint32, row-major over shape): for each place along axis, the index of the element that sort puts there.
void argsort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out);

// Of the indices of the elements of each row, that of sort's kth element in place kth, those of elements not after it
// in front of it, sort's own last among them, and the others behind: those in `count` places from `first` on. out:
// uint32, row-major.
void argpartition(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, int64_t kth, int64_t first,
    int64_t count, void* out);

// out (uint32, row-major over shape): how many elements of a sorted row come before each value, or with right, how many
// do not come after it. A row has `length` elements, `step` apart; row_strides say where, for each axis of shape, a
// value's row starts.
void search_sorted(Dtype dtype, const void* sorted, int64_t length, int64_t step, Ints row_strides, const void* values,
    Ints value_strides, Ints shape, bool right, void* out);

} // namespace mlx::core::cpu
