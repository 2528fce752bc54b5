// Compositions whose derivative is known better than the product of their links' derivatives, where that is 0 times
// infinity: log(1 + exp(x)) has the slope 1 at 1000, though exp(x) has overflowed.
#pragma once

#include <optional>
#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

struct Composite {
  // What the whole depends on.
  std::vector<array> operands;
  // g times the derivative by operand k. May have the shapes of the operands: whoever calls broadcasts and sums.
  array (*chain)(size_t k, const array& g, const std::vector<array>& operands);

  Tangent jvp(const Tangents& tangents, const array& output) const;
  Tangents vjp(const array& cotangent, std::span<const bool> wanted) const;
};

// The composition that ends with this node, when it is one of them. Values are not changed: only derivatives are those
// of log(1 + exp(x)), log(exp(a) + exp(b)), log1p(exp(x)), log(exp(x)), exp(log(x)), log(sigmoid(x)), log(cosh(x)),
// arctan(1 / x) and arctan(a / b).
std::optional<Composite> composite_of(const Node& node);

} // namespace mlx::core
