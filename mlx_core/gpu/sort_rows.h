// Sorting rows on a GPU, for whoever needs it: sorts, partitions, and scatters, whose updates are brought into order.
#pragma once

#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

struct SortedRows {
  Bound in;
  arguments::Layout in_rows{}, out_rows{};
  int64_t step_from = 1, step_to = 1;
  uint32_t rows = 1, length = 0;
  Dtype dtype = uint32;
  bool equal_zeros = false; // whether -0 and 0 are equal: they are when the order alone is asked for
};

// Ascending, stable, NaNs last. Writes the elements, or uint32 numbers of them in their row, or both; null: not wanted.
void sort_rows(Encoder& encoder, const SortedRows& sorted, const View* elements, const View* numbers);

} // namespace mlx::core::gpu
