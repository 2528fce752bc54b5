// The reduction primitive: a monoid over some axes. Eval may fuse it onto the elementwise work that feeds it.
#pragma once

#include "mlx_core/backend/body.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

class Reduce final : public Primitive {
 public:
  // axes are normalized (sorted, unique, not negative) and not empty.
  Reduce(Reduction op, Axes axes, bool keepdims) : op_(op), axes_(std::move(axes)), keepdims_(keepdims) {}
  Reduction op() const { return op_; }
  const Axes& axes() const { return axes_; }
  bool keepdims() const { return keepdims_; }

  const char* name() const override;
  EvalKind eval_kind() const override { return EvalKind::reduction; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  Role role() const override { return op_ == Reduction::sum ? Role::sum : Role::ordinary; }
  void visit(ParamVisitor& v) const override;
  Specs infer(Operands operands) const override;
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override;
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override;
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override;
  Mapped vmap(Operands operands, const MapAxes& axes) const override;

 private:
  Reduction op_;
  Axes axes_;
  bool keepdims_;
};

// The dtype in which sum() and prod() work: 32 bits for bool and narrower integers.
Dtype summed_dtype(Dtype dtype);
// What means, counts and products of a dtype are made in: 16-bit floats in float32, rounded once in the end.
inline Dtype wide_of(Dtype dtype) { return dtype.is_inexact() && dtype.size() < 4 ? float32 : dtype; }

// a == b, also where both are NaN; of equal dtypes.
array same(const array& a, const array& b);

} // namespace mlx::core
