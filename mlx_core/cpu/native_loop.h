// Loops over steps on few elements (steps.h) as machine code: what a step gives stays in its register for those that
// read it, where interpreted steps meet in memory. Elementwise steps of arithmetic, comparisons and choices are
// instructions; others that cannot throw are called. Every result is stored as well, so that whoever comes next finds
// memory as the interpreter leaves it, and the bits are the same: the instructions are those of the kernels.
//
// For x86-64 with AVX-512, where the system lets a process make code; elsewhere loops are interpreted.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mlx_core/cpu/steps.h"

namespace mlx::core::cpu {

class NativeLoop {
 public:
  // Null where there is no code for it. The steps have to stay where they are.
  static std::unique_ptr<NativeLoop> of(const StepLoop& loop);
  ~NativeLoop();

  // Whether the rows of the loop, of the same steps, go where those go that it was made for.
  bool is_for(const StepLoop& loop) const;
  // At most so many pairs of iterations, the first with turn 0; returns how many iterations. Rows move on.
  int64_t run(const StepLoop& loop, int64_t pairs) const;

 private:
  struct Made;
  explicit NativeLoop(std::unique_ptr<Made> made);
  std::unique_ptr<Made> made_;
};

} // namespace mlx::core::cpu
