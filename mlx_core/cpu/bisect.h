// Bisection of one sorted row for many values at once, by the processor's gather instructions.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out[i]: how many of the row's elements, at least one and fewer than 2^31, come before values[i]; with right, how many
// do not come after it.
using Bisect = void (*)(const void* row, int64_t length, const void* values, int64_t n, uint32_t* out);

// Null where scalar loads are as quick: other types than floats and signed integers of 4 and 8 bytes, and processors
// without such instructions.
Bisect find_bisect(Dtype dtype, bool right);

} // namespace mlx::core::cpu
