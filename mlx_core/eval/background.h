// Ending background evaluation before the process does.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// Drops what async_eval has queued and waits for what is being computed. Called at exit; a language that is taken down
// earlier calls it before that. Arrays dropped stay lazy.
void finish_background();

// Computes an array as async_eval does, but an error is kept by the arrays alone. Calls done when that is over, or will not
// be done.
void compute_in_background(array root, void (*done)());

} // namespace mlx::core
