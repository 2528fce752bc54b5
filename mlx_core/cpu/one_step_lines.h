// One step by itself, on operands that are broadcast, have gaps between their lines or neither: no tiles, no strips.
#pragma once

#include <span>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// As run(), with the same bits, where that is quicker so; false where nothing was done.
bool run_line_by_line(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

} // namespace mlx::core::cpu
