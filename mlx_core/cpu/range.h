// Evenly spaced numbers.
#pragma once

#include <cstdint>
#include <optional>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// out[i] = start + i * step for n consecutive elements, modulo 2^64, and so in the right bits of any integer; floats
// are rounded once. Parallel when large, as is the other one.
void whole_range(int64_t start, int64_t step, Dtype dtype, int64_t n, void* out);

// out[i] = start + i * step / divisor in float64, then converted; the last of the n elements is `last`, if there is
// one.
struct Spacing {
  double start, step, divisor;
};
void real_range(const Spacing& spacing, std::optional<double> last, Dtype dtype, int64_t n, void* out);

} // namespace mlx::core::cpu
