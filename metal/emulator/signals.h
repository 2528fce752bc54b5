// Turns what the processor says no to, inside of a kernel, into a return to the runner; other handlers keep theirs.
#pragma once

#include <csetjmp>

namespace mlx::core::metal_emulator {

// Of the thread that runs a dispatch.
struct Trap {
  sigjmp_buf back;
  bool armed = false; // a lane is running
  int signal = 0;
  void* address = nullptr;
};

// Until the scope ends, a signal of this thread that arrives while `trap.armed` jumps to trap.back.
class TrapScope {
 public:
  explicit TrapScope(Trap& trap);
  ~TrapScope();
  TrapScope(const TrapScope&) = delete;
};

} // namespace mlx::core::metal_emulator
