// Forking: the child gets a copy of memory in which no evaluation is half done.
#pragma once

namespace mlx::core {

// Waits for the evaluations in progress and keeps others from starting, until released by the same thread.
void hold_evaluation();
// The same, but evaluations in progress stand still between two steps instead of going on to their end. fork itself
// does so; a language whose threads wait for one lock calls it first, without holding that lock. A child needs no
// release; what other threads were computing is lazy there.
void pause_evaluation();
void release_evaluation();

} // namespace mlx::core
