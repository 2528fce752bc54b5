// Where a boolean mask is true.
#pragma once

#include <vector>

#include "mlx_core/array.h"

namespace mlx::python {

// For each axis of the mask, the indices along it of the true elements, in row-major order. Evaluates the mask; throws
// with the way out when the mask, made of the argument called `name`, differs between the lanes of a vmap, or has no
// value in a function that is recorded.
std::vector<core::array> mask_positions(
    const char* op, const char* name, const core::array& mask, const char* way_out = nullptr);

} // namespace mlx::python
