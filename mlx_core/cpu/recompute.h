// Values of long rows that later stages compute again.
#pragma once

#include <span>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// The plan, each stage with its own copy of the quick steps of earlier ones that take one element from memory each: a
// layer norm's x - mean. A row of them would leave the first-level cache before it is read, and take others' room.
FusedPlan recomputed(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

} // namespace mlx::core::cpu
