// LU factors with row swaps.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

Shape leading(const array& a, Dim last) {
  Shape shape(a.shape().begin(), a.shape().end() - 2);
  shape.push_back(last);
  return shape;
}

} // namespace

// Both factors in one matrix, the row that each row was swapped with, and where each row of a went.
class Lu final : public MatrixPrimitive {
 public:
  const char* name() const override { return "LU"; }
  int output_count() const override { return 3; }
  Specs infer(Operands operands) const override {
    const array& a = operands[0];
    Specs out;
    out.push_back({a.shape(), a.dtype()});
    out.push_back({leading(a, smaller_of(a.shape(-2), a.shape(-1))), uint32});
    out.push_back({leading(a, a.shape(-2)), uint32});
    return out;
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::lu, "linalg.lu", operands, outputs, kernels, {});
  }
  // With l and u made square by ones on the diagonal, and x = l^-1 p da u^-1: dl = l tril(x, -1), du = triu(x) u.
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    Tangents out(3);
    if (!tangents[0]) {
      return out;
    }
    const array &both = outputs[0], &places = outputs[2];
    Dim m = both.shape(-2), n = both.shape(-1), k = smaller_of(m, n);
    Dtype dtype = both.dtype();
    array l = add(tril(first_columns(both, k), -1), eye(m, k, 0, dtype)), u = triu(first_rows(both, k));
    if (m > n) {
      array rest = slice(eye(m, m, 0, dtype), Shape{0, k}, Shape{m, m});
      Shape shape = l.shape();
      shape.back() = m - k;
      l = concatenate({l, broadcast_to(rest, shape)}, -1);
    }
    if (n > m) {
      array rest = slice(eye(n, n, 0, dtype), Shape{k, 0}, Shape{n, n});
      Shape shape = u.shape();
      shape[shape.size() - 2] = n - k;
      u = concatenate({u, broadcast_to(rest, shape)}, -2);
    }
    array order = argsort(places, -1);
    array moved = take_along_axis(*tangents[0], expand_dims(order, {-1}), -2);
    array half = triangular_solution(l, moved, false, false, true);
    array x = adjoint_of(triangular_solution(u, adjoint_of(half), true, true, true));
    out[0] = add(zero_matmul(l, tril(x, -1)), zero_matmul(triu(x), u));
    return out;
  }
};

std::vector<array> lu_of(const array& a) {
  static const PrimitiveRef& one = *new PrimitiveRef(make_primitive<Lu>());
  return applied_many(one, std::span<const array>(&a, 1));
}

namespace linalg {

static constexpr OpInfo lu_info{.name = "linalg.lu",
    .summary = "The factors of a matrix: rows' places p, unit lower triangular l and upper triangular u.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> p, l, u = mx.linalg.lu(mx.array([[1.0, 2.0], [4.0, 4.0]]))\n"
        ">>> p, u\n"
        "(array([1, 0], dtype=uint32), array([[4, 4],\n       [0, 1]], dtype=float32))",
    .details =
        "a = l[p, :] @ u, for a batch take_along_axis(l, p[..., None], axis=-2) @ u. Any shape: of (m, n) and its "
        "smaller side k, l is (m, k) and u (k, n)."};

std::vector<array> lu(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  std::vector<array> parts = lu_of(matrix_argument(lu_info.name, a));
  Dim m = a.shape(-2), k = smaller_of(m, a.shape(-1));
  array l = add(tril(first_columns(parts[0], k), -1), eye(m, k, 0, parts[0].dtype()));
  return {parts[2], rounded_to(l, a.dtype()), rounded_to(triu(first_rows(parts[0], k)), a.dtype())};
}

static constexpr OpInfo lu_factor_info{.name = "linalg.lu_factor",
    .summary = "Both factors of a matrix in one, and the row that each row was swapped with.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> mx.linalg.lu_factor(mx.array([[1.0, 2.0], [4.0, 4.0]]))\n"
        "(array([[4, 4],\n       [0.25, 1]], dtype=float32), array([1, 1], dtype=uint32))",
    .details = "l is below the diagonal, where it has ones, and u above. Rows are counted from 0."};

std::pair<array, array> lu_factor(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  std::vector<array> parts = lu_of(matrix_argument(lu_factor_info.name, a));
  return {rounded_to(parts[0], a.dtype()), parts[1]};
}

} // namespace linalg

std::span<const OpInfo* const> lu_ops() {
  static constexpr const OpInfo* ops[] = {&linalg::lu_info, &linalg::lu_factor_info};
  return ops;
}

std::span<const Remake> lu_remakes() {
  static constexpr Remake rows[] = {{"LU", [](const Parts& p) { return lu_of(matrices(p[0])); }}};
  return rows;
}

} // namespace mlx::core
