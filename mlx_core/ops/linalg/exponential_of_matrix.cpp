// The matrix exponential, and whole powers of matrices.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

array exponential_of(const array& a);

// The derivative of exp at a along e is the upper right block of exp([[a, e], [0, a]]), so it is linear in e whatever
// the size of e; which is divided out, that it may not cost squarings.
array derivative_along(const array& a, const array& e) {
  Dim n = a.shape(-1);
  if (surely_equal(n, 0)) {
    return e;
  }
  array size = stop_gradient(sum(abs(e), Axes{-2, -1}, true));
  array usable = logical_and(greater(size, array(0, size.dtype())), isfinite(size));
  size = astype(where(usable, size, array(1, size.dtype())), e.dtype());
  array top = concatenate({a, divide(e, size)}, -1), bottom = concatenate({zeros_like(a), a}, -1);
  array both = exponential_of(concatenate({top, bottom}, -2));
  return multiply(last_columns(first_rows(both, n), n), size);
}

} // namespace

class Exponential final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.expm",
      .primitive = "MatrixExponential",
      .summary = "The exponential of a square matrix: the sum of a^k / k!.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.linalg.expm(mx.array([[0.0, 2.0], [0.0, 0.0]]))\n"
          "array([[1, 2],\n       [0, 1]], dtype=float32)",
      .details =
          "By scaling and squaring with Pade approximants (Higham, 2005), in float64 whatever the dtype. Derivatives "
          "of every order are exact, for matrices with repeated eigenvalues and without a full set of eigenvectors, "
          "too."};

  const char* name() const override { return info.primitive; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::exponential, info.name, operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    return {tangents[0] ? Tangent(derivative_along(primals[0], *tangents[0])) : std::nullopt};
  }
  // Its adjoint is the derivative at a^H.
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    return {cotangents[0] ? Tangent(derivative_along(adjoint_of(primals[0]), *cotangents[0])) : std::nullopt};
  }
};

namespace {

array exponential_of(const array& a) { return applied(make_primitive<Exponential>(), {a}); }

} // namespace

namespace linalg {

array expm(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  return rounded_to(exponential_of(square_argument(Exponential::info.name, a)), a.dtype());
}

static constexpr OpInfo matrix_power_info{.name = "linalg.matrix_power",
    .summary = "A square matrix multiplied with itself n times; for negative n its inverse.",
    .example =
        ">>> mx.linalg.matrix_power(mx.array([[1, 1], [0, 1]]), 3)\n"
        "array([[1, 3],\n       [0, 1]], dtype=int32)",
    .details =
        "By repeated squaring. Power 0 is the identity. Integers stay integers, which wrap, unless n is negative. "
        "Raises LinAlgError when n is negative and a matrix is singular."};
array matrix_power(const array& a, int n, StreamOrDevice s) {
  StreamScope on(s);
  if (a.ndim() < 2 || surely_differ(a.shape(-1), a.shape(-2))) {
    fail(matrix_power_info.name, "a has shape ", a.shape(), "; its last two axes must be equal, for square matrices.");
  }
  if (n == 0) {
    return identity_like(a);
  }
  array base = n < 0 ? inv(a) : a;
  std::optional<array> out;
  for (auto left = n < 0 ? -static_cast<int64_t>(n) : static_cast<int64_t>(n);; base = matmul(base, base)) {
    if (left & 1) out = out ? matmul(*out, base) : base;
    left >>= 1;
    if (left == 0) return *out;
  }
}

} // namespace linalg

std::span<const OpInfo* const> exponential_of_matrix_ops() {
  static constexpr const OpInfo* ops[] = {&Exponential::info, &linalg::matrix_power_info};
  return ops;
}

std::span<const Remake> exponential_of_matrix_remakes() {
  static constexpr Remake rows[] = {
      {"MatrixExponential", [](const Parts& p) { return std::vector<array>{exponential_of(square_matrices(p[0]))}; }}};
  return rows;
}

} // namespace mlx::core
