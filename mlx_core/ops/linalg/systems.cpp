// Inverses and linear systems.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

class Inverse final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.inv",
      .primitive = "Inverse",
      .summary = "The inverse of a square matrix.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.linalg.inv(mx.array([[2.0, 1.0], [1.0, 1.0]]))\n"
          "array([[1, -1],\n       [-1, 2]], dtype=float32)",
      .details =
          "Raises ValueError when a is not square, and LinAlgError when it is computed and a matrix is singular. To "
          "solve a system, solve() is quicker and more accurate; pinv() is defined for every matrix."};

  explicit Inverse(bool lenient) : lenient_(lenient) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("lenient", lenient_); }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::inverse, info.name, operands, outputs, kernels, {.lenient = lenient_});
  }
  // dx = -x da x
  Tangents jvp(Operands, const Tangents& tangents, Operands outputs) const override {
    const array& x = outputs[0];
    return {tangents[0] ? Tangent(negative(zero_matmul(zero_matmul(x, *tangents[0]), x))) : std::nullopt};
  }

 private:
  bool lenient_;
};

array inverse_of(const array& a, bool lenient) { return applied(make_primitive<Inverse>(lenient), {a}); }

// x with a x = b, or a^H x = b: from a's factors, which stay what they are. All derivatives by a are a's own.
class SolveWithLu final : public MatrixPrimitive {
 public:
  explicit SolveWithLu(bool adjoint) : adjoint_(adjoint) {}
  const char* name() const override { return "SolveWithLU"; }
  void visit(ParamVisitor& v) const override { v("adjoint", adjoint_); }
  Specs infer(Operands operands) const override { return {Spec{operands[3].shape(), operands[3].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::solve_with_lu, "linalg.solve", operands, outputs, kernels, {.adjoint = adjoint_}, 1);
  }
  // a dx = db - da x
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    Tangent right = tangents[3];
    if (tangents[0]) {
      array da = adjoint_ ? adjoint_of(*tangents[0]) : *tangents[0];
      array moved = negative(zero_matmul(da, outputs[0]));
      right = right ? add(*right, moved) : moved;
    }
    return {right ? Tangent(solved(primals, *right, adjoint_)) : std::nullopt};
  }
  // g with a^H g = ct is b's cotangent, and -g x^H that of a.
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(4);
    if (!cotangents[0]) {
      return out;
    }
    array g = solved(primals, *cotangents[0], !adjoint_);
    if (wanted[0]) {
      const array& x = outputs[0];
      out[0] = negative(adjoint_ ? zero_matmul(x, adjoint_of(g)) : zero_matmul(g, adjoint_of(x)));
    }
    out[3] = g;
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    if (axes[0] || axes[1] || axes[2]) {
      return MatrixPrimitive::vmap(operands, axes);
    }
    array last = moveaxis(operands[3], *axes[3], -1);
    array x = solved(operands, flatten(last, -2, -1), adjoint_);
    return {{reshape(x, last.shape())}, {last.ndim() - 1}};
  }
  static array solved(Operands of, const array& b, bool adjoint) {
    return applied(make_primitive<SolveWithLu>(adjoint), {of[0], of[1], of[2], b});
  }

 private:
  bool adjoint_;
};

// The same of a triangle of a.
class SolveTriangular final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.solve_triangular",
      .primitive = "SolveTriangular",
      .summary = "The solution x of a x = b for a triangular matrix.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.linalg.solve_triangular(mx.array([[2.0, 0.0], [1.0, 4.0]]), mx.array([2.0, 9.0]))\n"
          "array([1, 2], dtype=float32)",
      .details =
          "The lower triangle of a is read, with ``upper`` the upper one. b is a vector when it has one dimension, "
          "else matrices; leading axes broadcast. Raises LinAlgError where an element of the diagonal is 0."};

  SolveTriangular(bool upper, bool adjoint, bool lenient) : upper_(upper), adjoint_(adjoint), lenient_(lenient) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override {
    v("upper", upper_);
    v("adjoint", adjoint_);
    v("lenient", lenient_);
  }
  Specs infer(Operands operands) const override { return {Spec{operands[1].shape(), operands[1].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::solve_triangular, info.name, operands, outputs, kernels,
        {.upper = upper_, .adjoint = adjoint_, .lenient = lenient_});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    Tangent right = tangents[1];
    if (tangents[0]) {
      array da = adjoint_ ? adjoint_of(triangle(*tangents[0])) : triangle(*tangents[0]);
      array moved = negative(zero_matmul(da, outputs[0]));
      right = right ? add(*right, moved) : moved;
    }
    return {right ? Tangent(triangular_solution(primals[0], *right, upper_, adjoint_, lenient_)) : std::nullopt};
  }
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (!cotangents[0]) {
      return out;
    }
    array g = triangular_solution(primals[0], *cotangents[0], upper_, !adjoint_, lenient_);
    if (wanted[0]) {
      const array& x = outputs[0];
      out[0] = negative(triangle(adjoint_ ? zero_matmul(x, adjoint_of(g)) : zero_matmul(g, adjoint_of(x))));
    }
    out[1] = g;
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    if (axes[0]) {
      return MatrixPrimitive::vmap(operands, axes);
    }
    array last = moveaxis(operands[1], *axes[1], -1);
    array x = triangular_solution(operands[0], flatten(last, -2, -1), upper_, adjoint_, lenient_);
    return {{reshape(x, last.shape())}, {last.ndim() - 1}};
  }

 private:
  array triangle(const array& m) const { return upper_ ? triu(m) : tril(m); }
  bool upper_, adjoint_, lenient_;
};

array triangular_solution(const array& a, const array& b, bool upper, bool adjoint, bool lenient) {
  return applied(make_primitive<SolveTriangular>(upper, adjoint, lenient), {a, b});
}

namespace {

// A system's two sides in one dtype, b as matrices, with equal leading axes.
struct System {
  array a, b;
  Dtype dtype; // of the arguments together
  bool vector;

  System(const char* op, const array& matrix, const array& right)
      : a(matrix), b(right), dtype(promote_types(matrix.dtype(), right.dtype())), vector(right.ndim() == 1) {
    if (right.ndim() == 0) {
      fail(op, "b is a scalar; it should be a vector or matrices.");
    }
    Dtype inside = matrix_dtype(dtype);
    a = square_argument(op, astype(matrix, inside));
    b = astype(vector ? expand_dims(right, {-1}) : right, inside);
    if (surely_differ(a.shape(-1), b.shape(-2))) {
      fail(op, "a has shape ", matrix.shape(), " and b has shape ", right.shape(), "; b needs ", a.shape(-1),
          vector ? " elements." : " rows (its second to last axis). A stack of vectors needs a last axis of length 1.");
    }
    std::tie(a, b) = with_equal_batch(op, a, b);
  }
  array result(const array& x) const { return rounded_to(vector ? squeeze(x, {-1}) : x, dtype); }
};

} // namespace

namespace linalg {

array inv(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return rounded_to(inverse_of(square_argument(Inverse::info.name, a), false), a.dtype());
}

static constexpr OpInfo tri_inv_info{.name = "linalg.tri_inv",
    .summary = "The inverse of a triangular matrix.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> mx.linalg.tri_inv(mx.array([[2.0, 0.0], [1.0, 4.0]]))\n"
        "array([[0.5, 0],\n       [-0.125, 0.25]], dtype=float32)",
    .details =
        "The lower triangle of a is read, with ``upper`` the upper one; the rest counts as 0. Raises LinAlgError where "
        "an element of the diagonal is 0."};
array tri_inv(const array& a, bool upper, StreamOrDevice s) {
  StreamScope on(s);
  array x = square_argument(tri_inv_info.name, a);
  return rounded_to(triangular_solution(x, identity_like(x), upper, false, false), a.dtype());
}

static constexpr OpInfo solve_info{.name = "linalg.solve",
    .summary = "The solution x of the linear system a x = b.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> mx.linalg.solve(mx.array([[3.0, 1.0], [1.0, 2.0]]), mx.array([9.0, 8.0]))\n"
        "array([2, 3], dtype=float32)",
    .details =
        "b is a vector when it has one dimension, else matrices, whose columns are solved for; leading axes broadcast. "
        "a is factored once, for derivatives too. Raises ValueError when a is not square or the shapes do not fit, and "
        "LinAlgError when it is computed and a matrix is singular."};
array solve(const array& a, const array& b, StreamOrDevice s) {
  StreamScope on(s);
  System system(solve_info.name, a, b);
  // Matrices that several systems share are factored once.
  array square = square_argument(solve_info.name, astype(a, system.a.dtype()));
  std::vector<array> parts = lu_of(stop_gradient(square));
  array swaps = parts[1];
  if (!(square.shape() == system.a.shape())) {
    Shape shape(system.a.shape().begin(), system.a.shape().end() - 1);
    parts[0] = broadcast_to(parts[0], system.a.shape());
    swaps = broadcast_to(swaps, shape);
  }
  array operands[] = {system.a, parts[0], swaps};
  return system.result(SolveWithLu::solved(operands, system.b, false));
}

array solve_triangular(const array& a, const array& b, bool upper, StreamOrDevice s) {
  StreamScope on(s);
  System system(SolveTriangular::info.name, a, b);
  return system.result(triangular_solution(system.a, system.b, upper, false, false));
}

} // namespace linalg

std::span<const OpInfo* const> system_ops() {
  static constexpr const OpInfo* ops[] = {
      &Inverse::info, &linalg::tri_inv_info, &linalg::solve_info, &SolveTriangular::info};
  return ops;
}

namespace {

using Arrays = std::vector<array>;

// The right-hand side that belongs to square matrices.
const array& right_side(const array& a, const array& b) {
  Parts::require(matrices(b).ndim() == square_matrices(a).ndim() && b.dtype() == a.dtype() &&
                     std::equal(a.shape().begin(), a.shape().end() - 1, b.shape().begin()),
      "a matrix and its right-hand side do not fit.");
  return b;
}

Arrays solved(const Parts& p) {
  const array &a = p[0], &both = p[1], &swaps = p[2], &b = right_side(a, p[3]);
  Parts::require(both.shape() == a.shape() && both.dtype() == a.dtype() && swaps.dtype() == uint32 &&
                     swaps.shape() == Shape(a.shape().begin(), a.shape().end() - 1),
      "a matrix and its factors do not fit.");
  array of[] = {a, both, swaps};
  return {SolveWithLu::solved(of, b, p.flag("adjoint"))};
}

} // namespace

std::span<const Remake> system_remakes() {
  static constexpr Remake rows[] = {
      {"Inverse", [](const Parts& p) { return Arrays{inverse_of(square_matrices(p[0]), p.flag("lenient"))}; }},
      {"SolveWithLU", &solved},
      {"SolveTriangular",
          [](const Parts& p) {
            return Arrays{triangular_solution(
                p[0], right_side(p[0], p[1]), p.flag("upper"), p.flag("adjoint"), p.flag("lenient"))};
          }},
  };
  return rows;
}

} // namespace mlx::core
