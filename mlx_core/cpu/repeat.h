// Sources that are broadcast so that a run of the space reads the same elements as the run before: what was brought
// together for one is there for the next.
#pragma once

#include <cstdint>

#include "mlx_core/backend/fused_plan.h"

namespace mlx::core::cpu {

// The outermost axis along which a source is broadcast, and short enough what is repeated along it.
struct Repeat {
  int64_t period = 0; // elements; 0: there is none
  int64_t length = 0; // those of all repetitions, one after another
  size_t axis = 0;

  void find(const FusedPlan::Source& source, int64_t longest);
};

// What a thread has brought together of a source.
struct Repeated {
  int64_t from = -1, phase = 0, n = 0; // offset in elements of what is repeated; where in it the run begins

  // Whether the n elements from `first` on are those it has. If not, they are to be brought together now.
  bool has(const Repeat& repeat, const FusedPlan::Source& source, int64_t first, int64_t length);
};

} // namespace mlx::core::cpu
