// Forking: the child gets a copy of memory in which no evaluation is half done.
#pragma once

namespace mlx::core {

// Waits for the evaluation in progress and keeps others from starting, until released by the same thread. fork itself
// does so; a language whose threads wait for one lock calls it first, without holding that lock. A child needs no
// release.
void hold_evaluation();
void release_evaluation();

} // namespace mlx::core
