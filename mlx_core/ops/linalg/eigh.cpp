// Eigenvalues and eigenvectors of Hermitian matrices.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/confluent.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

Spec real_values_of(const array& a) { return {Shape(a.shape().begin(), a.shape().end() - 1), real_of(a.dtype())}; }

} // namespace

// w, v. With p = v^H da v of the Hermitian part of da: dw is the diagonal of p, and dv = v (f p) with f = 1 / (w_j -
// w_i) beside it; confluent.h says what holds where two eigenvalues are equal.
class Eigh final : public MatrixPrimitive, public Confluent {
 public:
  static constexpr OpInfo info{.name = "linalg.eigh",
      .primitive = "Eigh",
      .summary = "Eigenvalues and eigenvectors of a symmetric or Hermitian matrix: w and v with a v = v diag(w).",
      .accepts = Dtypes::inexact,
      .example =
          ">>> w, v = mx.linalg.eigh(mx.array([[2.0, 1.0], [1.0, 2.0]]))\n"
          ">>> mx.round(w, 4)\narray([1, 3], dtype=float32)",
      .details =
          "Eigenvalues are real and ascend; column i of v belongs to the i-th. One triangle of a is read: the lower "
          "for "
          "``UPLO='L'``, the upper for 'U'; derivatives are those of a Hermitian argument, so a gradient is Hermitian. "
          "The result is a named tuple (eigenvalues, eigenvectors). Eigenvectors are defined up to a phase, and where "
          "eigenvalues are equal up to a rotation: derivatives are right for what does not depend on that, such as "
          "``(v * f(w)) @ v.T``; docs/linalg.md says more."};

  explicit Eigh(bool upper) : upper_(upper) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("upper", upper_); }
  int output_count() const override { return 2; }
  Specs infer(Operands operands) const override {
    Specs out;
    out.push_back(real_values_of(operands[0]));
    out.push_back({operands[0].shape(), operands[0].dtype()});
    return out;
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::eigh, info.name, operands, outputs, kernels, {.upper = upper_});
  }
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return Tangents(2);
    }
    array p = between_vectors(*tangents[0], outputs);
    return {real(diagonal_of(p)), turned(outputs[1], p, reciprocal_of(gap_of(outputs, {})))};
  }
  Tangents vjp(Operands, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    bool none = !wanted[0] || (!cotangents[0] && !cotangents[1]);
    return {none ? std::nullopt : Tangent(pulled(outputs, {cotangents}, {}))};
  }

  size_t values() const override { return 0; }
  int same_values(const Primitive& other) const override;
  array parting(Operands outputs) const override { return parting_of(outputs[0], false); }
  Tangents turning(
      Operands, const Tangents& tangents, Operands outputs, const array& parting, int order) const override {
    array p = between_vectors(*tangents[0], outputs);
    return {std::nullopt, turned(outputs[1], p, limit_factor(gap_of(outputs, parting), order))};
  }
  // With n the antihermitian part of v^H v': v q v^H, where q is w' on the diagonal and n / (w_j - w_i) beside it.
  array pulled(
      Operands outputs, const std::vector<Tangents>& cotangents, const std::optional<array>& parting) const override {
    const array& v = outputs[1];
    std::optional<array> out;
    if (cotangents[0][0]) {
      out = zero_matmul(scale_columns(v, *cotangents[0][0]), adjoint_of(v));
    }
    if (!cotangents[0][1]) {
      return *out;
    }
    array diagonal = astype(identity_like(v), bool_);
    std::vector<array> n;
    std::optional<array> scale;
    for (const Tangents& ct : cotangents) {
      array inside = ct[1] ? zero_matmul(adjoint_of(v), *ct[1]) : zeros_like(v);
      scale = scale ? scale : size_of_matrices(inside);
      n.push_back(where(diagonal, array(0, v.dtype()), antihermitian_part(inside)));
    }
    array q = quotient(n, gap_of(outputs, parting), *scale);
    array beside = zero_matmul(zero_matmul(v, q), adjoint_of(v));
    return out ? add(*out, beside) : beside;
  }

  static std::vector<array> of(const array& a, bool upper) {
    return applied_many(make_primitive<Eigh>(upper), std::span<const array>(&a, 1));
  }

 private:
  static array between_vectors(const array& da, Operands outputs) {
    return zero_matmul(zero_matmul(adjoint_of(outputs[1]), hermitian_part(da)), outputs[1]);
  }
  static array turned(const array& v, const array& p, const array& factor) {
    return zero_matmul(v, zero_times(p, astype(factor, p.dtype())));
  }
  static Gap gap_of(Operands outputs, const std::optional<array>& parting) {
    return difference_gap(outputs[0], noise_of(outputs[0]), parting);
  }

  bool upper_;
};

// Eigenvalues alone, whose derivative takes the vectors.
class HermitianEigenvalues final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.eigvalsh",
      .primitive = "HermitianEigenvalues",
      .summary = "The eigenvalues of a symmetric or Hermitian matrix, ascending.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.round(mx.linalg.eigvalsh(mx.array([[2.0, 1.0], [1.0, 2.0]])), 4)\narray([1, 3], dtype=float32)",
      .details = "One triangle of a is read: the lower for ``UPLO='L'``, the upper for 'U'."};

  explicit HermitianEigenvalues(bool upper) : upper_(upper) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("upper", upper_); }
  Specs infer(Operands operands) const override { return {real_values_of(operands[0])}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::eigenvalues_of_hermitian, info.name, operands, outputs, kernels, {.upper = upper_});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    array v = Eigh::of(primals[0], upper_)[1];
    array moved = zero_matmul(hermitian_part(*tangents[0]), v);
    return {real(sum(zero_times(conj_of(v), moved), Axes{-2}))};
  }
  bool upper() const { return upper_; }

 private:
  bool upper_;
};

int Eigh::same_values(const Primitive& other) const {
  if (const auto* vectors = dynamic_cast<const Eigh*>(&other)) {
    return vectors->upper_ == upper_ ? 0 : -1;
  }
  const auto* alone = dynamic_cast<const HermitianEigenvalues*>(&other);
  return alone && alone->upper() == upper_ ? 0 : -1;
}

namespace linalg {

namespace {

bool is_upper(const char* op, const std::string& UPLO) {
  if (UPLO != "L" && UPLO != "U" && UPLO != "l" && UPLO != "u") {
    fail(op, "UPLO is '", UPLO, "'; it can be 'L' for the lower triangle or 'U' for the upper.");
  }
  return UPLO == "U" || UPLO == "u";
}

} // namespace

std::pair<array, array> eigh(const array& a, const std::string& UPLO, StreamOrDevice s) {
  StreamScope on(s);
  bool upper = is_upper(Eigh::info.name, UPLO);
  std::vector<array> out = Eigh::of(square_argument(Eigh::info.name, a), upper);
  return {rounded_to(out[0], a.dtype()), rounded_to(out[1], a.dtype())};
}

array eigvalsh(const array& a, const std::string& UPLO, StreamOrDevice s) {
  StreamScope on(s);
  bool upper = is_upper(HermitianEigenvalues::info.name, UPLO);
  array x = square_argument(HermitianEigenvalues::info.name, a);
  return rounded_to(applied(make_primitive<HermitianEigenvalues>(upper), {x}), a.dtype());
}

} // namespace linalg

std::span<const OpInfo* const> eigh_ops() {
  static constexpr const OpInfo* ops[] = {&Eigh::info, &HermitianEigenvalues::info};
  return ops;
}

std::span<const Remake> eigh_remakes() {
  static constexpr Remake rows[] = {
      {"Eigh", [](const Parts& p) { return Eigh::of(square_matrices(p[0]), p.flag("upper")); }},
      {"HermitianEigenvalues",
          [](const Parts& p) {
            return std::vector<array>{
                applied(make_primitive<HermitianEigenvalues>(p.flag("upper")), {square_matrices(p[0])})};
          }},
  };
  return rows;
}

} // namespace mlx::core
