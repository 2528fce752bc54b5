// The cross product.
#include "mlx_core/linalg.h"
#include "mlx_core/ops/linalg/families.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"

namespace mlx::core {

namespace linalg {

namespace {

// Vectors of three elements in the last axis.
array in_space(const array& a, bool plane) {
  Shape one = a.shape();
  one.back() = 1;
  return first_columns(plane ? concatenate({a, zeros(one, a.dtype())}, -1) : a, 3);
}
// Elements (1, 2, 0) of the last axis.
array turned(const array& a) { return concatenate({last_columns(a, 1), first_columns(a, 1)}, -1); }

} // namespace

static constexpr OpInfo cross_info{.name = "linalg.cross",
    .summary = "The cross product of vectors with three elements.",
    .accepts = Dtypes::numeric,
    .example =
        ">>> mx.linalg.cross(mx.array([1.0, 0.0, 0.0]), mx.array([0.0, 1.0, 0.0]))\n"
        "array([0, 0, 1], dtype=float32)",
    .details =
        "They are along ``axis``, which counts in each array by itself; the other axes broadcast. A vector of two "
        "elements has 0 for the third, and the result has always three. Raises ValueError for other lengths."};

array cross(const array& a, const array& b, int axis, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = cross_info.name;
  if (a.ndim() == 0 || b.ndim() == 0) {
    fail(op, "a has shape ", a.shape(), " and b has shape ", b.shape(), "; both need at least one dimension.");
  }
  int of_a = normalize_axis(op, axis, a.ndim()), of_b = normalize_axis(op, axis, b.ndim());
  int64_t length_of_a = a.shape(of_a), length_of_b = b.shape(of_b);
  for (int64_t length : {length_of_a, length_of_b}) {
    if (length != 2 && length != 3) {
      fail(op, "a has shape ", a.shape(), " and b has shape ", b.shape(), "; along axis ", axis,
          " both should have 2 or 3 elements.");
    }
  }
  Dtype dtype = promote_types(a.dtype(), b.dtype());
  if (dtype.is_bool()) {
    fail(op, "a and b are bools; convert them to numbers.");
  }
  array x = in_space(moveaxis(astype(a, dtype), of_a, -1), length_of_a == 2);
  array y = in_space(moveaxis(astype(b, dtype), of_b, -1), length_of_b == 2);
  array product = turned(subtract(multiply(x, turned(y)), multiply(turned(x), y)));
  return moveaxis(product, -1, axis < 0 ? axis : axis + product.ndim() - std::max(a.ndim(), b.ndim()));
}

} // namespace linalg

std::span<const OpInfo* const> cross_ops() {
  static constexpr const OpInfo* ops[] = {&linalg::cross_info};
  return ops;
}

} // namespace mlx::core
