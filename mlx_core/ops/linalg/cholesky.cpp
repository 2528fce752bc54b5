// Cholesky factors.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

class Cholesky final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.cholesky",
      .primitive = "Cholesky",
      .summary = "The triangular factor of a Hermitian positive definite matrix: l with l l^H = a.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.linalg.cholesky(mx.array([[4.0, 2.0], [2.0, 5.0]]))\n"
          "array([[2, 0],\n       [1, 2]], dtype=float32)",
      .details =
          "With ``upper``, u with u^H u = a. Only that triangle of a is read; its derivative is that of a Hermitian "
          "argument, so a gradient is Hermitian. Raises LinAlgError where a matrix is not positive definite, and says "
          "which."};

  explicit Cholesky(bool upper) : upper_(upper) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("upper", upper_); }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::cholesky, info.name, operands, outputs, kernels, {.upper = upper_});
  }
  // dl = l phi(l^-1 da l^-H), where phi takes the lower triangle and half the diagonal.
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    array l = upper_ ? adjoint_of(outputs[0]) : outputs[0];
    array half = triangular_solution(l, hermitian_part(*tangents[0]), false, false, true);
    array inside = triangular_solution(l, adjoint_of(half), false, false, true);
    Dim n = l.shape(-1);
    array phi = subtract(tri(n, n, 0, l.dtype()), multiply(eye(n, n, 0, l.dtype()), array(0.5, l.dtype())));
    array moved = zero_matmul(l, zero_times(inside, phi));
    return {upper_ ? adjoint_of(moved) : moved};
  }

 private:
  bool upper_;
};

namespace linalg {

array cholesky(const array& a, bool upper, StreamOrDevice s) {
  StreamScope on(s);
  array x = square_argument(Cholesky::info.name, a);
  return rounded_to(applied(make_primitive<Cholesky>(upper), {x}), a.dtype());
}

static constexpr OpInfo cholesky_inv_info{.name = "linalg.cholesky_inv",
    .summary = "The inverse of the matrix whose Cholesky factor is a: of a a^H, or with ``upper`` of a^H a.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> mx.linalg.cholesky_inv(mx.array([[2.0, 0.0], [0.0, 4.0]]))\n"
        "array([[0.25, 0],\n       [0, 0.0625]], dtype=float32)",
    .details = "Only the triangle of the factor is read. Raises LinAlgError where an element of its diagonal is 0."};

array cholesky_inv(const array& a, bool upper, StreamOrDevice s) {
  StreamScope on(s);
  array x = square_argument(cholesky_inv_info.name, a);
  array inverse = triangular_solution(x, identity_like(x), upper, false, false);
  return rounded_to(upper ? matmul(inverse, adjoint_of(inverse)) : matmul(adjoint_of(inverse), inverse), a.dtype());
}

} // namespace linalg

std::span<const OpInfo* const> cholesky_ops() {
  static constexpr const OpInfo* ops[] = {&Cholesky::info, &linalg::cholesky_inv_info};
  return ops;
}

std::span<const Remake> cholesky_remakes() {
  static constexpr Remake rows[] = {{"Cholesky", [](const Parts& p) {
                                       return std::vector<array>{
                                           applied(make_primitive<Cholesky>(p.flag("upper")), {square_matrices(p[0])})};
                                     }}};
  return rows;
}

} // namespace mlx::core
