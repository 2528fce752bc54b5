// Who may evaluate when: the planning lock, waiting for what another thread computes, and pausing all for a fork.
#pragma once

#include <atomic>
#include <mutex>

#include "mlx_core/array.h"

namespace mlx::core {

class Evaluation;

// While it lives, this thread is evaluating: whoever holds evaluations (fork.h) waits for it. They nest when a
// primitive evaluates its body.
class Evaluating {
 public:
  explicit Evaluating(Evaluation& evaluation);
  // Does not wait: it may not have begun.
  Evaluating(Evaluation& evaluation, std::try_to_lock_t);
  ~Evaluating();
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;

  Evaluation& evaluation() const { return evaluation_; }
  const Evaluating* outer() const { return outer_; }
  bool has_begun() const { return has_begun_; }

 private:
  friend struct Gate;
  void begin();
  Evaluation& evaluation_;
  Evaluating* outer_;                             // of this thread
  bool has_begun_ = false;                        // this thread's to read; neighbours write the links, under the lock
  Evaluating *next_ = nullptr, **link_ = nullptr; // all of the process
};

// Guards the claiming of nodes, and the operands of those that nobody has claimed.
class PlanningLock {
 public:
  PlanningLock();
  explicit PlanningLock(std::try_to_lock_t);
  ~PlanningLock();
  explicit operator bool() const { return holds_; }
  PlanningLock(const PlanningLock&) = delete;
  PlanningLock& operator=(const PlanningLock&) = delete;

 private:
  bool holds_;
};

namespace detail {
extern std::atomic<int> threads_waiting; // for nodes
extern std::atomic<bool> pause_asked;
void wake_waiting();
void pause();
} // namespace detail

// Whether this thread is evaluating.
bool is_evaluating();
// Returns when the node is no longer claimed. Can be interrupted.
void wait_until_left(const Node* node, uint32_t owner);
// To be called when nodes have left their evaluation: wakes who waits for one.
inline void wake_waiting() {
  if (detail::threads_waiting.load(std::memory_order_relaxed) > 0) [[unlikely]] {
    detail::wake_waiting();
  }
}
// Between two steps of an evaluation: waits here while a fork wants everything to stand still.
inline void pause_if_asked() {
  if (detail::pause_asked.load(std::memory_order_relaxed)) [[unlikely]] {
    detail::pause();
  }
}

} // namespace mlx::core
