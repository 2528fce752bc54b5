// Where a boolean mask is true.
#pragma once

#include <vector>

#include "mlx_core/array.h"

namespace mlx::python {

// For each axis of the mask, the indices along it of the true elements, in row-major order. Evaluates the mask; throws
// when it differs between the lanes of a vmap.
std::vector<core::array> mask_positions(const char* op, const core::array& mask);

} // namespace mlx::python
