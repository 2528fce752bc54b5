// Products of many rows of 2 to 4 numbers, as of points by a rotation.
#pragma once

#include "mlx_core/cpu/gemm.h"

namespace mlx::core::cpu {

// out (rows, n) = a (rows, k) b; a is row-major, as out is. With the bits of gemm(), which sets the mode of subnormals.
using PointProduct = void (*)(int64_t rows, const void* a, const Matrix& b, void* out);

// Null where there is none for these: at least least_points rows of float32 or float64, k and n of 2 to 4.
constexpr int64_t least_points = 32;
PointProduct point_product(Dtype dtype, int64_t m, int64_t n, int64_t k, const Matrix& a);

} // namespace mlx::core::cpu
