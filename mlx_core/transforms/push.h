// Sending tangents along a tape: every primitive pushes those of its operands to its outputs.
#pragma once

#include <map>

#include "mlx_core/transforms/tape.h"

namespace mlx::core {

struct Push {
  const Tape& tape;
  // Of each node of the tape, and of the outputs of applications that have several. Those given stay as they are.
  std::vector<Tangent> nodes;
  std::map<const Node*, Tangents> applications;
  // How many derivatives of this kind this is a part of: see confluence.h.
  int depth = 0;
  static constexpr int without_turning = 1000;

  // Tangents of the outputs; nodes before `first` have what they were given.
  Tangents through(size_t first, std::span<const array> outputs);
};

} // namespace mlx::core
