// What products over chosen axes are made of.
#pragma once

#include "mlx_core/ops.h"

namespace mlx::core {

// The dtype in which sum() adds elements of a dtype: 32 bits for bool and narrower integers.
Dtype summed_dtype(Dtype dtype);

// The sum over k of a[..., i, k] * b[..., k, j], of two arrays of one dtype: a matrix product, of integers too.
array matrix_product(const array& a, const array& b);

// The matrix product of the chain rule: matmul(a, b) whose terms with a factor 0 are 0, whatever the other factor is.
array zero_matmul(const array& a, const array& b);

// The sum over the last axis of a * b, of two arrays of one dtype that broadcast. Halves are multiplied in float32.
array row_products(const array& a, const array& b);

} // namespace mlx::core
