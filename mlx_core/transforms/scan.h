// ScanLoop: a body run once for each element along the first axis of its inputs.
#pragma once

#include "mlx_core/transforms/closed_body.h"

namespace mlx::core {

// Body: (carry, x, constants) -> (next carry, y).
struct ScanLayout {
  size_t carries = 0;
  size_t inputs = 0; // of one element
  Dim length = 0;
  bool reverse = false;
  // Carries that the body only adds to, and reads for nothing else: no derivative needs their values.
  Flags additive = {};
};

// (last carry, stacked ys) for operands (carry, xs, constants). When it will be differentiated in reverse, it keeps the
// carries of all iterations.
std::vector<array> apply_scan(const ScanLayout& layout, const SharedProgram& body, const std::vector<array>& operands);

// The same loop with the carries of all iterations as further outputs; null where it has them, and of any other
// primitive.
const PrimitiveRef* saving_of(const Primitive& primitive);

} // namespace mlx::core
