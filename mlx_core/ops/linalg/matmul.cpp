// Matrix products.
#include <algorithm>
#include <array>
#include <cmath>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linalg/products.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {

array adjoint(const array& a) { return conj_of(swapaxes(a, -2, -1)); }

// The products of the chain rule have terms with a factor 0 that are 0: ZeroMatmul, which looks for what is not finite
// and costs no more where there is none. WideMatmul is of 16-bit floats and float32, in which they are summed anyhow:
// for those who go on computing with the sums.
enum class ProductKind : uint8_t { plain, zero_terms, wide };

array product(const char* op, const array& a, const array& b, ProductKind kind);

} // namespace

// (..., m, k) times (..., k, n), with equal leading axes.
class Matmul final : public Primitive {
 public:
  explicit Matmul(ProductKind kind) : kind_(kind) {}
  static constexpr OpInfo info{.name = "matmul",
      .primitive = "Matmul",
      .summary = "The matrix product.",
      .example = ">>> mx.matmul(mx.array([[1.0, 2.0]]), mx.array([[3.0], [4.0]]))\narray([[11]], dtype=float32)",
      .details =
          "Axes before the last two are a batch and broadcast. A one-dimensional a is a row, a one-dimensional b a "
          "column, and that axis is left out of the result. Integers wrap; of bools, an element is whether any pair is "
          "true. float32 and float64 subnormals count as zeros. The bits of the result depend on shapes and values "
          "alone, not on how the operands lie in memory."};

  const char* name() const override {
    return kind_ == ProductKind::zero_terms ? "ZeroMatmul" : kind_ == ProductKind::wide ? "WideMatmul" : info.primitive;
  }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  // A wide product has none of a product's roles: passes over programs take a product's factors and result to have one
  // dtype.
  Role role() const override {
    return kind_ == ProductKind::zero_terms ? Role::chain_product
           : kind_ == ProductKind::wide     ? Role::ordinary
                                            : Role::product;
  }
  Specs infer(Operands operands) const override {
    Shape shape = operands[0].shape();
    shape.back() = operands[1].shape().back();
    return {Spec{std::move(shape), kind_ == ProductKind::wide ? float32 : operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    array& y = outputs[0];
    y.allocate();
    kernels.run(kernel::Product{operands[0].view(), operands[1].view(), y.view(), kind_ == ProductKind::zero_terms});
  }
  // d(ab) = da b + a db
  Tangents jvp(Operands primals, const Tangents& tangents, Operands) const override {
    auto product = [&](const array& a, const array& b) {
      return kind_ == ProductKind::wide ? zero_matmul(astype(a, float32), astype(b, float32)) : zero_matmul(a, b);
    };
    Tangent left = tangents[0] ? Tangent(product(*tangents[0], primals[1])) : std::nullopt;
    Tangent right = tangents[1] ? Tangent(product(primals[0], *tangents[1])) : std::nullopt;
    return {left && right ? Tangent(add(*left, *right)) : left ? left : right};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands, std::span<const bool> wanted) const override {
    Tangents out(2);
    if (!cotangents[0]) {
      return out;
    }
    // Of float32 and 16-bit factors: bfloat16 rounds a cotangent, but float16 may have lost it, where it is small.
    const Dtype own = primals[0].dtype(), dtype = kind_ == ProductKind::wide && own == float16 ? float32 : own;
    auto in = [&](const array& a) { return astype(a, dtype); };
    const array cotangent = in(*cotangents[0]);
    if (wanted[0]) {
      out[0] = astype(zero_matmul(cotangent, in(adjoint(primals[1]))), own);
    }
    if (wanted[1]) {
      out[1] = astype(zero_matmul(in(adjoint(primals[0])), cotangent), own);
    }
    return out;
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    array a = batch_first(operands[0], axes[0]), b = batch_first(operands[1], axes[1]);
    auto product = [&](const array& x, const array& y) { return core::product(info.name, x, y, kind_); };
    bool plain = operands[0].ndim() == (axes[0] ? 3 : 2); // no batch axes in a lane
    if (plain && !axes[0] && surely_equal(b.shape(-1), 1)) {
      // One matrix times a vector in each lane: the vectors are the rows of one product.
      return {{expand_dims(product(squeeze(b, {-1}), swapaxes(a, 0, 1)), {-1})}, {0}};
    }
    if (plain && axes[0] && axes[1] && surely_equal(a.shape(-2), 1) && surely_equal(b.shape(-1), 1) &&
        a.itemsize() >= 4) {
      // Inner products: one pass over both, instead of a product of matrices in each lane.
      array left = squeeze(a, {-2}), right = squeeze(b, {-1});
      array products = kind_ == ProductKind::zero_terms ? zero_times(left, right) : multiply(left, right);
      return {{expand_dims(sum(products, {1}, true), {-1})}, {0}};
    }
    return {{product(a, b)}, {0}}; // folds or broadcasts what is shared
  }

 private:
  ProductKind kind_;
};

namespace {

// Both factors as stacks of matrices of one dtype, and which of them were vectors.
struct Factors {
  array a, b;
  bool row, column;
};

Factors checked(const char* op, const array& a, const array& b, Dtype dtype) {
  if (a.ndim() == 0 || b.ndim() == 0) {
    fail(op, "a has shape ", a.shape(), " and b has shape ", b.shape(), "; both need at least one dimension.");
  }
  if (surely_differ(a.shape(-1), b.shape(b.ndim() == 1 ? -1 : -2))) {
    fail(op, "inner dimensions differ: the last of a with shape ", a.shape(), " is ", a.shape(-1), ", but the ",
        b.ndim() == 1 ? "only" : "second to last", " of b with shape ", b.shape(), " is ",
        b.shape(b.ndim() == 1 ? -1 : -2), ".");
  }
  Factors f{astype(a, dtype), astype(b, dtype), a.ndim() == 1, b.ndim() == 1};
  if (f.row) {
    f.a = expand_dims(f.a, {0});
  }
  if (f.column) {
    f.b = expand_dims(f.b, {1});
  }
  return f;
}

array product(const char* op, const array& a, const array& b, ProductKind kind) {
  static const std::array<PrimitiveRef, 3>& kinds =
      *new std::array<PrimitiveRef, 3>{make_primitive<Matmul>(ProductKind::plain),
          make_primitive<Matmul>(ProductKind::zero_terms), make_primitive<Matmul>(ProductKind::wide)};
  const PrimitiveRef& one = kinds[static_cast<size_t>(kind)];
  if (b.ndim() > 2 && a.ndim() >= b.ndim() &&
      std::all_of(b.shape().begin(), b.shape().end() - 2, [](Dim d) { return d == 1; })) {
    return product(op, a, flatten(b, 0, -2), kind); // open sizes are asked, too: derivatives follow the graph
  }
  if (b.ndim() == 2 && a.ndim() > 2) {
    // One matrix for the whole batch: the rows of all lanes make one product.
    array rows = applied(one, {flatten(a, 0, -2), b});
    Shape shape = a.shape();
    shape.back() = b.shape(-1);
    return reshape(rows, std::move(shape));
  }
  if (a.ndim() == 2 && b.ndim() == 2) {
    return applied(one, {a, b});
  }
  Shape batch = broadcast_shapes(
      op, Shape(a.shape().begin(), a.shape().end() - 2), Shape(b.shape().begin(), b.shape().end() - 2));
  auto stacked = [&](const array& x) {
    Shape shape = batch;
    shape.push_back(x.shape(-2));
    shape.push_back(x.shape(-1));
    return broadcast_to(x, shape);
  };
  return applied(one, {stacked(a), stacked(b)});
}

array multiplied(
    const char* op, const array& a, const array& b, Dtype dtype, ProductKind kind = ProductKind::plain) try {
  Factors f = checked(op, a, b, dtype);
  array y = product(op, f.a, f.b, kind);
  if (!f.row && !f.column) {
    return y;
  }
  Axes left_out;
  if (f.row) {
    left_out.push_back(-2);
  }
  if (f.column) {
    left_out.push_back(-1);
  }
  return squeeze(y, left_out);
} catch (const SizeError& error) {
  error.rethrow_in(op);
}

array scaled(const array& a, double by) { return by == 1 ? a : multiply(a, array(by, a.dtype())); }

} // namespace

array matmul(const array& a, const array& b, StreamOrDevice s) {
  StreamScope on(s);
  return multiplied("matmul", a, b, promote_types(a.dtype(), b.dtype()));
}

array zero_matmul(const array& a, const array& b) {
  return multiplied("matmul", a, b, promote_types(a.dtype(), b.dtype()), ProductKind::zero_terms);
}

array wide_matmul(const array& a, const array& b) {
  const Dtype dtype = promote_types(a.dtype(), b.dtype());
  return multiplied("matmul", a, b, dtype, wide_of(dtype) != dtype ? ProductKind::wide : ProductKind::plain);
}

static constexpr OpInfo addmm_info{.name = "addmm",
    .summary = "alpha * (a @ b) + beta * c.",
    .example =
        ">>> mx.addmm(mx.array(1.0), mx.array([[1.0, 2.0]]), mx.array([[3.0], [4.0]]))\narray([[12]], dtype=float32)",
    .details =
        "c broadcasts to the product's shape. It is not read when beta is 0. Raises ValueError when alpha or beta is "
        "no whole number and the arrays are integers. 16-bit floats are multiplied, scaled and added in float32 and "
        "rounded once."};
array addmm(const array& c, const array& a, const array& b, double alpha, double beta, StreamOrDevice s) {
  StreamScope on(s);
  Dtype dtype = promote_types(c.dtype(), promote_types(a.dtype(), b.dtype()));
  if (!dtype.is_inexact() && (std::trunc(alpha) != alpha || std::trunc(beta) != beta)) {
    fail("addmm", "alpha is ", alpha, " and beta is ", beta, ", but c, a and b make ", dtype,
        ", which holds whole numbers only; convert one of them to a floating dtype.");
  }
  const bool rounds_once = wide_of(dtype) != dtype && (alpha != 1 || beta != 0);
  array y = scaled(multiplied("addmm", a, b, dtype, rounds_once ? ProductKind::wide : ProductKind::plain), alpha);
  if (!(broadcast_shapes("addmm", c.shape(), y.shape()) == y.shape())) {
    fail("addmm", "c of shape ", c.shape(), " does not broadcast to the product's shape ", y.shape(), ".");
  }
  if (beta != 0) {
    y = add(y, scaled(astype(astype(c, dtype), y.dtype()), beta));
  }
  return astype(y, dtype);
}

std::span<const OpInfo* const> matmul_ops() {
  static constexpr const OpInfo* ops[] = {&Matmul::info, &addmm_info};
  return ops;
}

std::span<const Remake> matmul_remakes() {
  static constexpr Remake rows[] = {
      {"Matmul", [](const Parts& p) { return std::vector<array>{matmul(p[0], p[1])}; }},
      {"ZeroMatmul", [](const Parts& p) { return std::vector<array>{zero_matmul(p[0], p[1])}; }},
      {"WideMatmul", [](const Parts& p) { return std::vector<array>{wide_matmul(p[0], p[1])}; }},
  };
  return rows;
}

} // namespace mlx::core
