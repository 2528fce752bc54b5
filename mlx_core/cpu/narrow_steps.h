// Steps of fused plans whose operands are broadcast along the same axes: what repeated, tiled and enlarged arrays are
// made of. They are done once for each element that is broadcast, and so are reductions along these axes alone.
#pragma once

#include <span>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// Whether the next may go that way: it depends on the plan alone.
bool may_run_narrow_first(const FusedPlan& plan);
// Runs the plan in two parts, such steps first. False where that does not pay, with nothing done.
bool run_narrow_first(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

} // namespace mlx::core::cpu
