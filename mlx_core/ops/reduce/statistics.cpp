// Means, variances, and the exponential averages logsumexp and softmax: compositions of reductions and elementwise ops.
#include <limits>

#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/ops/shape/shape.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

namespace {

// The number of elements over axes less ddof, as a divisor for arrays of this dtype.
array count_over(const array& a, const Axes& axes, double ddof, Dtype dtype) {
  Shape lengths;
  for (int axis : axes) {
    lengths.push_back(a.shape()[static_cast<size_t>(axis)]);
  }
  Dim count = size_of(lengths);
  if (count.is_symbolic()) { // open until the size is known
    return maximum(subtract(size_number(count, dtype), array(ddof, dtype)), array(0, dtype));
  }
  return array(std::max(static_cast<double>(static_cast<int64_t>(count)) - ddof, 0.0), dtype);
}

// The maximum, kept as axes of length 1. Where an axis of open length may turn out to have no elements it is that of
// one more, -inf; with others there are none such, and concatenate leaves nothings out.
array largest_over(const array& x, const Axes& axes) {
  array y = x;
  for (int axis : axes) {
    auto at = static_cast<size_t>(axis);
    if (Dim length = x.shape()[at]; length.is_symbolic()) {
      Shape shape = y.shape();
      shape[at] = 1 - smaller_of(length, 1);
      y = concatenate({y, full(shape, array(-std::numeric_limits<float>::infinity(), x.dtype()), x.dtype())}, axis);
    }
  }
  return max(y, axes, true);
}

} // namespace

static constexpr OpInfo mean_info{.name = "mean",
    .summary = "The mean over axes.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.mean(mx.array([[1, 2], [3, 4]]), axis=0)\narray([2, 3], dtype=float32)",
    .details =
        "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. NaN over "
        "axes without elements."};
array mean(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  Axes over = normalize_axes("mean", axes, a.ndim());
  Dtype out = inexact_of(a.dtype());
  array x = astype(a, wide_of(inexact_of(a.dtype())));
  return astype(divide(sum(x, over, keepdims, s), count_over(a, over, 0, x.dtype()), s), out);
}
array mean(const array& a, bool keepdims, StreamOrDevice s) { return mean(a, all_axes(a.ndim()), keepdims, s); }

namespace {

// sum |x - mean|^2 / (n - ddof), in the dtype of the averages.
array variance(const char* op, const array& a, const Axes& axes, bool keepdims, double ddof, const StreamOrDevice& s) {
  StreamScope on(s);
  Axes over = normalize_axes(op, axes, a.ndim());
  array x = astype(a, wide_of(inexact_of(a.dtype())));
  array deviation = subtract(x, mean(x, over, true));
  array squares = x.dtype().is_complex() ? real(multiply(deviation, conjugate(deviation))) : square(deviation);
  return divide(sum(squares, over, keepdims), count_over(a, over, ddof, squares.dtype()));
}
Dtype variance_dtype(Dtype dtype) { return real_of(inexact_of(dtype)); }

} // namespace

static constexpr OpInfo var_info{.name = "var",
    .summary = "The variance over axes: the mean of the squared distance to the mean.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.var(mx.array([1.0, 3.0]))\narray(1, dtype=float32)",
    .details =
        "Divides by the number of elements minus ddof (or correction, which need not be whole). axis is an int, "
        "several, or None for all axes. With keepdims "
        "the reduced axes stay, with length 1."};
array var(const array& a, const Axes& axes, bool keepdims, double ddof, StreamOrDevice s) {
  return astype(variance("var", a, axes, keepdims, ddof, s), variance_dtype(a.dtype()));
}
array var(const array& a, bool keepdims, double ddof, StreamOrDevice s) {
  return var(a, all_axes(a.ndim()), keepdims, ddof, s);
}

static constexpr OpInfo std_info{.name = "std",
    .summary = "The standard deviation over axes: the square root of the variance.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.std(mx.array([1.0, 3.0]))\narray(1, dtype=float32)",
    .details =
        "Divides by the number of elements minus ddof (or correction, which need not be whole). axis is an int, "
        "several, or None for all axes. With keepdims "
        "the reduced axes stay, with length 1. The derivative at equal elements is 0."};
array std(const array& a, const Axes& axes, bool keepdims, double ddof, StreamOrDevice s) {
  array v = variance("std", a, axes, keepdims, ddof, s);
  // The root has no slope at 0; taking it elsewhere keeps the infinity out of the derivative.
  array none = equal(v, array(0, v.dtype()));
  array root = where(none, array(0, v.dtype()), sqrt(where(none, array(1, v.dtype()), v)));
  return astype(root, variance_dtype(a.dtype()));
}
array std(const array& a, bool keepdims, double ddof, StreamOrDevice s) {
  return std(a, all_axes(a.ndim()), keepdims, ddof, s);
}

static constexpr OpInfo logsumexp_info{.name = "logsumexp",
    .summary = "log(sum(exp(a))) over axes, without overflow.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.logsumexp(mx.array([0.0, 0.0]))\narray(0.693147, dtype=float32)",
    .details =
        "-inf where all elements are -inf, or there are none. The derivative is softmax(a), and 0 where all are -inf; "
        "elements that are inf share it equally."};
array logsumexp(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  StreamScope on(s);
  Axes over = normalize_axes("logsumexp", axes, a.ndim());
  Dtype out = inexact_of(a.dtype());
  array x = astype(a, wide_of(inexact_of(a.dtype())));
  array nothing(-std::numeric_limits<float>::infinity(), x.dtype()), zero(0, x.dtype());
  for (int axis : over) {
    if (surely_equal(x.shape()[static_cast<size_t>(axis)], 0)) {
      return astype(add(sum(x, over, keepdims), nothing), out);
    }
  }
  // Any shift gives the same value; the largest element keeps exp in range. Where that is infinite, it and its equals
  // are no distance from it, and share the sum; all others are infinitely far.
  array largest = stop_gradient(largest_over(x, over));
  array none = equal(largest, nothing); // all are -inf: keep log's infinite slope out of the derivative
  array total = sum(exp(gap(x, where(none, zero, largest))), over, true);
  array value = add(log(where(none, array(1, x.dtype()), total)), largest);
  return astype(keepdims ? value : squeeze(value, over), out);
}
array logsumexp(const array& a, bool keepdims, StreamOrDevice s) {
  return logsumexp(a, all_axes(a.ndim()), keepdims, s);
}

static constexpr OpInfo softmax_info{.name = "softmax",
    .summary = "exp(a) / sum(exp(a)) over axes (all by default), without overflow.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.softmax(mx.array([0.0, 0.0]))\narray([0.5, 0.5], dtype=float32)",
    .details =
        "float16 and bfloat16 are computed in float32, with or without precise. NaN where all elements are -inf."};
array softmax(const array& a, const Axes& axes, bool, StreamOrDevice s) {
  StreamScope on(s);
  Axes over = normalize_axes("softmax", axes, a.ndim());
  Dtype out = inexact_of(a.dtype());
  array x = astype(a, wide_of(inexact_of(a.dtype())));
  for (int axis : over) {
    if (surely_equal(x.shape()[static_cast<size_t>(axis)], 0)) {
      return astype(x, out);
    }
  }
  array e = exp(subtract(x, stop_gradient(largest_over(x, over))));
  return astype(divide(e, sum(e, over, true)), out);
}
array softmax(const array& a, bool precise, StreamOrDevice s) { return softmax(a, all_axes(a.ndim()), precise, s); }

std::span<const OpInfo* const> statistics_ops() {
  static constexpr const OpInfo* ops[] = {&mean_info, &var_info, &std_info, &logsumexp_info, &softmax_info};
  return ops;
}

} // namespace mlx::core
