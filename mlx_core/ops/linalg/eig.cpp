// Eigenvalues and eigenvectors of any square matrix.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

Spec values_of(const array& a) { return {Shape(a.shape().begin(), a.shape().end() - 1), complex_of(a.dtype())}; }
array to_complex(const array& t) { return astype(t, complex_of(t.dtype())); }

} // namespace

// w, v. With p = v^-1 da v: dw is the diagonal of p, and dv = v (f p) with f = 1 / (w_j - w_i) beside it, less what
// would change a column's length or phase. Where two eigenvalues are equal f counts as 0.
class Eig final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.eig",
      .primitive = "Eig",
      .summary = "Eigenvalues and eigenvectors of a square matrix: w and v with a v = v diag(w).",
      .accepts = Dtypes::inexact,
      .example =
          ">>> w, v = mx.linalg.eig(mx.array([[0.0, 1.0], [-1.0, 0.0]]))\n"
          ">>> w\narray([0+1j, 0-1j], dtype=complex64)",
      .details =
          "Both are complex. Columns of v have length 1 and are defined up to a phase: derivatives are right for what "
          "does not depend on it, and need distinct eigenvalues, or a matrix with as many independent eigenvectors as "
          "rows where only the sum of equal ones matters. The result is a named tuple (eigenvalues, eigenvectors)."};

  const char* name() const override { return info.primitive; }
  int output_count() const override { return 2; }
  Specs infer(Operands operands) const override {
    Specs out;
    out.push_back(values_of(operands[0]));
    out.push_back({operands[0].shape(), complex_of(operands[0].dtype())});
    return out;
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::eig, info.name, operands, outputs, kernels, {});
  }
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return Tangents(2);
    }
    const array &w = outputs[0], &v = outputs[1];
    array p = zero_matmul(inverse_of(v, true), zero_matmul(to_complex(*tangents[0]), v));
    array gaps = subtract(expand_dims(w, {-2}), expand_dims(w, {-1}));
    array f = reciprocal_above(gaps, expand_dims(noise_of(w), {-1}));
    array moved = zero_matmul(v, zero_times(p, f));
    array along = sum(zero_times(conjugate(v), moved), Axes{-2});
    return {diagonal_of(p), subtract(moved, scale_columns(v, along))};
  }
  static std::vector<array> of(const array& a) {
    return applied_many(make_primitive<Eig>(), std::span<const array>(&a, 1));
  }
};

class Eigenvalues final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.eigvals",
      .primitive = "Eigenvalues",
      .summary = "The eigenvalues of a square matrix.",
      .accepts = Dtypes::inexact,
      .example = ">>> mx.linalg.eigvals(mx.array([[0.0, 1.0], [-1.0, 0.0]]))\narray([0+1j, 0-1j], dtype=complex64)",
      .details = "They are complex, in the order that LAPACK finds them in."};

  const char* name() const override { return info.primitive; }
  Specs infer(Operands operands) const override { return {values_of(operands[0])}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::eigenvalues, info.name, operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    array v = Eig::of(primals[0])[1];
    array moved = zero_matmul(to_complex(*tangents[0]), v);
    return {sum(zero_times(swapaxes(inverse_of(v, true), -2, -1), moved), Axes{-2})};
  }
};

namespace linalg {

std::pair<array, array> eig(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  std::vector<array> out = Eig::of(square_argument(Eig::info.name, a));
  return {out[0], out[1]};
}

array eigvals(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return applied(make_primitive<Eigenvalues>(), {square_argument(Eigenvalues::info.name, a)});
}

} // namespace linalg

std::span<const OpInfo* const> eig_ops() {
  static constexpr const OpInfo* ops[] = {&Eig::info, &Eigenvalues::info};
  return ops;
}

std::span<const Remake> eig_remakes() {
  static constexpr Remake rows[] = {
      {"Eig", [](const Parts& p) { return Eig::of(square_matrices(p[0])); }},
      {"Eigenvalues",
          [](const Parts& p) {
            return std::vector<array>{applied(make_primitive<Eigenvalues>(), {square_matrices(p[0])})};
          }},
  };
  return rows;
}

} // namespace mlx::core
