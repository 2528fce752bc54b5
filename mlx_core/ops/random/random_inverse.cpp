// Distributions drawn by inverting their distribution function at a uniform number: gumbel, laplace, truncated normal.
#include <cmath>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/random/random_keys.h"

namespace mlx::core::random {

namespace {

void check_floating(const char* op, Dtype dtype) {
  if (!dtype.is_floating()) {
    fail(op, "dtype is ", dtype, "; it must be a real floating type.");
  }
}

void check_parameter(const char* op, const char* name, const std::optional<array>& parameter, const Shape& shape) {
  if (parameter && !(broadcast_shapes(op, parameter->shape(), shape) == shape)) {
    fail(op, name, " with shape ", parameter->shape(), " cannot be broadcast to shape=", shape, ".");
  }
}

// Halves are drawn in float32, and rounded at the end.
Dtype drawn_in(Dtype dtype) { return dtype == float64 ? float64 : float32; }

array in(const array& a, Dtype dtype) { return astype(a.dtype().is_complex() ? real(a) : a, dtype); }

} // namespace

array gumbel(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  check_floating("random.gumbel", dtype);
  // u = 0 would be -inf: it stands for the interval below the next draw.
  Dtype drawn = drawn_in(dtype);
  array least(std::ldexp(1.0, drawn == float64 ? -54 : -33), drawn);
  return in(negative(log(negative(log(maximum(uniform(shape, drawn, key, s), least))))), dtype);
}

array laplace(const Shape& shape, Dtype dtype, const std::optional<array>& loc, const std::optional<array>& scale,
    const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.laplace";
  check_floating(op, dtype);
  check_parameter(op, "loc", loc, shape);
  check_parameter(op, "scale", scale, shape);
  // u in (-1, 1): -sign(u) log(1 - |u|).
  Dtype drawn = drawn_in(dtype);
  array least = drawn == float64 ? array(std::nextafter(-1.0, 0.0), drawn) : array(std::nextafter(-1.0f, 0.0f), drawn);
  array u = uniform(least, array(1.0f), shape, drawn, key, s);
  array x = in(multiply(sign(u), log1p(negative(abs(u)))), dtype);
  x = scale ? multiply(in(*scale, dtype), x) : x;
  return loc ? add(in(*loc, dtype), x) : x;
}
array laplace(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  return laplace(shape, dtype, {}, {}, key, s);
}

array truncated_normal(const array& lower, const array& upper, const std::optional<Shape>& shape, Dtype dtype,
    const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.truncated_normal";
  check_floating(op, dtype);
  Shape bounds = broadcast_shapes(op, lower.shape(), upper.shape());
  if (shape && !(broadcast_shapes(op, bounds, *shape) == *shape)) {
    fail(op, "lower and upper with shape ", bounds, " cannot be broadcast to shape=", *shape, ".");
  }
  // sqrt(2) erfinv(u) of a uniform u between erf(bound / sqrt(2)): the normal distribution's, cut off.
  Dtype drawn = drawn_in(dtype);
  array sqrt2(std::sqrt(2.0), drawn);
  array low = in(lower, drawn), high = in(upper, drawn);
  array u = uniform(erf(divide(low, sqrt2)), erf(divide(high, sqrt2)), shape ? *shape : bounds, drawn, key, s);
  array x = multiply(sqrt2, erfinv(u));
  return in(maximum(minimum(high, x), low), dtype); // rounding may have left the interval
}

std::span<const OpInfo* const> inverse_ops() {
  static constexpr OpInfo gumbel_info{.name = "random.gumbel",
      .summary = "Random numbers with the standard Gumbel distribution.",
      .accepts = Dtypes::floating,
      .differentiable = Differentiable::no,
      .no_derivative = {"it has no array argument but the key"},
      .example =
          ">>> mx.random.gumbel((3,), key=mx.random.key(0))\narray([3.34404, -0.145133, 0.782552], dtype=float32)",
      .details =
          "-log(-log(u)) of a uniform u. The largest of logits + gumbel is at index i with probability "
          "softmax(logits)[i]. Raises ValueError when dtype is not a real floating type."};
  static constexpr OpInfo laplace_info{.name = "random.laplace",
      .summary =
          "Random numbers with the Laplace distribution around loc, of density exp(-|x - loc| / scale) / (2 scale).",
      .accepts = Dtypes::floating,
      .example =
          ">>> mx.random.laplace((3,), key=mx.random.key(0))\narray([-2.66849, 0.463046, -0.309328], dtype=float32)",
      .details =
          "loc and scale broadcast to shape, and are differentiable. Raises ValueError when dtype is not a real "
          "floating type."};
  static constexpr OpInfo truncated_normal_info{.name = "random.truncated_normal",
      .summary =
          "Random numbers with the standard normal distribution, under the condition that they lie between lower and "
          "upper.",
      .accepts = Dtypes::floating,
      .example =
          ">>> mx.random.truncated_normal(-1, 2, (3,), key=mx.random.key(0))\n"
          "array([1.63392, -0.211491, 0.458909], dtype=float32)",
      .details =
          "shape defaults to what the bounds broadcast to. sqrt(2) erfinv(u) of a uniform u between erf(lower / "
          "sqrt(2)) "
          "and erf(upper / sqrt(2)), so float32 has few distinct values where both bounds are beyond 4 on one side; "
          "float64 reaches to 8. Differentiable in the bounds. Raises ValueError when dtype is not a real floating "
          "type, or when the bounds do not broadcast to shape."};
  static constexpr const OpInfo* ops[] = {&gumbel_info, &laplace_info, &truncated_normal_info};
  return ops;
}

} // namespace mlx::core::random
