// Parts of an array added up, with zeros around each.
#pragma once

#include "mlx_core/dtype.h"
#include "mlx_core/shape.h"

namespace mlx::core::cpu {

struct AddedPart {
  const char* data;
  const void* factor; // null: none
  Sizes first, count; // its box in the whole
  Strides strides;    // in elements
  bool subtracts, pads;
};

// Elements are added in the order of the parts, which is all that the bits depend on. Parallel when large.
void add_parts(Dtype dtype, std::vector<AddedPart> parts, Sizes sizes, void* out);

} // namespace mlx::core::cpu
