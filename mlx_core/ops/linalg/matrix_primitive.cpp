// What rules and arguments of dense linear algebra have in common.
#include "mlx_core/ops/linalg/matrix_primitive.h"

#include <limits>

#include "mlx_core/ops/reduce.h"
#include "mlx_core/transforms.h"

namespace mlx::core {

void MatrixPrimitive::work(MatrixTask task, const char* op, Operands operands, std::span<array> outputs,
    Kernels& kernels, Options options, size_t first) {
  std::vector<View> in, out;
  for (const array& operand : operands.subspan(first)) in.push_back(operand.view());
  for (array& output : outputs) {
    output.allocate();
    out.push_back(output.view());
  }
  kernels.run(kernel::MatrixWork{task, in, out, op, options.upper, options.adjoint, options.full, options.lenient});
}

// The jvp is linear in the tangents: its own derivative, transposed, is the vjp.
Tangents MatrixPrimitive::vjp(
    Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const {
  Tangents out(primals.size());
  std::vector<size_t> moved, given;
  std::vector<array> tangents, weights;
  for (size_t i = 0; i < primals.size(); ++i) {
    if (wanted[i] && primals[i].dtype().is_inexact()) {
      moved.push_back(i);
      tangents.push_back(zeros_like(primals[i]));
    }
  }
  for (size_t j = 0; j < outputs.size(); ++j) {
    if (cotangents[j]) {
      given.push_back(j);
      weights.push_back(*cotangents[j]);
    }
  }
  if (moved.empty() || given.empty()) {
    return out;
  }
  auto forward = [&](const std::vector<array>& t) {
    Tangents all(primals.size());
    for (size_t i = 0; i < moved.size(); ++i) all[moved[i]] = t[i];
    Tangents of_outputs = jvp(primals, all, outputs);
    std::vector<array> results;
    for (size_t j : given) results.push_back(of_outputs[j] ? *of_outputs[j] : zeros_like(outputs[j]));
    return results;
  };
  std::vector<array> back = core::vjp(forward, tangents, weights).second;
  for (size_t i = 0; i < moved.size(); ++i) out[moved[i]] = back[i];
  return out;
}

Mapped MatrixPrimitive::vmap(Operands operands, const MapAxes& axes) const {
  Dim lanes = lanes_of(operands, axes);
  std::vector<array> moved;
  for (size_t i = 0; i < operands.size(); ++i) moved.push_back(batch_first(operands[i], axes[i], lanes));
  Mapped out{applied_many(self(*this), moved), {}};
  out.axes.resize(out.outputs.size(), MapAxis(0));
  return out;
}

Dtype matrix_dtype(Dtype dtype) { return wide_of(inexact_of(dtype)); }

array matrix_argument(const char* op, const array& a) {
  if (a.ndim() < 2) {
    fail(op, "a has shape ", a.shape(), "; a matrix has at least two dimensions.");
  }
  return astype(a, matrix_dtype(a.dtype()));
}

array square_argument(const char* op, const array& a) {
  array x = matrix_argument(op, a);
  if (surely_differ(x.shape(-1), x.shape(-2))) {
    fail(op, "a has shape ", a.shape(), "; its last two axes must be equal, for square matrices.");
  }
  return x;
}

array rounded_to(const array& y, Dtype argument) {
  return argument.is_floating() && argument.size() < 4 && y.dtype() == float32 ? astype(y, argument) : y;
}

array adjoint_of(const array& a) { return conj_of(swapaxes(a, -2, -1)); }
array hermitian_part(const array& a) { return multiply(add(a, adjoint_of(a)), array(0.5, real_of(a.dtype()))); }
array antihermitian_part(const array& a) {
  return multiply(subtract(a, adjoint_of(a)), array(0.5, real_of(a.dtype())));
}

namespace {

array part_of(const array& a, int axis, Dim from, Dim to) {
  Shape start(a.shape().size(), 0), stop = a.shape();
  auto at = static_cast<size_t>(a.ndim() + axis);
  start[at] = from, stop[at] = to;
  return slice(a, std::move(start), std::move(stop));
}

} // namespace

array first_rows(const array& a, Dim count) { return part_of(a, -2, 0, count); }
array first_columns(const array& a, Dim count) { return part_of(a, -1, 0, count); }
array last_rows(const array& a, Dim first) { return part_of(a, -2, first, a.shape(-2)); }
array last_columns(const array& a, Dim first) { return part_of(a, -1, first, a.shape(-1)); }
array diagonal_of(const array& a) { return diagonal(a, 0, -2, -1); }
array scale_columns(const array& a, const array& by) { return zero_times(a, astype(expand_dims(by, {-2}), a.dtype())); }
array scale_rows(const array& a, const array& by) { return zero_times(a, astype(expand_dims(by, {-1}), a.dtype())); }

array reciprocal_above(const array& x, const array& noise) {
  array close = less_equal(abs(x), noise);
  return where(close, array(0, x.dtype()), reciprocal(where(close, array(1, x.dtype()), x)));
}

array noise_of(const array& values) {
  array size = stop_gradient(abs(values));
  double epsilon = size.dtype() == float64 ? std::numeric_limits<double>::epsilon()
                                           : static_cast<double>(std::numeric_limits<float>::epsilon());
  return multiply(sqrt(sum(square(size), Axes{-1}, true)), array(64 * epsilon, size.dtype()));
}

array identity_like(const array& square) {
  return broadcast_to(eye(square.shape(-1), square.shape(-1), 0, square.dtype()), square.shape());
}

std::pair<array, array> with_equal_batch(const char* op, const array& a, const array& b) {
  Shape batch = broadcast_shapes(
      op, Shape(a.shape().begin(), a.shape().end() - 2), Shape(b.shape().begin(), b.shape().end() - 2));
  auto stacked = [&](const array& x) {
    Shape shape = batch;
    shape.push_back(x.shape(-2));
    shape.push_back(x.shape(-1));
    return x.shape() == shape ? x : broadcast_to(x, shape);
  };
  return {stacked(a), stacked(b)};
}

const array& matrices(const array& a) {
  Dtype d = a.dtype();
  Parts::require(a.ndim() >= 2 && (d == float32 || d == float64 || d.is_complex()),
      "an operand is no matrix, or of a dtype that matrices cannot have.");
  return a;
}
const array& square_matrices(const array& a) {
  Parts::require(matrices(a).shape(-1) == a.shape(-2), "a matrix is not square.");
  return a;
}

} // namespace mlx::core
