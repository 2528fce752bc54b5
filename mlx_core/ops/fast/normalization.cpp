// Norms over the last axis and the cross entropy: compositions, which run as one pass over the rows.
#include <algorithm>

#include "mlx_core/ops/families.h"
#include "mlx_core/ops/fast/fast.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

namespace fast {

Dtype floating_dtype(const char* op, std::initializer_list<array> operands) {
  Dtype dtype = operands.begin()->dtype();
  for (const array& a : operands) {
    dtype = promote_types(dtype, a.dtype());
  }
  if (dtype.is_complex()) {
    fail(op, "an argument has dtype ", dtype, "; real numbers are needed.");
  }
  return inexact_of(dtype);
}

bool may_have_shape(const array& a, const Shape& shape) {
  return std::equal(a.shape().begin(), a.shape().end(), shape.begin(), shape.end(),
      [](Dim x, Dim y) { return !surely_differ(x, y); });
}

array columns(const array& a, Dim from, Dim stop, Dim step) {
  Shape start(a.shape().size(), 0), end = a.shape(), steps(a.shape().size(), 1);
  start.back() = from, end.back() = stop, steps.back() = step;
  return slice(a, start, end, steps);
}

namespace {

void check_weight(const char* op, const char* name, const std::optional<array>& weight, const array& x) {
  if (weight && !may_have_shape(*weight, {x.shape(-1)})) {
    fail(op, name, " has shape ", weight->shape(), " and x has shape ", x.shape(), "; ", name,
        " should have one axis, as long as the last one of x.");
  }
}

Dtype normalized_dtype(
    const char* op, const array& x, const std::optional<array>& weight, const std::optional<array>& bias) {
  if (x.ndim() == 0) {
    fail(op, "x is a scalar; it needs at least one axis.");
  }
  check_weight(op, "weight", weight, x);
  check_weight(op, "bias", bias, x);
  return floating_dtype(op, {x, weight ? *weight : x, bias ? *bias : x});
}

// x over the root of the mean of its squares and eps, row by row.
array unit_rows(const array& x, double eps) {
  return multiply(x, rsqrt(add(mean(square(x), Axes{-1}, true), array(eps, x.dtype()))));
}

array scaled(array y, const std::optional<array>& weight, const std::optional<array>& bias, Dtype out) {
  if (weight) y = multiply(y, astype(*weight, y.dtype()));
  if (bias) y = add(y, astype(*bias, y.dtype()));
  return astype(y, out);
}

} // namespace

static constexpr OpInfo rms_norm_info{.name = "fast.rms_norm",
    .summary = "Rows divided by the root of their mean square, scaled.",
    .accepts = Dtypes::floating,
    .example = ">>> mx.fast.rms_norm(mx.array([3.0, 4.0]), None, 0.0)\narray([0.848528, 1.13137], dtype=float32)",
    .details =
        "x / sqrt(mean(x**2) + eps) * weight over the last axis (Zhang and Sennrich, 2019). weight has one axis, as "
        "long as that, or is None. The result has the common dtype of both; 16-bit floats are computed in float32. "
        "ValueError for other shapes."};
array rms_norm(const array& x, const std::optional<array>& weight, double eps, StreamOrDevice s) {
  StreamScope on(s);
  Dtype out = normalized_dtype(rms_norm_info.name, x, weight, {});
  return scaled(unit_rows(astype(x, wide_of(out)), eps), weight, {}, out);
}

static constexpr OpInfo layer_norm_info{.name = "fast.layer_norm",
    .summary = "Rows less their mean, divided by their standard deviation, scaled and shifted.",
    .accepts = Dtypes::floating,
    .example = ">>> mx.fast.layer_norm(mx.array([1.0, 3.0]), None, None, 0.0)\narray([-1, 1], dtype=float32)",
    .details =
        "(x - mean(x)) / sqrt(var(x) + eps) * weight + bias over the last axis (Ba, Kiros and Hinton, 2016). weight "
        "and bias have one axis, as long as that, or are None. The result has the common dtype; 16-bit floats are "
        "computed in float32. ValueError for other shapes."};
array layer_norm(const array& x, const std::optional<array>& weight, const std::optional<array>& bias, double eps,
    StreamOrDevice s) {
  StreamScope on(s);
  Dtype out = normalized_dtype(layer_norm_info.name, x, weight, bias);
  array y = astype(x, wide_of(out));
  return scaled(unit_rows(subtract(y, mean(y, Axes{-1}, true)), eps), weight, bias, out);
}

static constexpr OpInfo cross_entropy_info{.name = "fast.cross_entropy",
    .summary = "The logarithm of what softmax gives the target of each row, negated.",
    .accepts = Dtypes::floating,
    .example = ">>> mx.fast.cross_entropy(mx.array([[0.0, 0.0]]), mx.array([1]))\narray([0.693147], dtype=float32)",
    .details =
        "logsumexp(logits) - logits[target] over the last axis. targets are integers of the shape of the other axes; "
        "negative ones count from the end, and one outside of the axis raises IndexError at evaluation. The result is "
        "float32, or float64 for logits of that. ValueError for other shapes, TypeError for targets that are no "
        "integers."};
array cross_entropy(const array& logits, const array& targets, StreamOrDevice s) {
  StreamScope on(s);
  const char* op = cross_entropy_info.name;
  if (logits.ndim() == 0) {
    fail(op, "logits is a scalar; it needs an axis of classes.");
  }
  if (!issubdtype(targets.dtype(), Dtype::Category::integer)) {
    fail<TypeError>(
        op, "targets has dtype ", targets.dtype(), "; it should be indices of classes, which are integers.");
  }
  if (!may_have_shape(targets, Shape(logits.shape().begin(), logits.shape().end() - 1))) {
    fail(op, "targets has shape ", targets.shape(), " and logits has shape ", logits.shape(),
        "; targets should have all but the last axis of it.");
  }
  array x = astype(logits, wide_of(floating_dtype(op, {logits})));
  array of_target = squeeze(take_along_axis(x, expand_dims(targets, -1), -1), -1);
  return subtract(logsumexp(x, -1), of_target);
}

std::span<const OpInfo* const> normalization_ops() {
  static constexpr const OpInfo* ops[] = {&rms_norm_info, &layer_norm_info, &cross_entropy_info};
  return ops;
}

} // namespace fast

std::span<const OpInfo* const> fast_ops() {
  static const std::vector<const OpInfo*>& ops =
      *new std::vector<const OpInfo*>(joined({fast::normalization_ops(), fast::attention_ops()}));
  return ops;
}

} // namespace mlx::core
