// Determinants. A determinant is a polynomial in the elements, and so are its derivatives, which are therefore right
// for matrices of every rank.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace {

array cofactors_of(const array& a);
array cofactor_derivative_of(const array& a, const array& e);

Shape batch_of(const array& a) { return Shape(a.shape().begin(), a.shape().end() - 2); }

// d(e) of the cofactors of a, which is linear in e. As a bilinear form it is symmetric, and the same holds for its own
// derivatives; so each is its own transpose.
class CofactorDerivative final : public MatrixPrimitive {
 public:
  const char* name() const override { return "CofactorDerivative"; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::cofactor_derivative, "linalg.det", operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    Tangent by_e = tangents[1] ? Tangent(cofactor_derivative_of(primals[0], *tangents[1])) : std::nullopt;
    if (!tangents[0]) {
      return {by_e};
    }
    array by_a = third(primals[0], primals[1], *tangents[0]);
    return {by_e ? add(*by_e, by_a) : by_a};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (!cotangents[0]) {
      return out;
    }
    array ct = conj_of(*cotangents[0]);
    if (wanted[0]) {
      out[0] = conj_of(third(primals[0], primals[1], ct));
    }
    if (wanted[1]) {
      out[1] = conj_of(cofactor_derivative_of(primals[0], ct));
    }
    return out;
  }

 private:
  // A determinant is linear in each column: along f its derivative is the sum over j of determinants with column j of
  // a replaced by that of f. The other two arguments then leave column j alone.
  static array third(const array& a, const array& e, const array& f) {
    Dim n = a.shape(-1);
    array column = astype(reshape(eye(n, n, 0, bool_), Shape{n, 1, n}), bool_), zero = array(0, a.dtype());
    array replaced = where(column, expand_dims(f, {-3}), expand_dims(a, {-3}));
    array rest = where(column, zero, expand_dims(e, {-3}));
    array terms = cofactor_derivative_of(replaced, broadcast_to(rest, replaced.shape()));
    return sum(where(column, zero, terms), Axes{-3});
  }
};

class Cofactors final : public MatrixPrimitive {
 public:
  const char* name() const override { return "Cofactors"; }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::cofactors, "linalg.det", operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    return {tangents[0] ? Tangent(cofactor_derivative_of(primals[0], *tangents[0])) : std::nullopt};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    if (!cotangents[0]) {
      return {std::nullopt};
    }
    return {conj_of(cofactor_derivative_of(primals[0], conj_of(*cotangents[0])))};
  }
};

array cofactors_of(const array& a) { return applied(make_primitive<Cofactors>(), {a}); }
array cofactor_derivative_of(const array& a, const array& e) {
  return applied(make_primitive<CofactorDerivative>(), {a, e});
}

} // namespace

class Determinant final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.det",
      .primitive = "Determinant",
      .summary = "The determinant of a square matrix.",
      .accepts = Dtypes::inexact,
      .example = ">>> mx.linalg.det(mx.array([[2.0, 1.0], [1.0, 4.0]]))\narray(7, dtype=float32)",
      .details =
          "Derivatives of every order are those of a polynomial, so they are right for singular matrices, too: the "
          "first is the matrix of cofactors. For large matrices slogdet() does not overflow."};

  const char* name() const override { return info.primitive; }
  Specs infer(Operands operands) const override { return {Spec{batch_of(operands[0]), operands[0].dtype()}}; }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::determinant, info.name, operands, outputs, kernels, {});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    return {sum(zero_times(*tangents[0], cofactors_of(primals[0])), Axes{-2, -1})};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool>) const override {
    if (!cotangents[0]) {
      return {std::nullopt};
    }
    return {zero_times(expand_dims(*cotangents[0], {-2, -1}), conj_of(cofactors_of(primals[0])))};
  }
};

class Slogdet final : public MatrixPrimitive {
 public:
  static constexpr OpInfo info{.name = "linalg.slogdet",
      .primitive = "Slogdet",
      .summary = "The sign of the determinant, of a complex matrix its phase, and the logarithm of its modulus.",
      .accepts = Dtypes::inexact,
      .example =
          ">>> mx.linalg.slogdet(mx.array([[0.0, 1.0], [1.0, 0.0]]))\n"
          "SlogdetResult(sign=array(-1, dtype=float32), logabsdet=array(0, dtype=float32))",
      .details =
          "Of a singular matrix they are 0 and -inf, and there is no derivative (NaN). The result is a named tuple "
          "(sign, logabsdet)."};

  const char* name() const override { return info.primitive; }
  int output_count() const override { return 2; }
  Specs infer(Operands operands) const override {
    Specs out;
    out.push_back({batch_of(operands[0]), operands[0].dtype()});
    out.push_back({batch_of(operands[0]), real_of(operands[0].dtype())});
    return out;
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    work(MatrixTask::slogdet, info.name, operands, outputs, kernels, {});
  }
  // d log det(a) = trace(a^-1 da); its real part is that of the logarithm, its imaginary part turns the phase.
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return Tangents(2);
    }
    array turned = swapaxes(inverse_of(primals[0], true), -2, -1);
    array moved = sum(zero_times(*tangents[0], turned), Axes{-2, -1});
    if (!moved.dtype().is_complex()) {
      return {std::nullopt, moved};
    }
    array angle = make_complex(zeros_like(imag(moved)), imag(moved));
    return {zero_times(angle, outputs[0]), real(moved)};
  }
};

namespace linalg {

array det(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  array x = square_argument(Determinant::info.name, a);
  return rounded_to(applied(make_primitive<Determinant>(), {x}), a.dtype());
}

std::pair<array, array> slogdet(const array& a, StreamOrDevice s) {
  StreamScope on(s);
  array x = square_argument(Slogdet::info.name, a);
  std::vector<array> out = applied_many(make_primitive<Slogdet>(), std::span<const array>(&x, 1));
  return {rounded_to(out[0], a.dtype()), rounded_to(out[1], a.dtype())};
}

} // namespace linalg

std::span<const OpInfo* const> determinant_ops() {
  static constexpr const OpInfo* ops[] = {&Determinant::info, &Slogdet::info};
  return ops;
}

std::span<const Remake> determinant_remakes() {
  using Arrays = std::vector<array>;
  static constexpr Remake rows[] = {
      {"Determinant",
          [](const Parts& p) { return Arrays{applied(make_primitive<Determinant>(), {square_matrices(p[0])})}; }},
      {"Slogdet",
          [](const Parts& p) {
            return applied_many(make_primitive<Slogdet>(), std::span<const array>(&square_matrices(p[0]), 1));
          }},
      {"Cofactors", [](const Parts& p) { return Arrays{cofactors_of(square_matrices(p[0]))}; }},
      {"CofactorDerivative",
          [](const Parts& p) {
            Parts::require(p[0].shape() == p[1].shape() && p[0].dtype() == p[1].dtype(),
                "a matrix and what its cofactors are derived along do not fit.");
            return Arrays{cofactor_derivative_of(square_matrices(p[0]), p[1])};
          }},
  };
  return rows;
}

} // namespace mlx::core
