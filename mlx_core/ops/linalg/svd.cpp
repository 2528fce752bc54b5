// Singular values and vectors.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

Spec values_of(const array& a) {
  Shape shape(a.shape().begin(), a.shape().end() - 1);
  shape.back() = smaller_of(a.shape(-2), a.shape(-1));
  return {std::move(shape), real_of(a.dtype())};
}

} // namespace

// u, s, vh. With p = u^H da v, s moves by the real part of its diagonal. The rest of p turns u and v: its antihermitian
// part both against each other, by 1 / (s_i + s_j), its Hermitian part both together, by 1 / (s_j - s_i). The latter
// has no limit where two singular values are equal, and counts as 0 there: what it turns is then a basis that anyone
// may choose.
class Svd final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.svd",
      .primitive = "SVD",
      .summary = "The singular value decomposition: u, s and vh with a = u diag(s) vh.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> u, s, vh = mx.linalg.svd(mx.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))\n"
          ">>> s, u.shape\n(array([4, 3], dtype=float32), (3, 3))",
      .details =
          "Singular values are real and descend. u and vh are square; with ``full_matrices=False`` they have as many "
          "columns and rows as there are singular values. Without ``compute_uv``, s alone. The result is a named tuple "
          "(U, S, Vh). Vectors are defined up to a phase, and where singular values are equal up to a rotation: "
          "derivatives are right for what does not depend on that. docs/linalg.md says what holds where singular "
          "values coincide."};

  explicit Svd(bool full) : full_(full) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("full", full_); }
  int output_count() const override { return 3; }
  Specs infer(Operands operands) const override {
    const array& a = operands[0];
    Dim m = a.shape(-2), n = a.shape(-1), k = smaller_of(m, n);
    Shape u = a.shape(), vh = a.shape();
    u.back() = full_ ? m : k;
    vh[vh.size() - 2] = full_ ? n : k;
    Specs out;
    out.push_back({std::move(u), a.dtype()});
    out.push_back(values_of(a));
    out.push_back({std::move(vh), a.dtype()});
    return out;
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::svd, info.name, operands, outputs, kernels, {.full = full_});
  }
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return Tangents(3);
    }
    const array &da = *tangents[0], &s = outputs[1];
    Dim m = da.shape(-2), n = da.shape(-1), k = smaller_of(m, n);
    array u = first_columns(outputs[0], k), vh = first_rows(outputs[2], k), v = adjoint_of(vh);
    array da_v = zero_matmul(da, v), p = zero_matmul(adjoint_of(u), da_v), ph = adjoint_of(p);
    array noise = noise_of(s), half = array(0.5, real_of(p.dtype()));
    array wide = expand_dims(noise, {-1}), of_columns = expand_dims(s, {-2}), of_rows = expand_dims(s, {-1});
    array together = reciprocal_above(subtract(of_columns, of_rows), wide);
    array against = reciprocal_above(add(of_columns, of_rows), wide);
    array turn = zero_times(multiply(add(p, ph), half), astype(together, p.dtype()));
    array twist = zero_times(multiply(subtract(p, ph), half), astype(against, p.dtype()));
    array inverse = reciprocal_above(s, noise);
    array du = zero_matmul(u, add(turn, twist)), dv = zero_matmul(v, subtract(turn, twist));
    if (m > k) {
      du = add(du, scale_columns(subtract(da_v, zero_matmul(u, p)), inverse));
    }
    if (n > k) {
      dv = add(dv, scale_columns(subtract(zero_matmul(adjoint_of(da), u), zero_matmul(v, ph)), inverse));
    }
    if (full_ && m > k) {
      array rest = last_columns(outputs[0], k);
      du = concatenate({du, negative(zero_matmul(u, zero_matmul(adjoint_of(du), rest)))}, -1);
    }
    array dvh = adjoint_of(dv);
    if (full_ && n > k) {
      array rest = last_rows(outputs[2], k);
      dvh = concatenate({dvh, negative(zero_matmul(zero_matmul(rest, dv), vh))}, -2);
    }
    return {du, real(diagonal_of(p)), dvh};
  }

 private:
  bool full_;
};

// Singular values alone, whose derivative takes the vectors.
class SingularValues final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.svdvals",
      .primitive = "SingularValues",
      .summary = "The singular values of a matrix, largest first.",
      .accepts = Dtypes::inexact,
      .example = ">>> mx.linalg.svdvals(mx.array([[3.0, 0.0], [0.0, 4.0]]))\narray([4, 3], dtype=float32)"};

  const char* name() const override { return info.primitive; }
  Specs infer(Operands operands) const override { return {values_of(operands[0])}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::singular_values, info.name, operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    std::vector<array> parts = svd_of(primals[0], false);
    array right = zero_matmul(*tangents[0], adjoint_of(parts[2]));
    return {real(sum(zero_times(conj_of(parts[0]), right), Axes{-2}))};
  }
};

std::vector<array> svd_of(const array& a, bool full) {
  return applied_many(make_primitive<Svd>(full), std::span<const array>(&a, 1));
}
array singular_values_of(const array& a) { return applied(make_primitive<SingularValues>(), {a}); }

namespace linalg {

std::vector<array> svd(const array& a, bool compute_uv, bool full_matrices, StreamOrDevice s) {
  StreamScope on(s);
  array x = matrix_argument(Svd::info.name, a);
  std::vector<array> out = compute_uv ? svd_of(x, full_matrices) : std::vector<array>{singular_values_of(x)};
  for (array& y : out) y = rounded_to(y, a.dtype());
  return out;
}
std::vector<array> svd(const array& a, bool compute_uv, StreamOrDevice s) { return svd(a, compute_uv, true, s); }
std::vector<array> svd(const array& a, StreamOrDevice s) { return svd(a, true, true, s); }

array svdvals(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return rounded_to(singular_values_of(matrix_argument(SingularValues::info.name, a)), a.dtype());
}

} // namespace linalg

std::span<const OpInfo* const> svd_ops() {
  static constexpr const OpInfo* ops[] = {&Svd::info, &SingularValues::info};
  return ops;
}

std::span<const Remake> svd_remakes() {
  static constexpr Remake rows[] = {
      {"SVD", [](const Parts& p) { return svd_of(matrices(p[0]), p.flag("full")); }},
      {"SingularValues", [](const Parts& p) { return std::vector<array>{singular_values_of(matrices(p[0]))}; }},
  };
  return rows;
}

} // namespace mlx::core
