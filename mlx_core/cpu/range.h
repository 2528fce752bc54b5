// Evenly spaced numbers.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out[i] = start + i * step for n consecutive elements, computed in Number (int64_t, which wraps and so ends in the
// right bits of any integer, or double) and converted. Parallel when large.
template <typename Number>
void range(Number start, Number step, Dtype dtype, int64_t n, void* out);

} // namespace mlx::core::cpu
