// What other streams compute while this thread does its part.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// Of the graph behind the roots, hands what the roots' own stream reads from other streams to those, and computes
// meanwhile what it does not wait for. What is left is the caller's; errors are kept by the arrays.
void begin_on_other_streams(std::span<const array> roots);

} // namespace mlx::core
