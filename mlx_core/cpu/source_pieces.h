// Runs of sources that are put together of several arrays.
#pragma once

#include <span>

#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/view.h"

namespace mlx::core::cpu {

// Where the elements from `first` on lie one after another: in memory, or in the tile, where they are then put.
const char* read_pieces(
    const FusedPlan::Source& source, std::span<const View> views, int item_size, int64_t first, int64_t n, char* tile);

} // namespace mlx::core::cpu
