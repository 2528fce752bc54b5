// The linear kind: y = L(x) in one operand. The op and its transpose give jvp and vjp of every order.
#pragma once

#include "mlx_core/ops/unary.h"

namespace mlx::core {

class Linear : public Primitive {
 public:
  Dependence dependence() const override { return Dependence::moves_data; }

  // L transposed, applied to a cotangent of y; `x` is the operand, for its shape and dtype.
  virtual array transpose(const array& cotangent, const array& x) const = 0;

  Tangents jvp(Operands, const Tangents& tangents, Operands) const override {
    return {tangents[0] ? Tangent(applied(self(*this), {*tangents[0]})) : std::nullopt};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    return {cotangents[0] ? Tangent(transpose(*cotangents[0], primals[0])) : std::nullopt};
  }
};

// A linear op that only rearranges the operand's strides: no work at evaluation.
class ViewOp : public Linear {
 public:
  EvalKind eval_kind() const override { return EvalKind::view; }
};

// jvp and vjp of an op without derivatives: symbolic zeros.
#define MLX_ZERO_DERIVATIVES                                                                                    \
  Tangents jvp(Operands, const Tangents&, Operands outputs) const override { return Tangents(outputs.size()); } \
  Tangents vjp(Operands primals, const Tangents&, Operands, std::span<const bool>) const override {             \
    return Tangents(primals.size());                                                                            \
  }

} // namespace mlx::core
