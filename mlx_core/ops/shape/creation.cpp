// Arrays from sizes and constants; ranges are in range.cpp. Constant arrays are views of one element: they take no
// memory.
#include "mlx_core/error.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/shape/range.h"
#include "mlx_core/ops/shape/size_number.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

namespace {
constexpr NoRule shape_only{"its values do not depend on the argument's"};
} // namespace

// --- constants ---

static constexpr OpInfo full_info{.name = "full",
    .primitive = "Broadcast",
    .summary = "An array of a given shape filled with vals, which broadcast to it.",
    .example = ">>> mx.full((2, 2), 7)\narray([[7, 7],\n       [7, 7]], dtype=int32)",
    .details = "dtype defaults to that of vals. The gradient with respect to vals sums over where each value went."};
static array filled(const char* op, const Shape& shape, const array& vals, Dtype dtype, const StreamOrDevice& s) {
  check_shape(op, shape);
  return broadcast_to(astype(vals, dtype, s), shape, s);
}
array full(const Shape& shape, const array& vals, Dtype dtype, StreamOrDevice s) {
  return filled("full", shape, vals, dtype, s);
}
array full(const Shape& shape, const array& vals, StreamOrDevice s) { return full(shape, vals, vals.dtype(), s); }

static constexpr OpInfo full_like_info{.name = "full_like",
    .primitive = "Broadcast",
    .summary = "An array of a's shape filled with vals, which broadcast to it.",
    .example = ">>> mx.full_like(mx.zeros((2,)), 7)\narray([7, 7], dtype=float32)",
    .details = "dtype defaults to that of a."};
array full_like(const array& a, const array& vals, std::optional<Dtype> dtype, StreamOrDevice s) {
  return full(a.shape(), vals, dtype.value_or(a.dtype()), s);
}

static constexpr OpInfo zeros_info{.name = "zeros",
    .primitive = "Broadcast",
    .summary = "An array of zeros.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.zeros((2, 2))\narray([[0, 0],\n       [0, 0]], dtype=float32)"};
array zeros(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return filled("zeros", shape, array(0, dtype), dtype, s);
}

static constexpr OpInfo ones_info{.name = "ones",
    .primitive = "Broadcast",
    .summary = "An array of ones.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.ones((3,), mx.int32)\narray([1, 1, 1], dtype=int32)"};
array ones(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return filled("ones", shape, array(1, dtype), dtype, s);
}

static constexpr OpInfo zeros_like_info{.name = "zeros_like",
    .primitive = "Broadcast",
    .summary = "An array of zeros of a's shape and dtype.",
    .differentiable = Differentiable::zero,
    .no_derivative = shape_only,
    .example = ">>> mx.zeros_like(mx.array([1.0, 2.0]))\narray([0, 0], dtype=float32)"};
array zeros_like(const array& a, StreamOrDevice s) { return zeros(a.shape(), a.dtype(), s); }

static constexpr OpInfo ones_like_info{.name = "ones_like",
    .primitive = "Broadcast",
    .summary = "An array of ones of a's shape and dtype.",
    .differentiable = Differentiable::zero,
    .no_derivative = shape_only,
    .example = ">>> mx.ones_like(mx.array([3.0, 2.0]))\narray([1, 1], dtype=float32)"};
array ones_like(const array& a, StreamOrDevice s) { return ones(a.shape(), a.dtype(), s); }

// --- matrices ---

namespace {

// compare(row + k, column) for each place of an n by m matrix.
array by_diagonal(const char* op, array (*compare)(const array&, const array&, StreamOrDevice), Dim n, Dim m, int64_t k,
    StreamOrDevice s) {
  check_shape(op, {n, m});
  bool narrow = !n.is_symbolic() && !m.is_symbolic() && n < (1 << 28) && m < (1 << 28) && std::abs(k) < (1 << 29);
  auto range = [&](int64_t from, Dim count) { return whole_range(from, 1, count, narrow ? int32 : int64); };
  return compare(expand_dims(range(k, n), {1}), range(0, m), s);
}

} // namespace

static constexpr OpInfo eye_info{.name = "eye",
    .summary = "An n by m matrix with ones on the k-th diagonal and zeros elsewhere.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.eye(2)\narray([[1, 0],\n       [0, 1]], dtype=float32)",
    .details = "m defaults to n. Positive k is above the main diagonal."};
array eye(Dim n, Dim m, int k, Dtype dtype, StreamOrDevice s) {
  if (n < 0 || m < 0) {
    fail("eye", "n is ", n, " and m is ", m, "; neither may be negative.");
  }
  return astype(by_diagonal("eye", equal, n, m, k, s), dtype, s);
}
array eye(Dim n, StreamOrDevice s) { return eye(n, n, 0, float32, s); }

static constexpr OpInfo identity_info{.name = "identity",
    .summary = "The n by n identity matrix.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.identity(2)\narray([[1, 0],\n       [0, 1]], dtype=float32)"};
array identity(Dim n, Dtype dtype, StreamOrDevice s) { return eye(n, n, 0, dtype, s); }

static constexpr OpInfo tri_info{.name = "tri",
    .summary = "An n by m matrix with ones at and below the k-th diagonal and zeros above.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.tri(2, 3)\narray([[1, 0, 0],\n       [1, 1, 0]], dtype=float32)"};
array tri(Dim n, Dim m, int k, Dtype dtype, StreamOrDevice s) {
  return astype(by_diagonal("tri", greater_equal, larger_of(n, 0), larger_of(m, 0), k, s), dtype, s);
}

namespace {

array lower_mask(const char* op, const array& x, int64_t k, StreamOrDevice s) {
  if (x.ndim() < 2) {
    fail(op, "x has shape ", x.shape(), "; at least two dimensions are needed.");
  }
  return by_diagonal(op, greater_equal, x.shape(-2), x.shape(-1), k, s);
}

} // namespace

static constexpr OpInfo tril_info{.name = "tril",
    .summary = "The matrices in the last two axes with zeros above the k-th diagonal.",
    .example = ">>> mx.tril(mx.array([[1, 2], [3, 4]]))\narray([[1, 0],\n       [3, 4]], dtype=int32)"};
array tril(const array& x, int k, StreamOrDevice s) {
  return where(lower_mask("tril", x, k, s), x, array(0, x.dtype()), s);
}

static constexpr OpInfo triu_info{.name = "triu",
    .summary = "The matrices in the last two axes with zeros below the k-th diagonal.",
    .example = ">>> mx.triu(mx.array([[1, 2], [3, 4]]))\narray([[1, 2],\n       [0, 4]], dtype=int32)"};
array triu(const array& x, int k, StreamOrDevice s) {
  return where(lower_mask("triu", x, int64_t{k} - 1, s), array(0, x.dtype()), x, s);
}

std::span<const OpInfo* const> creation_ops() {
  static const OpInfo* const ops[] = {&full_info, &full_like_info, &zeros_info, &zeros_like_info, &ones_info,
      &ones_like_info, &range_op(), &linspace_op(), &eye_info, &identity_info, &tri_info, &tril_info, &triu_info};
  return ops;
}

namespace {

array remade_range(const Parts& p) {
  int64_t size = p.size("size");
  Parts::require(size >= 0, "arange has a negative size.");
  if (p.is_integer("start")) {
    return whole_range(p.size("start"), p.size("step"), size, p.dtype("dtype"));
  }
  double start = p.number("start"), step = p.number("step");
  // Half a step before the next number, so that rounding cannot add or drop one.
  double stop = size == 0 ? start : start + (static_cast<double>(size) - 0.5) * step;
  return step == 0 ? broadcast_to(arange(start, start + 1, 1, p.dtype("dtype")), Shape{size})
                   : arange(start, stop, step, p.dtype("dtype"));
}

} // namespace

std::span<const Remake> creation_remakes() {
  static constexpr Remake rows[] = {
      {"Arange", [](const Parts& p) { return std::vector<array>{remade_range(p)}; }},
      {"Linspace",
          [](const Parts& p) {
            return std::vector<array>{
                linspace(p.number("start"), p.number("stop"), p.integer("num"), p.dtype("dtype"), p.flag("endpoint"))};
          }},
      {"SizeNumber", [](const Parts& p) { return std::vector<array>{size_number(p.size("size"), p.dtype("dtype"))}; }},
  };
  return rows;
}

} // namespace mlx::core
