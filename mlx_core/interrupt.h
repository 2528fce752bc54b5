// How long work is stopped from outside: by Ctrl-C, by the end of the process, by whoever started it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stdexcept>

namespace mlx::core {

// Thrown where the work stands still. Arrays not yet computed stay lazy and can be evaluated again.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("[eval] Interrupted; arrays not yet computed can be evaluated again.") {}
};

// `check` is called now and then on threads that work or wait; true stops them. Null removes it.
void set_interrupt_check(bool (*check)());

// Throws Interrupted when this thread's work is to stop. Everything that may take long calls it every few milliseconds:
// loops over elements, walks over graphs, waits. It costs a look at the clock; the check is asked a hundred times a
// second at most, and more rarely where it is dear.
void throw_if_interrupted();

// For loops whose turns are short: looks after each `work` units of what they count.
class InterruptPoll {
 public:
  explicit constexpr InterruptPoll(int64_t work) : every_(work), left_(work) {}
  void operator()(int64_t done = 1) {
    if ((left_ -= done) <= 0) [[unlikely]] {
      left_ = every_;
      throw_if_interrupted();
    }
  }

 private:
  int64_t every_, left_;
};

// Calls body(first, end) for pieces of [0, n), and looks in between.
template <typename Body>
void in_interruptible_pieces(int64_t n, int64_t piece, Body&& body) {
  for (int64_t first = 0;;) {
    int64_t end = n - first > piece ? first + piece : n;
    body(first, end);
    if (end >= n) return;
    throw_if_interrupted();
    first = end;
  }
}

// While it lives, this thread stops when the flag is set, which another thread does. Scopes nest; all flags count.
// Without `asks`, for threads that help another one, the check is not called here.
class StopFlagScope {
 public:
  explicit StopFlagScope(const std::atomic<bool>& flag, bool asks = true);
  ~StopFlagScope();
  static bool is_open(); // on this thread
  StopFlagScope(const StopFlagScope&) = delete;
  StopFlagScope& operator=(const StopFlagScope&) = delete;

 private:
  friend void throw_if_interrupted();
  const std::atomic<bool>& flag_;
  const StopFlagScope* outer_;
  bool asked_;
};

// While it lives, this thread goes on, whatever is asked: for what must not be left half done, or while a lock is held
// that a signal handler may want.
class InterruptHold {
 public:
  InterruptHold();
  ~InterruptHold();
  InterruptHold(const InterruptHold&) = delete;
  InterruptHold& operator=(const InterruptHold&) = delete;
};

// The process ends: work on all threads but the calling one stops at its next look, and what they start later does so
// at once.
void interrupt_other_threads();

// Waits until done(), which `lock` guards and `changed` announces. When it throws Interrupted, the lock is not held.
template <typename Done>
void wait_interruptibly(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, Done done) {
  // By the system's clock: the thread sanitizer does not know waits by the other one.
  while (!changed.wait_until(lock, std::chrono::system_clock::now() + std::chrono::milliseconds(10), done)) {
    lock.unlock();
    throw_if_interrupted();
    lock.lock();
  }
}

} // namespace mlx::core
