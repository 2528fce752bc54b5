// Diagonals: read as a view, written into zeros, summed.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {

// How many elements the diagonal has that starts k columns (or, negative, -k rows) from the corner.
Dim diagonal_length(Dim rows, Dim columns, int64_t k) {
  Dim down = k < 0 ? rows + k : rows, across = k < 0 ? columns : columns - k;
  return larger_of(0, smaller_of(down, across));
}

// Matrices of zeros but for the k-th diagonal, which holds the last axis of values. The elements of a diagonal are
// columns + 1 apart in row-major order.
array with_diagonal(const char* op, const array& values, Dim rows, Dim columns, int64_t k) {
  Shape flat = values.shape(), start(values.shape().size(), 0), strides(values.shape().size(), 1), matrices = flat;
  matrices.back() = rows;
  matrices.push_back(columns);
  check_shape(op, matrices);
  flat.back() = rows * columns;
  array zero = zeros(flat, values.dtype());
  Dim length = values.shape().back();
  if (surely_equal(length, 0)) {
    return reshape(zero, std::move(matrices));
  }
  Shape stop = flat;
  start.back() = k < 0 ? columns * -k : Dim(k);
  strides.back() = columns + 1;
  stop.back() = start.back() + (length - 1) * strides.back() + 1;
  return reshape(slice_update(zero, values, start, stop, strides), std::move(matrices));
}

} // namespace

// Of the last two axes: one stride that goes along both.
class Diagonal final : public ViewOp {
 public:
  static constexpr OpInfo info{.name = "diagonal",
      .primitive = "Diagonal",
      .summary = "The diagonals of the matrices that two axes hold, as a new last axis.",
      .example =
          ">>> mx.diagonal(mx.array([[1, 2], [3, 4]]))\narray([1, 4], dtype=int32)\n"
          ">>> mx.diagonal(mx.array([[1, 2], [3, 4]]), offset=1)\narray([2], dtype=int32)",
      .details =
          "axis1 holds the rows and axis2 the columns; a positive offset is above the main diagonal. A view. Raises "
          "ValueError when a has fewer than two dimensions or the axes are the same."};

  explicit Diagonal(int offset) : offset_(offset) {}
  const char* name() const override { return info.primitive; }
  void visit(ParamVisitor& v) const override { v("offset", offset_); }
  Specs infer(Operands operands) const override {
    Shape shape = operands[0].shape();
    Dim columns = shape.back();
    shape.pop_back();
    shape.back() = diagonal_length(shape.back(), columns, offset_);
    return {Spec{std::move(shape), operands[0].dtype()}};
  }
  void eval(Operands operands, std::span<array> outputs, Kernels&) const override {
    Strides strides = operands[0].strides();
    int64_t column = strides.back();
    strides.pop_back();
    int64_t row = strides.back();
    strides.back() += column;
    bool empty = size_of(outputs[0].shape()) == 0;
    outputs[0].share(operands[0], std::move(strides),
        empty         ? 0
        : offset_ < 0 ? -int64_t{offset_} * row
                      : offset_ * column);
  }
  array transpose(const array& cotangent, const array& x) const override {
    return with_diagonal("diagonal", cotangent, x.shape(-2), x.shape(-1), offset_);
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    return {{applied(self(*this), {batch_first(operands[0], axes[0])})}, {0}};
  }

 private:
  int offset_;
};

array diagonal(const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
  StreamScope on(s);
  if (a.ndim() < 2) {
    fail("diagonal", "the array has shape ", a.shape(), "; at least two dimensions are needed.");
  }
  int rows = normalize_axis("diagonal", axis1, a.ndim()), columns = normalize_axis("diagonal", axis2, a.ndim());
  if (rows == columns) {
    fail("diagonal", "axis1 ", axis1, " and axis2 ", axis2, " are the same axis; a diagonal runs along two.");
  }
  Axes order;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    if (axis != rows && axis != columns) {
      order.push_back(axis);
    }
  }
  order.push_back(rows);
  order.push_back(columns);
  return applied(make_primitive<Diagonal>(offset), {transpose(a, order)});
}

static constexpr OpInfo diag_info{.name = "diag",
    .summary = "A matrix's k-th diagonal; or the matrix of zeros whose k-th diagonal is the given vector.",
    .example =
        ">>> mx.diag(mx.array([1, 2]))\narray([[1, 0],\n       [0, 2]], dtype=int32)\n"
        ">>> mx.diag(mx.array([[1, 2], [3, 4]]), k=-1)\narray([3], dtype=int32)",
    .details = "A positive k is above the main diagonal. Raises ValueError unless a has one or two dimensions."};
array diag(const array& a, int k, StreamOrDevice s) try {
  StreamScope on(s);
  if (a.ndim() == 2) {
    return diagonal(a, k, 0, 1, s);
  }
  if (a.ndim() != 1) {
    fail("diag", "the array has shape ", a.shape(), "; it must have one or two dimensions. See diagonal for more.");
  }
  Dim side = a.shape(0) + (k < 0 ? -static_cast<int64_t>(k) : k);
  return with_diagonal("diag", a, side, side, k);
} catch (const SizeError& error) {
  error.rethrow_in("diag");
}

static constexpr OpInfo trace_info{.name = "trace",
    .summary = "The sum of the diagonals of the matrices that two axes hold.",
    .example = ">>> mx.trace(mx.array([[1, 2], [3, 4]]))\narray(5, dtype=int32)",
    .details =
        "axis1 holds the rows and axis2 the columns; a positive offset is above the main diagonal. The result has the "
        "given dtype, by default that of sum(). Raises ValueError when a has fewer than two dimensions or the axes "
        "are the same."};
array trace(const array& a, int offset, int axis1, int axis2, StreamOrDevice s) {
  if (a.ndim() < 2) {
    fail("trace", "the array has shape ", a.shape(), "; at least two dimensions are needed.");
  }
  return sum(diagonal(a, offset, axis1, axis2, s), {-1}, false, s);
}
array trace(const array& a, int offset, int axis1, int axis2, Dtype dtype, StreamOrDevice s) {
  return astype(trace(astype(a, dtype, s), offset, axis1, axis2, s), dtype, s); // sums widen small integers
}

std::span<const OpInfo* const> diagonal_ops() {
  static constexpr const OpInfo* ops[] = {&Diagonal::info, &diag_info, &trace_info};
  return ops;
}

std::span<const Remake> diagonal_remakes() {
  static constexpr Remake rows[] = {
      {"Diagonal", [](const Parts& p) { return std::vector<array>{diagonal(p[0], p.integer("offset"), -2, -1)}; }}};
  return rows;
}

} // namespace mlx::core
