// Evaluating sweeps in little memory.
#pragma once

#include "mlx_core/eval/call_list.h"
#include "mlx_core/transforms/closed_body.h"

namespace mlx::core {

using SweepBodies = std::vector<SharedProgram>;
using SweepStates = std::vector<std::vector<array>>; // by sweep

// The final states of the sweeps of the second half; see sweeps.h. Everything is evaluated. Bodies that have a list of
// calls (others: null) are run by that.
SweepStates run_tracks(const SweepBodies& bodies, const std::vector<const CallList*>& calls,
    const std::vector<array>& constants, const SweepStates& initial, int64_t iterations);

} // namespace mlx::core
