// Eigenvalues and eigenvectors of Hermitian matrices.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

Spec values_of(const array& a) { return {Shape(a.shape().begin(), a.shape().end() - 1), real_of(a.dtype())}; }

} // namespace

// w, v. With p = v^H da v of the Hermitian part of da: dw is the diagonal of p, and dv = v (f p) with f = 1 / (w_j -
// w_i) beside it. Where two eigenvalues are equal f counts as 0: what it turns is a basis that anyone may choose.
class Eigh final : public MatrixPrimitive {
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
          "eigenvalues are equal up to a rotation: derivatives are right for what does not depend on that. "
          "docs/linalg.md says what holds where eigenvalues coincide."};

  explicit Eigh(bool upper) : upper_(upper) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("upper", upper_); }
  int output_count() const override { return 2; }
  Specs infer(Operands operands) const override {
    Specs out;
    out.push_back(values_of(operands[0]));
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
    const array &w = outputs[0], &v = outputs[1];
    array p = zero_matmul(zero_matmul(adjoint_of(v), hermitian_part(*tangents[0])), v);
    array gaps = subtract(expand_dims(w, {-2}), expand_dims(w, {-1}));
    array f = reciprocal_above(gaps, expand_dims(noise_of(w), {-1}));
    return {real(diagonal_of(p)), zero_matmul(v, zero_times(p, astype(f, p.dtype())))};
  }

  static std::vector<array> of(const array& a, bool upper) {
    return applied_many(make_primitive<Eigh>(upper), std::span<const array>(&a, 1));
  }

 private:
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
  Specs infer(Operands operands) const override { return {values_of(operands[0])}; }
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

 private:
  bool upper_;
};

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
