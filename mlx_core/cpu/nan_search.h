// Whether any of many elements is NaN, or not finite, found on their bits.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Floating or complex; of these either part.
bool any_nan(Dtype dtype, int64_t count, const void* data);
bool any_not_finite(Dtype dtype, int64_t count, const void* data);

} // namespace mlx::core::cpu
