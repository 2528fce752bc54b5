// Sweeps: loops over the same iterations, forward and back in turn, of which each reads what those before it had.
#pragma once

#include "mlx_core/transforms/closed_body.h"

namespace mlx::core {

// One iteration of a sweep.
struct SweepStep {
  array iteration; // int64, counted in the direction of the first sweep
  // What each sweep up to this one has when it comes to this iteration, from its own side.
  std::vector<std::vector<array>> states;
};
struct Sweep {
  std::vector<array> state; // at its start
  std::function<std::vector<array>(const SweepStep&)> step;
};

// Runs an even number of sweeps over `iterations` of them, a scalar that is known when they run: sweeps 0, 2, ...
// forward, 1, 3, ... back. Returns the final states of the second half of them. Of each sweep but the last only
// O(log iterations) states are kept, and it is computed again in between.
std::vector<std::vector<array>> run_sweeps(const std::vector<Sweep>& sweeps, const array& iterations);

} // namespace mlx::core
