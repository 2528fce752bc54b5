// The pseudo-inverse, and what is made of it: least squares. The rank.
#include <limits>

#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

// x = a^+, where singular values up to a relative bound (..., 1) count as 0. With the rank fixed,
// dx = -x da x + x x^H da^H (1 - a x) + (1 - x a) da^H x^H x  (Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973).
class PseudoInverse final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.pinv",
      .primitive = "PseudoInverse",
      .summary = "The Moore-Penrose pseudo-inverse of a matrix.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.linalg.pinv(mx.array([[2.0, 0.0], [0.0, 0.0]]))\n"
          "array([[0.5, 0],\n       [0, 0]], dtype=float32)",
      .details =
          "Of any shape and rank. Singular values up to ``rtol`` times the largest count as 0; rtol broadcasts with "
          "the "
          "batch, and is max(m, n) times the dtype's epsilon unless given. Derivatives are those among matrices of the "
          "same rank."};

  const char* name() const override { return info.primitive; }
  Specs infer(Operands operands) const override {
    Shape shape = operands[0].shape();
    std::swap(shape.back(), shape[shape.size() - 2]);
    return {Spec{std::move(shape), operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::pseudo_inverse, info.name, operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    const array &a = primals[0], &x = outputs[0], &da = *tangents[0];
    array xh = adjoint_of(x), dah = adjoint_of(da);
    array moved = negative(zero_matmul(zero_matmul(x, da), x));
    array of_rows = zero_matmul(matmul(x, xh), dah), of_columns = zero_matmul(dah, matmul(xh, x));
    of_rows = subtract(of_rows, zero_matmul(zero_matmul(of_rows, a), x));
    of_columns = subtract(of_columns, zero_matmul(x, zero_matmul(a, of_columns)));
    return {add(moved, add(of_rows, of_columns))};
  }
};

namespace {

// The relative bound for each matrix, as (..., 1).
array bound_of(const array& a, const std::optional<array>& rtol) {
  Shape shape(a.shape().begin(), a.shape().end() - 1);
  shape.back() = 1;
  Dtype dtype = real_of(a.dtype());
  if (rtol) {
    return broadcast_to(expand_dims(astype(*rtol, dtype), {-1}), shape);
  }
  double epsilon = dtype == float64 ? std::numeric_limits<double>::epsilon()
                                    : static_cast<double>(std::numeric_limits<float>::epsilon());
  array side = size_number(larger_of(a.shape(-2), a.shape(-1)), dtype);
  return broadcast_to(multiply(side, array(epsilon, dtype)), shape);
}

array pseudo_inverse_of(const array& a, const array& bound) {
  return applied(make_primitive<PseudoInverse>(), {a, bound});
}

} // namespace

namespace linalg {

array pinv(const array& a, const array& rtol, StreamOrDevice s) {
  StreamScope on(s);
  array x = matrix_argument(PseudoInverse::info.name, a);
  return rounded_to(pseudo_inverse_of(x, bound_of(x, rtol)), a.dtype());
}
array pinv(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  array x = matrix_argument(PseudoInverse::info.name, a);
  return rounded_to(pseudo_inverse_of(x, bound_of(x, {})), a.dtype());
}

static constexpr OpInfo matrix_rank_info{.name = "linalg.matrix_rank",
    .summary = "How many singular values of a matrix are more than rounding errors.",
    .accepts = Dtypes::inexact,
    .differentiable = Differentiable::no,
    .no_derivative = {"a rank is a whole number"},
    .example = ">>> mx.linalg.matrix_rank(mx.array([[1.0, 2.0], [2.0, 4.0]]))\narray(1, dtype=int32)",
    .details =
        "Those above ``rtol`` times the largest; rtol broadcasts with the batch, and is max(m, n) times the dtype's "
        "epsilon unless given."};
array matrix_rank(const array& a, const std::optional<array>& rtol, StreamOrDevice s) {
  StreamScope on(s);
  array x = matrix_argument(matrix_rank_info.name, a);
  array values = singular_values_of(stop_gradient(x));
  Shape one = values.shape();
  one.back() = 1;
  array largest = max(concatenate({zeros(one, values.dtype()), values}, -1), -1, true);
  array bound = multiply(bound_of(x, rtol), largest);
  return astype(sum(astype(greater(values, bound), int32), Axes{-1}), int32);
}

static constexpr OpInfo lstsq_info{.name = "linalg.lstsq",
    .summary = "The least-squares solution of a x = b: of all x that minimise |a x - b|, the shortest.",
    .accepts = Dtypes::inexact,
    .example =
        ">>> a = mx.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])\n"
        ">>> mx.round(mx.linalg.lstsq(a, mx.array([1.0, 3.0, 5.0]))[0], 3)\narray([1, 2], dtype=float32)",
    .details =
        "a is (..., m, n); b is a vector when it has one dimension, else (..., m, k). The result is a named tuple "
        "(x, residuals, rank, singular_values): residuals are the sums of squares of b - a x for each column of b, for "
        "every rank. Singular values up to ``rcond`` times the largest count as 0, max(m, n) times the dtype's epsilon "
        "unless given."};
std::vector<array> lstsq(const array& a, const array& b, std::optional<double> rcond, StreamOrDevice s) {
  StreamScope on(s);
  Dtype dtype = promote_types(a.dtype(), b.dtype()), inside = matrix_dtype(dtype);
  bool vector = b.ndim() == 1;
  array x = matrix_argument(lstsq_info.name, astype(a, inside));
  if (b.ndim() == 0 || surely_differ(x.shape(-2), b.shape(vector ? 0 : -2))) {
    fail(
        lstsq_info.name, "a has shape ", a.shape(), " and b has shape ", b.shape(), "; b needs as many rows as a has.");
  }
  array right = astype(vector ? expand_dims(b, {-1}) : b, inside);
  std::optional<array> rtol;
  if (rcond) rtol = array(*rcond, real_of(inside));
  array solution = matmul(pseudo_inverse_of(x, bound_of(x, rtol)), right);
  array off = subtract(right, matmul(x, solution));
  array residuals = sum(inside.is_complex() ? real(multiply(off, conjugate(off))) : square(off), Axes{-2});
  if (vector) {
    solution = squeeze(solution, {-1});
    residuals = squeeze(residuals, {-1});
  }
  return {rounded_to(solution, dtype), rounded_to(residuals, dtype), matrix_rank(x, rtol),
      rounded_to(singular_values_of(x), dtype)};
}

} // namespace linalg

std::span<const OpInfo* const> pseudo_inverse_ops() {
  static constexpr const OpInfo* ops[] = {&PseudoInverse::info, &linalg::matrix_rank_info, &linalg::lstsq_info};
  return ops;
}

std::span<const Remake> pseudo_inverse_remakes() {
  static constexpr Remake rows[] = {{"PseudoInverse", [](const Parts& p) {
                                       const array &a = matrices(p[0]), &bound = p[1];
                                       Shape shape(a.shape().begin(), a.shape().end() - 1);
                                       shape.back() = 1;
                                       Parts::require(bound.shape() == shape && bound.dtype() == real_of(a.dtype()),
                                           "a matrix and the bound of its singular values do not fit.");
                                       return std::vector<array>{pseudo_inverse_of(a, bound)};
                                     }}};
  return rows;
}

} // namespace mlx::core
