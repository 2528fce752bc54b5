// The planning lock, the evaluations that are running, and standing still for a fork.
#include "mlx_core/eval/gate.h"

#include <pthread.h>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "mlx_core/allocator.h"
#include "mlx_core/environment.h"
#include "mlx_core/eval/background.h"
#include "mlx_core/eval/evaluation.h"
#include "mlx_core/eval/fork.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/eval/pressure.h"
#include "mlx_core/interrupt.h"

namespace mlx::core {

std::atomic<int> detail::threads_waiting{0};
std::atomic<bool> detail::pause_asked{false};

struct Gate {
  std::mutex planning;
  std::mutex mutex; // guards the rest; never taken inside `planning`
  std::condition_variable changed;
  Evaluating* running = nullptr; // of all threads
  int threads = 0;               // that evaluate
  int paused = 0;                // of these
  int holds = 0;                 // by `holder`
  bool pausing = false;          // a hold wants running evaluations to stand still, rather than to end
  std::thread::id holder;

  bool is_held_by_another() const { return holds > 0 && holder != std::this_thread::get_id(); }
  void add(Evaluating* e) {
    e->link_ = &running;
    e->next_ = running;
    if (running) {
      running->link_ = &e->next_;
    }
    running = e;
  }
  void remove(Evaluating* e) {
    *e->link_ = e->next_;
    if (e->next_) {
      e->next_->link_ = e->link_;
    }
  }
  void abandon_others(); // in a forked child
};

namespace {

// The innermost evaluation of this thread.
[[gnu::tls_model("initial-exec")]] constinit thread_local Evaluating* own = nullptr;

void lock_for_fork();
void unlock_in_parent();
void begin_in_child();

Gate& gate() {
  static Gate* const instance = [] {
    check_environment();
    get_active_memory(); // the allocator's own handlers are registered first, hence run inside these
    pthread_atfork(lock_for_fork, unlock_in_parent, begin_in_child);
    return new Gate;
  }();
  return *instance;
}

// Waits in slices, so that Ctrl-C is answered.
template <typename Done>
void wait(std::unique_lock<std::mutex>& lock, Done done, bool interruptible) {
  while (!done()) {
    gate().changed.wait_for(lock, std::chrono::milliseconds(5));
    if (interruptible && !done()) {
      lock.unlock();
      throw_if_interrupted();
      lock.lock();
    }
  }
}

// Returns once no other thread is evaluating; with `pause`, also when those that are stand still.
void hold(bool pause) {
  Gate& g = gate();
  std::unique_lock lock(g.mutex);
  wait(lock, [&] { return !g.is_held_by_another(); }, !pause);
  ++g.holds;
  g.holder = std::this_thread::get_id();
  if (pause) {
    g.pausing = true;
    detail::pause_asked.store(true);
  }
  int mine = own ? 1 : 0;
  auto still = [&] { return g.threads - (g.pausing ? g.paused : 0) <= mine; };
  try {
    wait(lock, still, !pause);
  } catch (const Interrupted&) { // without the lock
    release_evaluation();
    throw;
  }
}

void lock_for_fork() {
  prepare_fork();
  gate().planning.lock();
  gate().mutex.lock();
}

void unlock_in_parent() {
  gate().mutex.unlock();
  gate().planning.unlock();
  after_fork();
}

// The other threads are gone, and what they were computing is nobody's. Locks are made anew: this thread has another
// identity now and could not unlock them.
void begin_in_child() {
  Gate& g = gate();
  new (&g.planning) std::mutex;
  new (&g.mutex) std::mutex;
  new (&g.changed) std::condition_variable;
  g.threads = own ? 1 : 0;
  g.paused = g.holds = 0;
  g.pausing = false;
  detail::pause_asked.store(false);
  detail::threads_waiting.store(0);
  detail::renew_observer_lock();
  renew_pressure();
  g.abandon_others();
}

} // namespace

void hold_evaluation() { hold(false); }

void prepare_fork() {
  pause_background();
  hold(true);
}
void after_fork() {
  release_evaluation();
  resume_background();
}

void release_evaluation() {
  Gate& g = gate();
  std::lock_guard lock(g.mutex);
  if (g.holds > 0 && --g.holds == 0) {
    g.pausing = false;
    detail::pause_asked.store(false);
    g.changed.notify_all();
  }
}

void Gate::abandon_others() {
  Evaluating* all = std::exchange(running, nullptr);
  for (Evaluating* mine = own; mine; mine = mine->outer_) {
    mine->link_ = nullptr;
  }
  while (Evaluating* each = all) {
    all = each->next_;
    if (each->link_) {
      each->evaluation_.abandon();
    }
  }
  for (Evaluating* mine = own; mine; mine = mine->outer_) {
    add(mine);
  }
}

Evaluating::Evaluating(Evaluation& evaluation) : evaluation_(evaluation), outer_(own) {
  Gate& g = gate();
  std::unique_lock lock(g.mutex);
  if (!outer_) {
    wait(lock, [&] { return !g.is_held_by_another(); }, true);
  }
  begin();
}

Evaluating::Evaluating(Evaluation& evaluation, std::try_to_lock_t) : evaluation_(evaluation), outer_(own) {
  std::lock_guard lock(gate().mutex);
  if (!gate().is_held_by_another()) {
    begin();
  }
}

// Under the lock.
void Evaluating::begin() {
  gate().threads += outer_ ? 0 : 1;
  gate().add(this);
  has_begun_ = true;
  own = this;
}

Evaluating::~Evaluating() {
  if (!has_begun()) {
    return;
  }
  Gate& g = gate();
  std::lock_guard lock(g.mutex);
  own = outer_;
  g.remove(this);
  g.threads -= outer_ ? 0 : 1;
  if (g.holds > 0) {
    g.changed.notify_all();
  }
}

PlanningLock::PlanningLock() : holds_(true) { gate().planning.lock(); }
PlanningLock::PlanningLock(std::try_to_lock_t) : holds_(gate().planning.try_lock()) {}
PlanningLock::~PlanningLock() {
  if (holds_) {
    gate().planning.unlock();
  }
}

bool is_evaluating() { return own != nullptr; }

void detail::pause() {
  Gate& g = gate();
  std::unique_lock lock(g.mutex);
  if (!g.pausing || !g.is_held_by_another()) {
    return;
  }
  ++g.paused;
  g.changed.notify_all();
  wait(lock, [&] { return !g.pausing; }, false);
  --g.paused;
}

void wait_until_left(const Node* node, uint32_t owner) {
  for (const Evaluating* mine = own; mine; mine = mine->outer()) {
    if (mine->evaluation().number() == owner) {
      fail<std::runtime_error>(
          "eval", "an array is needed that the evaluation which this code interrupts is computing.");
    }
  }
  auto left = [&] { return node->state.load(std::memory_order_acquire) != Node::State::claimed; };
  if (left()) {
    return;
  }
  struct Waiting {
    Waiting() { detail::threads_waiting.fetch_add(1); }
    ~Waiting() { detail::threads_waiting.fetch_sub(1); }
  } here;
  Gate& g = gate();
  std::unique_lock lock(g.mutex);
  while (!left()) {
    // What leaves between the question and the wait is not announced again: hence the limit.
    g.changed.wait_for(lock, std::chrono::milliseconds(1));
    lock.unlock();
    pause_if_asked();
    throw_if_interrupted();
    lock.lock();
  }
}

void detail::wake_waiting() {
  Gate& g = gate();
  { std::lock_guard lock(g.mutex); }
  g.changed.notify_all();
}

} // namespace mlx::core
