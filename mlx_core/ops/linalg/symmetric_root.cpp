// The symmetric square root, and the Sylvester equation that its derivatives of every order solve.
#include "mlx_core/ops/linalg/symmetric_root.h"

#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

array transposed(const array& a) { return swapaxes(a, -2, -1); }

// X with S X + X S = B, for symmetric positive semidefinite S. Where S is singular, the solution that has nothing
// between two of its null directions.
class Sylvester final : public MatrixPrimitive {
 public:
  const char* name() const override { return "SymmetricSylvester"; }
  Specs infer(Operands operands) const override { return {Spec{operands[1].shape(), operands[1].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::sylvester, "symmetric_root", operands, outputs, kernels, {});
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
};

// Of symmetric matrices.
class SymmetricRoot final : public MatrixPrimitive {
 public:
  const char* name() const override { return "SymmetricRoot"; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::symmetric_root, "symmetric_root", operands, outputs, kernels, {});
  }
  // S S = A, hence S dS + dS S = dA
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    return {tangents[0] ? Tangent(symmetric_sylvester(outputs[0], *tangents[0])) : std::nullopt};
  }
  Tangents vjp(Operands, const Tangents& cotangents, Operands outputs, std::span<const bool>) const override {
    return {cotangents[0] ? Tangent(symmetric_sylvester(outputs[0], *cotangents[0])) : std::nullopt};
  }
};

} // namespace

array root_of_symmetric(const array& symmetric) { return applied(make_primitive<SymmetricRoot>(), {symmetric}); }
array symmetric_sylvester(const array& s, const array& b) { return applied(make_primitive<Sylvester>(), {s, b}); }

array symmetric_root(const array& a) {
  return root_of_symmetric(multiply(add(a, transposed(a)), array(0.5, a.dtype())));
}

namespace {

const array& real_matrices(const array& a) {
  Parts::require(!square_matrices(a).dtype().is_complex(), "a symmetric matrix is complex.");
  return a;
}

} // namespace

std::span<const Remake> symmetric_root_remakes() {
  using Arrays = std::vector<array>;
  static constexpr Remake rows[] = {
      {"SymmetricSylvester",
          [](const Parts& p) {
            Parts::require(p[0].shape() == p[1].shape() && p[0].dtype() == p[1].dtype(),
                "the matrices of a Sylvester equation differ.");
            return Arrays{symmetric_sylvester(real_matrices(p[0]), p[1])};
          }},
      {"SymmetricRoot", [](const Parts& p) { return Arrays{root_of_symmetric(real_matrices(p[0]))}; }},
  };
  return rows;
}

} // namespace mlx::core
