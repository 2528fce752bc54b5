// What control flow counts of itself.
#pragma once

#include "mlx_core/control_flow.h"

namespace mlx::core {

void count_branch(bool taken);
void count_called_iterations(int64_t iterations);
// The counts of one reverse pass, once it is over.
void count_reverse_pass(int64_t stored_carries, int64_t body_evaluations);

} // namespace mlx::core
