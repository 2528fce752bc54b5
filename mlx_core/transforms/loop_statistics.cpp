// Counters that tests of control flow read.
#include "mlx_core/transforms/loop_statistics.h"

#include <mutex>

namespace mlx::core {

namespace {

std::mutex mutex;
ControlFlowStatistics counts;

} // namespace

void count_branch(bool taken) {
  std::lock_guard lock(mutex);
  ++(taken ? counts.true_branches : counts.false_branches);
}

void count_called_iterations(int64_t iterations) {
  std::lock_guard lock(mutex);
  counts.called_iterations += iterations;
}

void count_reverse_pass(int64_t stored_carries, int64_t body_evaluations) {
  std::lock_guard lock(mutex);
  counts.stored_carries = stored_carries;
  counts.body_evaluations = body_evaluations;
}

ControlFlowStatistics control_flow_statistics() {
  std::lock_guard lock(mutex);
  return counts;
}

} // namespace mlx::core
