// OpenProgram: a program whose sizes are symbols. For other sizes its operations are made again from their parameters
// (remake.h), without the function.
#pragma once

#include "mlx_core/program/open_sizes.h"
#include "mlx_core/program/program.h"

namespace mlx::core {

class Frame;

struct OpenProgram {
  SharedProgram program; // of the arguments, then the constants
  std::vector<array> constants;
  OpenSizes sizes;

  std::span<const Spec> arguments() const {
    return program->inputs().first(program->inputs().size() - constants.size());
  }
};

// What lies between a frame's placeholders and the outputs, recorded under `symbols`. Throws std::invalid_argument when
// an operation cannot be made again, or an array that is used has no value.
OpenProgram record_open(const SymbolTrace& symbols, const Frame& frame, std::span<const array> outputs);

// The outputs for these arguments, whose sizes are those. Nothing is taken on trust: std::invalid_argument says which
// operation makes no sense.
std::vector<array> remake(const OpenProgram& open, const std::vector<array>& arguments, const SizeValues& sizes);

} // namespace mlx::core
