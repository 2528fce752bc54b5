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
  // And the derivative's factor: -1 of a reciprocal's logarithm, others than 1 of those to another base.
  double factor = 1;

  Tangent jvp(const Tangents& tangents, const array& output) const;
  Tangents vjp(const array& cotangent, std::span<const bool> wanted) const;

 private:
  array multiplied(const array& derivative) const;
};

// The composition that ends with this node, when it is one of these; values are not changed. Of log, log2 and log10:
// 1 + exp(x), exp(a) + exp(b) and 1 over these, exp(x), exp(x) / s (a softmax), sigmoid(x), 1 - sigmoid(x), cosh(x).
// Then log1p(exp(x)), log1p(-sigmoid(x)), exp(log(x)), arctan(1 / x) and arctan(a / b).
std::optional<Composite> composite_of(const Node& node);

} // namespace mlx::core
