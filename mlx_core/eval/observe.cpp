// The observers that are present.
#include "mlx_core/eval/observe.h"

#include <algorithm>
#include <vector>

#include "mlx_core/eval/background.h"
#include "mlx_core/eval/fork.h"
#include "mlx_core/interrupt.h"

namespace mlx::core {

namespace detail {
std::atomic<bool> eval_observed{false};
std::atomic<bool> eval_op_by_op{false};
} // namespace detail

namespace {

std::vector<EvalObserver*>& observers() { // changed and read by who holds the evaluation
  static std::vector<EvalObserver*>& all = *new std::vector<EvalObserver*>;
  return all;
}

template <typename Change>
void change_observers(Change&& change) {
  InterruptHold hold; // destructors come here
  pause_background();
  hold_evaluation();
  change(observers());
  detail::eval_observed.store(!observers().empty());
  detail::eval_op_by_op.store(
      std::any_of(observers().begin(), observers().end(), [](EvalObserver* o) { return o->op_by_op(); }));
  release_evaluation();
  resume_background();
}

} // namespace

void add_eval_observer(EvalObserver* observer) {
  change_observers([&](std::vector<EvalObserver*>& all) { all.push_back(observer); });
}
void remove_eval_observer(EvalObserver* observer) {
  change_observers([&](std::vector<EvalObserver*>& all) { std::erase(all, observer); });
}

void detail::before_pass(std::span<Node* const> nodes) {
  for (EvalObserver* observer : observers()) {
    observer->before(nodes);
  }
}
void detail::after_pass(std::span<Node* const> nodes) {
  std::exception_ptr error;
  for (EvalObserver* observer : observers()) {
    try {
      observer->after(nodes);
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (error) {
    std::rethrow_exception(error);
  }
}
void detail::failed_pass() {
  for (EvalObserver* observer : observers()) {
    observer->failed();
  }
}

} // namespace mlx::core
