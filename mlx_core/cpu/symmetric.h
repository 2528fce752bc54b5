// Functions of symmetric matrices through their eigenvectors, computed in float64. Matrices are row-major, `count` of
// them one after another, of float32 or float64.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// root root = a; eigenvalues of a that are not above rounding errors count as 0. A matrix with an element that is not
// finite gives NaN.
void symmetric_root(Dtype dtype, int64_t count, int64_t n, const void* a, void* root);

// s x + x s = b for symmetric s. In the eigenvectors of s, x[i, j] = b[i, j] / (s[i] + s[j]), and 0 where that sum
// vanishes.
void symmetric_sylvester(Dtype dtype, int64_t count, int64_t n, const void* s, const void* b, void* x);

} // namespace mlx::core::cpu
