// Observers of evaluation: told what is computed, when it begins and when it is done. Nobody observes by default, which
// costs one branch for each fused group or other operation.
#pragma once

#include <atomic>
#include <span>

#include "mlx_core/array.h"

namespace mlx::core {

class EvalObserver {
 public:
  virtual ~EvalObserver() = default;
  // Whether fusion should be off, so that every operation is seen by itself.
  virtual bool op_by_op() const { return false; }
  // These nodes are about to be computed in one pass. Observed passes run one at a time, also those of other threads;
  // they nest when an operation evaluates a body.
  virtual void before(std::span<Node* const> nodes) = 0;
  // They are computed and still have their operands. What this throws is their error.
  virtual void after(std::span<Node* const> nodes) = 0;
  // Computing them failed.
  virtual void failed() {}
};

// Waits for the observed pass in progress. An observer must be removed before it goes.
void add_eval_observer(EvalObserver* observer);
void remove_eval_observer(EvalObserver* observer);

namespace detail {
extern std::atomic<bool> eval_observed;
extern std::atomic<bool> eval_op_by_op;
} // namespace detail
inline bool is_eval_observed() { return detail::eval_observed.load(std::memory_order_relaxed); }
inline bool is_eval_op_by_op() { return detail::eval_op_by_op.load(std::memory_order_relaxed); }

// One pass: compute() between what the observers are told.
template <typename Compute>
void observed_pass(std::span<Node* const> nodes, Compute&& compute);

namespace detail {
// Held over a pass, by the thread that runs it.
class ObserverLock {
 public:
  ObserverLock();
  ~ObserverLock();
  ObserverLock(const ObserverLock&) = delete;
  ObserverLock& operator=(const ObserverLock&) = delete;
};
void renew_observer_lock(); // in a forked child
void before_pass(std::span<Node* const> nodes);
void after_pass(std::span<Node* const> nodes);
void failed_pass();
} // namespace detail

template <typename Compute>
void observed_pass(std::span<Node* const> nodes, Compute&& compute) {
  detail::ObserverLock lock;
  detail::before_pass(nodes);
  try {
    compute();
  } catch (...) {
    detail::failed_pass();
    throw;
  }
  detail::after_pass(nodes);
}

} // namespace mlx::core
