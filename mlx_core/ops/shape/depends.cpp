// depends: arrays that are computed after others.
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

// The first operand itself, once all operands are computed.
class Depends final : public Primitive {
 public:
  static constexpr OpInfo info{.name = "depends",
      .primitive = "Depends",
      .summary = "The inputs themselves, computed after the dependencies.",
      .example = ">>> x = mx.array([1.0, 2.0])\n>>> mx.depends(x, mx.exp(x))\narray([1, 2], dtype=float32)",
      .details = "Derivatives are those of the inputs; the dependencies get none. A list of inputs gives a list."};

  const char* name() const override { return info.primitive; }
  Dependence dependence() const override { return Dependence::opaque; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    outputs[0].share(operands[0], operands[0].strides());
  }
  Tangents jvp(Operands, const Tangents& tangents, Operands) const override { return {tangents[0]}; }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    Tangents out(primals.size());
    out[0] = cotangents[0];
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{applied(self(*this), operands)}, {axes[0]}};
  }
};

std::vector<array> depends(const std::vector<array>& inputs, const std::vector<array>& dependencies) {
  static const PrimitiveRef& primitive = *new PrimitiveRef(make_primitive<Depends>());
  std::vector<array> out;
  for (const array& input : inputs) {
    std::vector<array> operands{input};
    operands.insert(operands.end(), dependencies.begin(), dependencies.end());
    out.push_back(applied(primitive, operands));
  }
  return out;
}

std::span<const OpInfo* const> depends_ops() {
  static constexpr const OpInfo* ops[] = {&Depends::info};
  return ops;
}

std::span<const Remake> depends_remakes() {
  static constexpr Remake rows[] = {{"Depends", [](const Parts& p) { return depends({p[0]}, p.operands_from(1)); }}};
  return rows;
}

} // namespace mlx::core
