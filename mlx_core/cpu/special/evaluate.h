// Special functions of arrays, on the host.
#pragma once

#include "mlx_core/backend/request.h"

namespace mlx::core::cpu::special {

// Narrower dtypes than float64 are computed in it and rounded. Parallel when large.
void run(const kernel::Special& k);

} // namespace mlx::core::cpu::special
