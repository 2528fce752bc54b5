// What the indexing families share.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// Throws unless the indices are integers.
void check_indices(const char* op, const array& indices);
// 0, 1, 2, ... in row-major order: a number for each element of `shape`, to tell updates of one place apart.
array position_numbers(const Shape& shape);

} // namespace mlx::core
