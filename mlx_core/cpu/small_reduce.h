// Reductions of a few elements, done again and again: where everything is was found out before.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "mlx_core/cpu/rearrange.h"
#include "mlx_core/cpu/reduce_kernels.h"

namespace mlx::core::cpu {

// One row of memory for each element that is reduced, in which those of all results are next to each other, so that
// vectors run across results. The bits are those of reduce(), whose tree is the same along rows and down columns.
struct SmallReduction {
  const ReduceKernels* kernels;
  std::optional<Rearrangement> first; // what brings them there
  std::vector<int64_t> rows;          // bytes to each
  int64_t columns, results;           // with padding, and without

  void run(const void* in, void* out) const;
};

// None where rows as they lie are quicker, or the elements are many. `whole`: what is beyond the operand may be read,
// for read_beyond bytes.
std::optional<SmallReduction> small_reduction(
    Reduction op, Dtype dtype, Ints shape, Ints strides, Ints axes, bool whole);

} // namespace mlx::core::cpu
