// The kind without operands: there is nothing to differentiate by, and what is mapped changes nothing.
#pragma once

#include "mlx_core/ops/linear.h"

namespace mlx::core {

class NoOperands : public Primitive {
 public:
  MLX_ZERO_DERIVATIVES
  Mapped vmap(Operands, const MapAxes&) const override {
    return {{applied(self(*this), std::span<const array>())}, {std::nullopt}};
  }
};

} // namespace mlx::core
