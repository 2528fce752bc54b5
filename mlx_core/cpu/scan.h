// Running sums, products and extrema along an axis, and the linear recurrence that their derivatives are made of.
//
// Their bits depend on the lane's values alone: not on threads, on memory layout, or on the other lanes.
#pragma once

#include "mlx_core/backend/body.h"
#include "mlx_core/cpu/copy.h"

namespace mlx::core::cpu {

// out (row-major over shape): out_j combines the elements of axis up to j, from the end when reverse; without j itself,
// and beginning with the identity (0, 1, -inf or lowest, inf or highest), when not inclusive. 16-bit floats are carried
// in float32. max and min keep a NaN from where it appears. Sums take any dtype but bool.
void scan(ScanOp op, Dtype dtype, const void* in, Ints shape, Ints strides, int axis, bool reverse, bool inclusive,
    void* out);

// out (row-major over shape): out_j = a_j out_{j-1} + b_j along axis, from the end when reverse; nothing comes before
// the first, and a_j out_{j-1} is 0 where out_{j-1} is 0, whatever a_j. Floating and complex dtypes; 16-bit floats are
// carried in float32, and that in float64.
void linear_recurrence(Dtype dtype, const void* a, Ints a_strides, const void* b, Ints b_strides, Ints shape, int axis,
    bool reverse, void* out);

} // namespace mlx::core::cpu
