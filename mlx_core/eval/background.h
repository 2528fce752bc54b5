// Stopping background evaluation: for good, before the process ends, or while it forks.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// Drops what async_eval has queued, stops what is being computed, and waits for that, for a second at most. Called at
// exit; a language that is taken down earlier calls it before that. Arrays dropped stay lazy; what is submitted
// afterwards is evaluated at once.
void finish_background();

// Stops what is being computed, which stays queued, until as many calls of resume_background.
void pause_background();
void resume_background();

// Returns once nothing is queued or computed any more. Unlike synchronize it leaves errors for whoever waits for them.
void wait_for_background();

// Computes an array as async_eval does, but an error is kept by the arrays alone. Calls done when that is over, or will
// not be done.
void compute_in_background(array root, void (*done)());
void compute_in_background(std::vector<array> roots, StreamNumber stream);

} // namespace mlx::core
