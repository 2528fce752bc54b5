// Shapeless: a recording whose sizes are symbols. For each size of the arguments the operations are made again, without
// the function.
#pragma once

#include "mlx_core/compile/cache.h"
#include "mlx_core/compile/record.h"
#include "mlx_core/program/open_program.h"

namespace mlx::core {

class Shapeless {
 public:
  // Throws std::invalid_argument when an operation cannot be made again.
  explicit Shapeless(OpenProgram body);

  // Why it does not serve arguments of these shapes; empty when it does.
  std::string misfit(std::span<const Spec> arguments) const;
  // The recording for these shapes, which it serves.
  std::shared_ptr<const PlannedFunction> at(std::span<const Spec> arguments) const;

 private:
  OpenProgram body_;
  mutable Cache<const PlannedFunction> plans_;
};

} // namespace mlx::core
