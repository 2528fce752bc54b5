// Parts of an array added up, with zeros around each.
#pragma once

#include "mlx_core/dtype.h"
#include "mlx_core/shape.h"

namespace mlx::core::cpu {

struct AddedPart {
  const char* data;
  const void* factor; // null: none
  Sizes first, end;   // its box in the whole
  Strides strides;    // in elements
  bool subtracts, pads;
};

// Elements are added in the order of the parts, which is all that the bits depend on. Parallel when large.
void add_parts(Dtype dtype, std::vector<AddedPart> parts, Sizes sizes, void* out);

// sum[i] += term[i] factor, or -=, where 0 times anything is 0, for n elements of some lines, which are so many
// elements apart; there may be no factor.
using AddLines = void (*)(void* sum, int64_t sum_apart, const void* term, int64_t term_apart, const void* factor,
    int64_t lines, int64_t n, bool subtracts);
AddLines find_add_lines(Dtype dtype); // null but for float32 and float64

} // namespace mlx::core::cpu
