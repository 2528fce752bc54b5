// Elementwise steps of a program as one operation that keeps its plan: what runs them again and again saves nodes,
// groups and planning. That is for values of middle size: smaller ones are for lists of calls (call_list.h), and larger
// ones take longer than all that.
#pragma once

#include "mlx_core/program/program.h"

namespace mlx::core {

struct KeptSteps {
  SharedProgram program; // null: there is none to gather
  // What passes of several steps save in a single run, less what it costs to plan them, and nodes for all that is left:
  // against a list of calls, one for each step. Positive where such a list is slower.
  int64_t saved = 0;
  bool reduces = false; // elements that many, with which other steps are one pass
};
// The same program with such operations. It is for evaluation alone, of inputs that no transform follows, and by the
// host: for a thread whose stream is a GPU's there is nothing to gain, as its nodes go there without waiting.
KeptSteps with_kept_steps(const Program& program, size_t fewest = 8, int64_t least_work = 0); // steps, element-steps

} // namespace mlx::core
