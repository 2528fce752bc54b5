// The observers that are present.
#include "mlx_core/eval/observe.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

namespace mlx::core {

namespace detail {
std::atomic<bool> eval_observed{false};
std::atomic<bool> eval_op_by_op{false};
} // namespace detail

namespace {

alignas(std::recursive_mutex) unsigned char storage[sizeof(std::recursive_mutex)];
std::recursive_mutex& observer_mutex() {
  static std::recursive_mutex* const mutex = new (storage) std::recursive_mutex;
  return *mutex;
}

std::vector<EvalObserver*>& observers() { // under the mutex
  static std::vector<EvalObserver*>& all = *new std::vector<EvalObserver*>;
  return all;
}

template <typename Change>
void change_observers(Change&& change) {
  std::lock_guard lock(observer_mutex());
  change(observers());
  detail::eval_observed.store(!observers().empty());
  detail::eval_op_by_op.store(
      std::any_of(observers().begin(), observers().end(), [](EvalObserver* o) { return o->op_by_op(); }));
}

} // namespace

void add_eval_observer(EvalObserver* observer) {
  change_observers([&](std::vector<EvalObserver*>& all) { all.push_back(observer); });
}
void remove_eval_observer(EvalObserver* observer) {
  change_observers([&](std::vector<EvalObserver*>& all) { std::erase(all, observer); });
}

detail::ObserverLock::ObserverLock() { observer_mutex().lock(); }
detail::ObserverLock::~ObserverLock() { observer_mutex().unlock(); }
void detail::renew_observer_lock() { new (&observer_mutex()) std::recursive_mutex; }

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
