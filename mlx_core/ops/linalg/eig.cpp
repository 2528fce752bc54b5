// Eigenvalues and eigenvectors of any square matrix.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/confluent.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

Spec complex_values_of(const array& a) {
  return {Shape(a.shape().begin(), a.shape().end() - 1), complex_of(a.dtype())};
}
array to_complex(const array& t) { return astype(t, complex_of(t.dtype())); }

} // namespace

// w, v. With p = v^-1 da v: dw is the diagonal of p, and dv = v (f p) with f = 1 / (w_j - w_i) beside it, less what
// would change a column's length or phase. confluent.h says what holds where two eigenvalues are equal.
class Eig final : public MatrixPrimitive, public Confluent {
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
          "does not depend on it, of matrices with as many independent eigenvectors as rows. The result is a named "
          "tuple (eigenvalues, eigenvectors)."};

  const char* name() const override { return info.primitive; }
  int output_count() const override { return 2; }
  Specs infer(Operands operands) const override {
    Specs out;
    out.push_back(complex_values_of(operands[0]));
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
    array p = between_vectors(*tangents[0], outputs);
    return {diagonal_of(p), turned(outputs[1], p, reciprocal_of(gap_of(outputs, {})))};
  }
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    if (!wanted[0] || (!cotangents[0] && !cotangents[1])) {
      return {std::nullopt};
    }
    array all = pulled(outputs, {cotangents}, {});
    return {primals[0].dtype().is_complex() ? all : real(all)};
  }

  size_t values() const override { return 0; }
  int same_values(const Primitive& other) const override;
  // Those beside which others are, one after another.
  array parting(Operands outputs) const override {
    array w = stop_gradient(outputs[0]), noise = noise_of(w);
    array apart = abs(subtract(expand_dims(w, {-2}), expand_dims(w, {-1})));
    array close = less_equal(apart, expand_dims(nearness_of(noise), {-1}));
    return stop_gradient(astype(sum(astype(tril(close, -1), noise.dtype()), Axes{-1}), w.dtype()));
  }
  Tangents turning(
      Operands, const Tangents& tangents, Operands outputs, const array& parting, int order) const override {
    array p = between_vectors(*tangents[0], outputs);
    return {std::nullopt, turned(outputs[1], p, limit_factor(gap_of(outputs, parting), order))};
  }
  // With n = v^H v' beside the diagonal: v^-H q v^H, where q is w' on it and n / conj(w_j - w_i) beside it.
  array pulled(
      Operands outputs, const std::vector<Tangents>& cotangents, const std::optional<array>& parting) const override {
    const array& v = outputs[1];
    array diagonal = astype(identity_like(v), bool_), none = zeros({}, v.dtype()), vh = adjoint_of(v);
    array q = cotangents[0][0] ? where(diagonal, expand_dims(*cotangents[0][0], {-1}), none) : zeros_like(v);
    if (cotangents[0][1]) {
      std::vector<array> n;
      std::optional<array> scale;
      for (const Tangents& ct : cotangents) {
        array inside = zeros_like(v);
        if (ct[1]) {
          array along = sum(zero_times(conjugate(v), *ct[1]), Axes{-2});
          inside = zero_matmul(vh, subtract(*ct[1], scale_columns(v, along)));
        }
        scale = scale ? scale : size_of_matrices(inside);
        n.push_back(where(diagonal, none, inside));
      }
      Gap gap = gap_of(outputs, parting);
      gap.size = conjugate(gap.size);
      q = add(q, quotient(n, gap, *scale));
    }
    return zero_matmul(adjoint_of(inverse_of(v, true)), zero_matmul(q, vh));
  }

  static std::vector<array> of(const array& a) {
    return applied_many(make_primitive<Eig>(), std::span<const array>(&a, 1));
  }

 private:
  static array between_vectors(const array& da, Operands outputs) {
    return zero_matmul(inverse_of(outputs[1], true), zero_matmul(to_complex(da), outputs[1]));
  }
  static array turned(const array& v, const array& p, const array& factor) {
    array moved = zero_matmul(v, zero_times(p, factor));
    return subtract(moved, scale_columns(v, sum(zero_times(conjugate(v), moved), Axes{-2})));
  }
  static Gap gap_of(Operands outputs, const std::optional<array>& parting) {
    return difference_gap(outputs[0], noise_of(outputs[0]), parting);
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
  Specs infer(Operands operands) const override { return {complex_values_of(operands[0])}; }
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

int Eig::same_values(const Primitive& other) const {
  return dynamic_cast<const Eig*>(&other) || dynamic_cast<const Eigenvalues*>(&other) ? 0 : -1;
}

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
