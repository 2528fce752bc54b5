// Sizes as numbers.
#pragma once

#include "mlx_core/primitive.h"

namespace mlx::core {

// A scalar of this dtype. While the size is symbolic, a node that gets its value when the size is known.
array size_number(Dim size, Dtype dtype);

} // namespace mlx::core
