// Who may evaluate when: the planning lock, waiting for what another thread computes, and pausing all for a fork.
#pragma once

#include <mutex>

#include "mlx_core/array.h"

namespace mlx::core {

class Evaluation;

// While it lives, this thread is evaluating: whoever holds evaluations (fork.h) waits for it. They nest.
class Evaluating {
 public:
  explicit Evaluating(Evaluation& evaluation);
  ~Evaluating();
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;

 private:
  Evaluation& evaluation_;
};

// Guards the claiming of nodes, and the operands of those that nobody has claimed.
class PlanningLock {
 public:
  PlanningLock();
  ~PlanningLock();
  PlanningLock(const PlanningLock&) = delete;
  PlanningLock& operator=(const PlanningLock&) = delete;
};

// Whether this thread is evaluating.
bool is_evaluating();
// Returns when the node is no longer claimed. Can be interrupted.
void wait_until_left(const Node* node, uint32_t owner);
// To be called when nodes have left their evaluation: wakes who waits for one.
void wake_waiting();
// Between two steps of an evaluation: waits here while a fork wants everything to stand still.
void pause_if_asked();

} // namespace mlx::core
