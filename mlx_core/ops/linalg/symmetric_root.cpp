// The symmetric square root, and the Sylvester equation that its derivatives of every order solve.
#include "mlx_core/ops/linalg/symmetric_root.h"

#include "mlx_core/cpu/symmetric.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linalg/products.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {

array transposed(const array& a) { return swapaxes(a, -2, -1); }
int64_t side_of(const array& a) { return a.shape(-1); }
int64_t count_of(const array& a) {
  return side_of(a) == 0 ? 0 : static_cast<int64_t>(a.size()) / (side_of(a) * side_of(a));
}

// X with S X + X S = B, for symmetric positive semidefinite S. Where S is singular, the solution that has nothing
// between two of its null directions.
class Sylvester final : public Primitive {
 public:
  const char* name() const override { return "SymmetricSylvester"; }
  Specs infer(Operands operands) const override { return {Spec{operands[1].shape(), operands[1].dtype()}}; }
  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    array& x = outputs[0];
    x.allocate();
    cpu::symmetric_sylvester(
        x.dtype(), count_of(x), side_of(x), operands[0].raw_data(), operands[1].raw_data(), x.mutable_data());
  }
  // S dX + dX S = dB - dS X - X dS
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    const array &s = primals[0], &x = outputs[0];
    Tangent right = tangents[1];
    if (tangents[0]) {
      array moved = negative(add(zero_matmul(*tangents[0], x), zero_matmul(x, *tangents[0])));
      right = right ? add(*right, moved) : moved;
    }
    return {right ? Tangent(symmetric_sylvester(s, *right)) : std::nullopt};
  }
  // The map from B to X is its own adjoint, as S is symmetric.
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (!cotangents[0]) {
      return out;
    }
    array g = symmetric_sylvester(primals[0], *cotangents[0]), x = transposed(outputs[0]);
    if (wanted[0]) {
      out[0] = negative(add(zero_matmul(g, x), zero_matmul(x, g)));
    }
    out[1] = g;
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    Dim lanes = lanes_of(operands, axes);
    return {
        {symmetric_sylvester(batch_first(operands[0], axes[0], lanes), batch_first(operands[1], axes[1], lanes))}, {0}};
  }
};

// Of symmetric matrices.
class SymmetricRoot final : public Primitive {
 public:
  const char* name() const override { return "SymmetricRoot"; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval_cpu(Operands operands, std::span<array> outputs) const override {
    array& s = outputs[0];
    s.allocate();
    cpu::symmetric_root(s.dtype(), count_of(s), side_of(s), operands[0].raw_data(), s.mutable_data());
  }
  // S S = A, hence S dS + dS S = dA
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    return {tangents[0] ? Tangent(symmetric_sylvester(outputs[0], *tangents[0])) : std::nullopt};
  }
  Tangents vjp(Operands, const Tangents& cotangents, Operands outputs, std::span<const bool>) const override {
    return {cotangents[0] ? Tangent(symmetric_sylvester(outputs[0], *cotangents[0])) : std::nullopt};
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{root_of_symmetric(batch_first(operands[0], axes[0]))}, {0}};
  }
};

} // namespace

// The kernels read rows without gaps.
array root_of_symmetric(const array& symmetric) {
  return applied(make_primitive<SymmetricRoot>(), {contiguous(symmetric)});
}
array symmetric_sylvester(const array& s, const array& b) {
  return applied(make_primitive<Sylvester>(), {contiguous(s), contiguous(b)});
}

array symmetric_root(const array& a) {
  return root_of_symmetric(multiply(add(a, transposed(a)), array(0.5, a.dtype())));
}

} // namespace mlx::core
