// Plans that were bound lately, on this thread. Eager code makes the same plans again, of other memory; binding one
// takes as long as some thousand elements of it.
#pragma once

#include <span>

#include "mlx_core/cpu/bound_plan.h"

namespace mlx::core::cpu {

// The plan bound to this memory, to be run before this is called again on the same thread; null where it has not come
// often enough to be kept, or is in use, as it is while this thread waits for others and runs something else.
BoundPlan* recently_bound(const FusedPlan& plan, std::span<const View> sources, std::span<const View> outputs);

} // namespace mlx::core::cpu
