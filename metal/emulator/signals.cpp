// The handlers of SIGSEGV and its like, chained in front of those that the process has.
#include "signals.h"

#include <signal.h>
#include <stdlib.h>

#include <array>
#include <memory>
#include <mutex>

namespace mlx::core::metal_emulator {

namespace {

constexpr std::array signals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
struct sigaction previous[signals.size()];

// Lies in memory that each thread has from its start, since a handler may not allocate.
__attribute__((tls_model("initial-exec"))) thread_local Trap* current = nullptr;
__attribute__((tls_model("initial-exec"))) thread_local bool passing_on = false;

void handle(int signal, siginfo_t* info, void* context) {
  if (Trap* trap = current; trap && trap->armed) {
    trap->armed = false;
    trap->signal = signal;
    trap->address = info->si_addr;
    siglongjmp(trap->back, 1);
  }
  size_t i = 0;
  while (i < signals.size() && signals[i] != signal) ++i;
  const struct sigaction& before = previous[i];
  bool loops = passing_on; // the previous handler passed it on to this one
  if (loops || (!(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL)) {
    // Happens again on return, or was sent and is sent again: now with what a process without handlers does.
    ::signal(signal, SIG_DFL);
    if (info->si_code <= 0) raise(signal);
    return;
  }
  passing_on = true;
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  }
  passing_on = false;
}

void install() {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  for (size_t i = 0; i < signals.size(); ++i) {
    struct sigaction now;
    sigaction(signals[i], nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == handle) continue;
    previous[i] = now;
    struct sigaction ours = {};
    ours.sa_sigaction = handle;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&ours.sa_mask);
    sigaction(signals[i], &ours, nullptr);
  }
}

// A kernel that used up its own stack leaves none to a handler.
struct HandlerStack {
  std::unique_ptr<char[]> bytes;
  HandlerStack() {
    stack_t now;
    if (sigaltstack(nullptr, &now) == 0 && !(now.ss_flags & SS_DISABLE)) return;
    constexpr size_t size = 64 << 10;
    bytes.reset(new char[size]);
    stack_t ours = {};
    ours.ss_sp = bytes.get();
    ours.ss_size = size;
    sigaltstack(&ours, nullptr);
  }
  ~HandlerStack() {
    if (!bytes) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
};

} // namespace

TrapScope::TrapScope(Trap& trap) {
  thread_local HandlerStack stack;
  install();
  trap.armed = false;
  current = &trap;
}

TrapScope::~TrapScope() { current = nullptr; }

} // namespace mlx::core::metal_emulator
