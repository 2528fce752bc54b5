// QR factors.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

class Qr final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.qr",
      .primitive = "QR",
      .summary = "The factors of a matrix: q with orthonormal columns, and upper triangular r.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> q, r = mx.linalg.qr(mx.array([[2.0, 3.0], [0.0, 4.0]]))\n"
          ">>> mx.allclose(q @ r, mx.array([[2.0, 3.0], [0.0, 4.0]])).item()\nTrue",
      .details =
          "Of (m, n) matrices with the smaller side k, q is (m, k) and r (k, n); with ``mode='complete'`` q is (m, m) "
          "and r (m, n). The result is a named tuple (Q, R). Signs of r's diagonal are LAPACK's. Derivatives need the "
          "first k columns to be linearly independent; those of the columns that only a complete q has are right for "
          "what does not depend on how they are chosen."};

  explicit Qr(bool complete) : complete_(complete) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("complete", complete_); }
  int output_count() const override { return 2; }
  Specs infer(Operands operands) const override {
    const array& a = operands[0];
    Dim m = a.shape(-2), inner = complete_ ? m : smaller_of(m, a.shape(-1));
    Shape q = a.shape(), r = a.shape();
    q.back() = inner;
    r[r.size() - 2] = inner;
    Specs out;
    out.push_back({std::move(q), a.dtype()});
    out.push_back({std::move(r), a.dtype()});
    return out;
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::qr, info.name, operands, outputs, kernels, {.full = complete_});
  }
  // With x = da r^-1 of the first k columns and c = q^H x: dq = q w + (x - q c), where w is antihermitian and c - w
  // upper triangular with a real diagonal. dr = q^H (da - dq r). Columns that complete q move as little as they can.
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return Tangents(2);
    }
    const array &all = outputs[0], &da = *tangents[0];
    Dim m = all.shape(-2), n = da.shape(-1), k = smaller_of(m, n);
    array q = first_columns(all, k), r = first_columns(first_rows(outputs[1], k), k);
    array x = adjoint_of(triangular_solution(r, adjoint_of(first_columns(da, k)), true, true, true));
    array c = zero_matmul(adjoint_of(q), x), below = tril(c, -1);
    array w = subtract(below, adjoint_of(below));
    if (c.dtype().is_complex()) {
      array diagonal = multiply(subtract(c, conjugate(c)), array(0.5, real_of(c.dtype())));
      w = add(w, multiply(diagonal, eye(k, k, 0, c.dtype())));
    }
    array dq = zero_matmul(q, w);
    if (m > n) {
      dq = add(dq, subtract(x, zero_matmul(q, c)));
    }
    if (complete_ && m > n) {
      array others = last_columns(all, k);
      dq = concatenate({dq, negative(zero_matmul(q, zero_matmul(adjoint_of(dq), others)))}, -1);
    }
    array dr = zero_matmul(adjoint_of(all), subtract(da, zero_matmul(dq, outputs[1])));
    return {dq, triu(dr)};
  }

 private:
  bool complete_;
};

namespace linalg {

std::pair<array, array> qr(const array& a, const std::string& mode, StreamOrDevice s) {
  StreamScope on(s);
  if (mode != "reduced" && mode != "complete") {
    fail(Qr::info.name, "mode is '", mode, "'; it can be 'reduced' or 'complete'.");
  }
  array x = matrix_argument(Qr::info.name, a);
  std::vector<array> out = applied_many(make_primitive<Qr>(mode == "complete"), std::span<const array>(&x, 1));
  return {rounded_to(out[0], a.dtype()), rounded_to(out[1], a.dtype())};
}
std::pair<array, array> qr(const array& a, StreamOrDevice s) { return qr(a, std::string("reduced"), s); }

} // namespace linalg

std::span<const OpInfo* const> qr_ops() {
  static constexpr const OpInfo* ops[] = {&Qr::info};
  return ops;
}

std::span<const Remake> qr_remakes() {
  static constexpr Remake rows[] = {
      {"QR", [](const Parts& p) {
         return applied_many(make_primitive<Qr>(p.flag("complete")), std::span<const array>(&matrices(p[0]), 1));
       }}};
  return rows;
}

} // namespace mlx::core
