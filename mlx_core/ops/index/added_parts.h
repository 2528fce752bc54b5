// Parts of an array that overlap, added up with zeros around each: what cotangents of sliding windows and stencils come
// to, in one pass.
#pragma once

#include "mlx_core/primitive.h"
#include "mlx_core/remake.h"

namespace mlx::core {

struct AddedPart {
  array part;
  Shape first;                 // where it begins in the whole
  std::optional<array> factor; // a number that it is multiplied by, as zero_times does
  bool subtracts = false;
  // Whether the zeros around it are added, too: they make 0 of a -0. Those around the first one always are.
  bool pads = true;
};

// The sum in the order of the parts, which are of one floating dtype, as are their factors.
array add_parts(const Shape& whole, const std::vector<AddedPart>& parts);

// The same as a composition, of the operands of what add_parts made. Nothing of other primitives.
std::optional<array> as_additions(const Primitive& primitive, Operands operands);

// What remakes of slices list for "AddedParts".
std::vector<array> remade_sum_of_parts(const Parts& parts);

} // namespace mlx::core
