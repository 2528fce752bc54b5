// Singular values and vectors.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/confluent.h"
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
// part both against each other, by 1 / (s_i + s_j), its Hermitian part both together, by 1 / (s_j - s_i); what is
// outside of u and v enters by 1 / s. confluent.h says what holds where one of these is 1 / 0.
class Svd final : public MatrixPrimitive, public Confluent {
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
          "derivatives are right for what does not depend on that, such as ``u @ vh``; docs/linalg.md says more."};

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
    return moved(*tangents[0], outputs, Gaps(outputs[1], {}).each(reciprocal_of), true);
  }
  Tangents vjp(Operands, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    bool none = !wanted[0] || (!cotangents[0] && !cotangents[1] && !cotangents[2]);
    return {none ? std::nullopt : Tangent(pulled(outputs, {cotangents}, {}))};
  }

  size_t values() const override { return 1; }
  int same_values(const Primitive& other) const override;
  array parting(Operands outputs) const override { return parting_of(outputs[1], true); }
  Tangents turning(
      Operands, const Tangents& tangents, Operands outputs, const array& parting, int order) const override {
    auto factor = [order](const Gap& gap) { return limit_factor(gap, order); };
    return moved(*tangents[0], outputs, Gaps(outputs[1], parting).each(factor), false);
  }
  array pulled(
      Operands outputs, const std::vector<Tangents>& cotangents, const std::optional<array>& parting) const override;

 private:
  struct Factors {
    array together, against, outside;
  };
  struct Gaps {
    Gaps(const array& s, const std::optional<array>& parting)
        : together(difference_gap(s, noise_of(s), parting)),
          against(sum_gap(s, noise_of(s), parting)),
          outside{s, noise_of(s), parting} {}
    template <typename F>
    Factors each(F&& f) const {
      return {f(together), f(against), f(outside)};
    }
    Gap together, against, outside;
  };
  // Tangents of all, given how the vectors turn.
  Tangents moved(const array& da, Operands outputs, const Factors& f, bool with_values) const {
    const array& s = outputs[1];
    Dim m = da.shape(-2), n = da.shape(-1), k = s.shape(-1);
    array u = first_columns(outputs[0], k), vh = first_rows(outputs[2], k), v = adjoint_of(vh);
    array da_v = zero_matmul(da, v), p = zero_matmul(adjoint_of(u), da_v), ph = adjoint_of(p);
    array turn = zero_times(hermitian_part(p), astype(f.together, p.dtype()));
    array twist = zero_times(antihermitian_part(p), astype(f.against, p.dtype()));
    array du = zero_matmul(u, add(turn, twist)), dv = zero_matmul(v, subtract(turn, twist));
    if (m > k) {
      du = add(du, scale_columns(subtract(da_v, zero_matmul(u, p)), f.outside));
    }
    if (n > k) {
      dv = add(dv, scale_columns(subtract(zero_matmul(adjoint_of(da), u), zero_matmul(v, ph)), f.outside));
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
    return {du, with_values ? Tangent(real(diagonal_of(p))) : std::nullopt, dvh};
  }

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

int Svd::same_values(const Primitive& other) const {
  return dynamic_cast<const Svd*>(&other) ? 1 : dynamic_cast<const SingularValues*>(&other) ? 0 : -1;
}

namespace {

// The cotangent of the first columns of square vectors, when the others follow them: dx2 = -x1 dx1^H x2.
std::optional<array> of_first_columns(const Tangent& ct, const array& vectors, Dim k) {
  if (!ct || surely_equal(vectors.shape(-1), k)) {
    return ct;
  }
  array first = first_columns(vectors, k), rest = last_columns(vectors, k), by_rest = last_columns(*ct, k);
  return subtract(first_columns(*ct, k), zero_matmul(rest, zero_matmul(adjoint_of(by_rest), first)));
}

// What is outside of the columns of `vectors`.
array outside_of(const array& vectors, const array& x) {
  return subtract(x, zero_matmul(vectors, zero_matmul(adjoint_of(vectors), x)));
}

} // namespace

// The transpose of `moved`, term by term.
array Svd::pulled(
    Operands outputs, const std::vector<Tangents>& cotangents, const std::optional<array>& parting) const {
  const array& s = outputs[1];
  Dim m = outputs[0].shape(-2), n = outputs[2].shape(-1), k = s.shape(-1);
  array all_v = adjoint_of(outputs[2]), u = first_columns(outputs[0], k), v = first_columns(all_v, k);
  array vh = adjoint_of(v);
  std::optional<array> out;
  auto include = [&](const array& term) { out = out ? add(*out, term) : term; };
  if (cotangents[0][1]) {
    include(zero_matmul(scale_columns(u, *cotangents[0][1]), vh));
  }
  if (!cotangents[0][0] && !cotangents[0][2]) {
    return *out;
  }
  array none = zeros({}, u.dtype());
  array square_zeros = zeros_like(zero_matmul(vh, v)), diagonal = astype(identity_like(square_zeros), bool_);
  std::vector<array> together, against, outside_u, outside_v;
  std::optional<array> inside_scale, u_scale, v_scale;
  for (const Tangents& ct : cotangents) {
    Tangent by_vectors = ct[2] ? Tangent(adjoint_of(*ct[2])) : std::nullopt;
    Tangent by_u = of_first_columns(ct[0], outputs[0], k), by_v = of_first_columns(by_vectors, all_v, k);
    array inside_u = by_u ? zero_matmul(adjoint_of(u), *by_u) : square_zeros;
    array inside_v = by_v ? zero_matmul(vh, *by_v) : square_zeros;
    if (!inside_scale) {
      inside_scale = add(size_of_matrices(inside_u), size_of_matrices(inside_v));
      u_scale = by_u ? size_of_matrices(*by_u) : *inside_scale;
      v_scale = by_v ? size_of_matrices(*by_v) : *inside_scale;
    }
    together.push_back(where(diagonal, none, antihermitian_part(add(inside_u, inside_v))));
    against.push_back(antihermitian_part(subtract(inside_u, inside_v)));
    outside_u.push_back(by_u ? outside_of(u, *by_u) : zeros_like(u));
    outside_v.push_back(by_v ? outside_of(v, *by_v) : zeros_like(v));
  }
  Gaps gaps(s, parting);
  array c = add(quotient(together, gaps.together, *inside_scale), quotient(against, gaps.against, *inside_scale));
  include(zero_matmul(zero_matmul(u, c), vh));
  Gap of_columns{expand_dims(s, {-2}), expand_dims(gaps.outside.noise, {-1}),
      parting ? std::optional<array>(expand_dims(*parting, {-2})) : std::nullopt};
  if (m > k && cotangents[0][0]) {
    include(zero_matmul(quotient(outside_u, of_columns, *u_scale), vh));
  }
  if (n > k && cotangents[0][2]) {
    include(zero_matmul(u, adjoint_of(quotient(outside_v, of_columns, *v_scale))));
  }
  return *out;
}

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
