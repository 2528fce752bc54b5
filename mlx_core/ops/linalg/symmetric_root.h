// The symmetric square root of positive semidefinite matrices.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// S with S S = (a + a^T) / 2 and eigenvalues of at least 0, for each matrix in the last two axes; a is float32 or
// float64. Negative eigenvalues of the argument count as 0.
array symmetric_root(const array& a);
// Of matrices that are symmetric.
array root_of_symmetric(const array& a);
// X with s X + X s = b, for symmetric positive semidefinite s of b's shape and dtype. Where s is singular, the solution
// that has nothing between two of its null directions.
array symmetric_sylvester(const array& s, const array& b);

} // namespace mlx::core
