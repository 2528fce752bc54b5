// Forms of rearranging ops that take a list where ops.h has a number.
#pragma once

#include "mlx_core/ops.h"

namespace mlx::core {

// Axis source[i] moved to position destination[i]; the others keep their order.
array moveaxis(const array& a, const Axes& source, const Axes& destination, StreamOrDevice s = {});
// Entry i along the axis repeated repeats[i] times.
array repeat(const array& a, const std::vector<int64_t>& repeats, int axis, StreamOrDevice s = {});

} // namespace mlx::core
