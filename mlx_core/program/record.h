// Recording the part of a graph that a function made as a program.
#pragma once

#include "mlx_core/program/program.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

// A program, and the arrays that are its inputs behind the parameters: what the function used from outside.
struct Traced {
  SharedProgram program;
  std::vector<array> captured;
};

// What lies between the frame's placeholders, which are the parameters, and `outputs`.
Traced record_program(const Frame& frame, std::span<const array> outputs, Tape::Reach reach = Tape::Reach::dependent);

} // namespace mlx::core
