// The symmetric square root of positive semidefinite matrices.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// S with S S = (a + a^T) / 2 and eigenvalues of at least 0, for each matrix in the last two axes; a is float32 or
// float64. Negative eigenvalues of the argument count as 0.
array symmetric_root(const array& a);

} // namespace mlx::core
