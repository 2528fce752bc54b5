// Runs of strips (strips.h) as machine code, for plans that are run again and again: what a step gives stays in its
// register for all that read it, without a call for each step. The instructions are those of the kernels, so the bits
// are the same.
//
// For x86-64 with AVX-512, where the system lets a process make code; elsewhere strips are interpreted.
#pragma once

#include <cstdint>
#include <memory>

#include "mlx_core/cpu/strips.h"

namespace mlx::core::cpu {

class NativeStrips {
 public:
  // Null where there is no code for it.
  static std::unique_ptr<NativeStrips> of(const FusedPlan& plan, const Strips& strips, const StripRun& run);
  // The same of steps that strips have not: of bytes, from this one on, as far as there are instructions.
  static std::unique_ptr<NativeStrips> of_bytes(const FusedPlan& plan, uint32_t begin, uint32_t end);
  ~NativeStrips();

  // What the `run` of the strips' table does, by vectors instead of strips.
  void run(char** at, const StripLines& lines) const;
  // Such steps on n elements: how many it has done. What nobody else reads is not stored.
  int64_t run_bytes(char* const* at, int64_t n) const;
  uint32_t steps() const; // of these

 private:
  struct Made;
  explicit NativeStrips(std::unique_ptr<Made> made);
  std::unique_ptr<Made> made_;
};

} // namespace mlx::core::cpu
