// Running fused plans on the host: a run of elements at a time, so that values between steps stay in cache.
#pragma once

#include <span>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// On the calling thread when small, else on the pool. The result does not depend on which. An output may be the memory
// of a flat source that no later step reads.
void run(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

} // namespace mlx::core::cpu
