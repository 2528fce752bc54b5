// What products over chosen axes are made of.
#pragma once

#include "mlx_core/ops.h"
#include "mlx_core/ops/reduce.h"

namespace mlx::core {

// The sum over k of a[..., i, k] * b[..., k, j], of two arrays of one dtype: a matrix product, of integers too.
array matrix_product(const array& a, const array& b);

// The matrix product of the chain rule: matmul(a, b) whose terms with a factor 0 are 0, whatever the other factor is.
array zero_matmul(const array& a, const array& b);

// The matrix product in float32 of 16-bit floats, which are summed in that anyhow; of all others their product.
array wide_matmul(const array& a, const array& b);

// The sum over the last axis of a * b, of two arrays of one dtype that broadcast. Halves are multiplied in float32.
array row_products(const array& a, const array& b);

} // namespace mlx::core
