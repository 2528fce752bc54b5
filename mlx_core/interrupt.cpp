// What throw_if_interrupted looks at: the flags of this thread, the end of the process, and the check.
#include "mlx_core/interrupt.h"

#include <algorithm>

#include "mlx_core/interruption.h"

namespace mlx::core {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::atomic<bool (*)()> interrupt_check{nullptr};
std::atomic<bool (*)(const std::exception&)> interruption_kind{nullptr};
std::atomic<bool> process_ends{false};

struct ThisThread {
  const StopFlagScope* flags = nullptr; // the innermost
  bool asks = true;
  bool ends_process = false;
  int holds = 0;
  Clock::time_point next_check{}; // long ago
};
[[gnu::tls_model("initial-exec")]] constinit thread_local ThisThread this_thread;

} // namespace

StopFlagScope::StopFlagScope(const std::atomic<bool>& flag, bool asks)
    : flag_(flag), outer_(this_thread.flags), asked_(this_thread.asks) {
  this_thread.flags = this;
  this_thread.asks = asked_ && asks;
}

StopFlagScope::~StopFlagScope() {
  this_thread.flags = outer_;
  this_thread.asks = asked_;
}

bool StopFlagScope::is_open() { return this_thread.flags != nullptr; }

InterruptHold::InterruptHold() { ++this_thread.holds; }
InterruptHold::~InterruptHold() { --this_thread.holds; }

void set_interrupt_check(bool (*check)()) { interrupt_check.store(check); }

void set_interruption_kind(bool (*kind)(const std::exception&)) { interruption_kind.store(kind); }

bool is_interruption(const std::exception& error) {
  auto kind = interruption_kind.load(std::memory_order_relaxed);
  return dynamic_cast<const Interrupted*>(&error) || (kind && kind(error));
}

void interrupt_other_threads() {
  this_thread.ends_process = true;
  process_ends.store(true);
}

void throw_if_interrupted() {
  ThisThread& self = this_thread;
  if (self.holds > 0) {
    return;
  }
  for (const StopFlagScope* scope = self.flags; scope; scope = scope->outer_) {
    if (scope->flag_.load(std::memory_order_relaxed)) {
      throw Interrupted();
    }
  }
  if (process_ends.load(std::memory_order_relaxed) && !self.ends_process) [[unlikely]] {
    throw Interrupted();
  }
  bool (*check)() = interrupt_check.load(std::memory_order_relaxed);
  if (!check || !self.asks) {
    return;
  }
  Clock::time_point before = Clock::now();
  if (before < self.next_check) {
    return;
  }
  bool stop = check();
  // The check may wait for a lock that others hold for milliseconds: it gets a tenth of the time.
  Clock::time_point after = Clock::now();
  self.next_check = after + std::clamp<Clock::duration>(10 * (after - before), milliseconds(10), milliseconds(50));
  if (stop) {
    throw Interrupted();
  }
}

} // namespace mlx::core
