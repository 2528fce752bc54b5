// Shapeless: a recording whose sizes are symbols. For each size of the arguments the operations are made again, without
// the function.
#pragma once

#include "mlx_core/compile/cache.h"
#include "mlx_core/compile/record.h"
#include "mlx_core/io/saved_function.h"

namespace mlx::core {

class Shapeless {
 public:
  // What lies between the placeholders of a frame and the outputs, recorded under `symbols`. Throws
  // std::invalid_argument when an operation cannot be made again.
  Shapeless(const SymbolTrace& symbols, std::span<const array> placeholders, std::span<const array> outputs);

  // Why it does not serve arguments of these shapes; empty when it does.
  std::string misfit(std::span<const Spec> arguments) const;
  // The recording for these shapes, which it serves.
  std::shared_ptr<const PlannedFunction> at(std::span<const Spec> arguments) const;

 private:
  std::vector<array> constants_;
  io::SavedTrace trace_;
  mutable Cache<const PlannedFunction> plans_;
};

} // namespace mlx::core
