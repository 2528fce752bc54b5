// Holding evaluation, and forking: the child gets a copy of memory in which no evaluation is half done.
#pragma once

namespace mlx::core {

// Waits for the evaluation in progress and keeps others from starting, until released by the same thread. Throws
// Interrupted, and holds nothing, when the wait is interrupted.
void hold_evaluation();
void release_evaluation();

// fork itself calls these: background evaluation stops, to go on afterwards, and other evaluations stand still between
// two steps; in a child what they were computing is lazy. A language whose threads wait for one lock calls them first,
// without holding that lock. A child needs no after_fork.
void prepare_fork();
void after_fork();

} // namespace mlx::core
