// Compositions with exact derivatives: recognised by their bodies, link by link.
#include "mlx_core/ops/elementwise/composites.h"

#include <limits>
#include <numbers>

#include "mlx_core/ops/unary.h"

namespace mlx::core {

namespace {

std::optional<Body> body_of(const Node& node) {
  if (!node.primitive || node.primitive->eval_kind() != EvalKind::elementwise) {
    return std::nullopt;
  }
  return static_cast<const Elementwise&>(*node.primitive).body();
}
// What `a` is `body` of; null when it is not.
const array* operand_under(const array& a, Body body) {
  return body_of(*a.node()) == body && a.operands().size() == 1 ? &a.operands()[0] : nullptr;
}

// A scalar that no transform follows, repeated or not, and that is 1.
bool is_one(const array& a) {
  const Node& node = *a.node();
  if (node.level != 0 || !node.dtype.is_inexact()) {
    return false;
  }
  if (!a.is_available()) {
    return node.primitive->role() == Role::repetition && is_one(a.operands()[0]);
  }
  for (size_t axis = 0; axis < node.shape.size(); ++axis) {
    int64_t length = node.shape[axis];
    if (length == 0 || (length > 1 && node.strides[axis] != 0)) {
      return false;
    }
  }
  return load_complex(node.data(), node.dtype) == complex128_t(1);
}
// x, where a is 1 / x.
const array* reciprocal_of(const array& a) {
  if (const array* x = operand_under(a, Body::reciprocal)) {
    return x;
  }
  return body_of(*a.node()) == Body::divide && is_one(a.operands()[0]) ? &a.operands()[1] : nullptr;
}

// --- log(exp(a) + exp(b)) ---

// As logaddexp has them; equal infinities have the difference 0.
array softmax_chain(size_t k, const array& g, const std::vector<array>& operands) {
  const array &a = operands[k], &b = operands[1 - k];
  array equal_infinities = logical_and(isinf(a), equal(a, b));
  return zero_times(g, sigmoid(where(equal_infinities, array(0, a.dtype()), subtract(a, b))));
}
array softplus_chain(size_t, const array& g, const std::vector<array>& operands) {
  return zero_times(g, sigmoid(operands[0]));
}
// d log(1 - sigmoid(x)) = -sigmoid(x) dx, d log(sigmoid(x)) = sigmoid(-x) dx
array log_complement_chain(size_t, const array& g, const std::vector<array>& operands) {
  return zero_times(negative(g), sigmoid(operands[0]));
}
array log_sigmoid_chain(size_t, const array& g, const std::vector<array>& operands) {
  return zero_times(g, sigmoid(negative(operands[0])));
}

array log_cosh_chain(size_t, const array& g, const std::vector<array>& operands) {
  return zero_times(g, tanh(operands[0]));
}

// log(exp(x) / s) = x - log(s)
array exp_quotient_chain(size_t k, const array& g, const std::vector<array>& operands) {
  return k == 0 ? g : zero_divide(negative(g), operands[1]);
}

std::optional<Composite> logarithm_of_sum(const array& sum) {
  if (body_of(*sum.node()) != Body::add) {
    return std::nullopt;
  }
  const array &u = sum.operands()[0], &v = sum.operands()[1];
  const array *a = operand_under(u, Body::exp), *b = operand_under(v, Body::exp);
  if (a && b) {
    return Composite{{*a, *b}, softmax_chain};
  }
  if ((a && is_one(v)) || (b && is_one(u))) {
    return Composite{{a ? *a : *b}, softplus_chain};
  }
  return std::nullopt;
}

// --- inverses of each other ---

array identity_chain(size_t, const array& g, const std::vector<array>&) { return g; }
// exp(log(x)) is x where it is a number.
array exp_log_chain(size_t, const array& g, const std::vector<array>& operands) {
  const array& x = operands[0];
  if (x.dtype().is_complex()) {
    return g;
  }
  array nan(std::numeric_limits<double>::quiet_NaN(), x.dtype()), one(1, x.dtype()), zero(0, x.dtype());
  return zero_times(g, where(less(x, zero), nan, one));
}

// --- arctan(a / b) ---

// d arctan(a / b) = (b da - a db) / (a^2 + b^2). The larger of the two is divided out, lest its square overflow; it
// cancels, so that it has no derivative.
array quotient_angle_chain(size_t k, const array& g, const std::vector<array>& operands) {
  const array &a = operands[0], &b = operands[1];
  array larger = stop_gradient(maximum(abs(a), abs(b)));
  array scale = where(logical_and(greater(larger, array(0, a.dtype())), isfinite(larger)), larger, array(1, a.dtype()));
  array x = divide(a, scale), y = divide(b, scale);
  array slope = zero_divide(k == 0 ? y : negative(x), square(x) + square(y));
  return zero_divide(zero_times(g, slope), scale);
}
array reciprocal_angle_chain(size_t, const array& g, const std::vector<array>& operands) {
  return zero_divide(negative(g), 1 + square(operands[0]));
}

std::optional<Composite> logarithm_of(const array& inner) {
  if (const array* x = operand_under(inner, Body::exp)) {
    return Composite{{*x}, identity_chain};
  }
  if (const array* x = operand_under(inner, Body::sigmoid)) {
    return Composite{{*x}, log_sigmoid_chain};
  }
  if (const array* x = operand_under(inner, Body::cosh)) {
    return Composite{{*x}, log_cosh_chain};
  }
  std::optional<Body> body = body_of(*inner.node());
  if (body == Body::subtract && is_one(inner.operands()[0])) {
    const array* x = operand_under(inner.operands()[1], Body::sigmoid);
    return x ? std::optional(Composite{{*x}, log_complement_chain}) : std::nullopt;
  }
  if (const array* divisor = reciprocal_of(inner)) {
    std::optional<Composite> sum = logarithm_of_sum(*divisor);
    if (sum) {
      sum->factor = -1;
    }
    return sum;
  }
  if (body == Body::divide) {
    const array* x = operand_under(inner.operands()[0], Body::exp);
    return x ? std::optional(Composite{{*x, inner.operands()[1]}, exp_quotient_chain}) : std::nullopt;
  }
  return logarithm_of_sum(inner);
}

std::optional<Composite> arctangent_of(const array& quotient) {
  if (quotient.dtype().is_complex()) { // the branches of the composition are not those of its derivative's integral
    return std::nullopt;
  }
  if (const array* x = reciprocal_of(quotient)) {
    return Composite{{*x}, reciprocal_angle_chain};
  }
  if (body_of(*quotient.node()) == Body::divide) {
    return Composite{{quotient.operands()[0], quotient.operands()[1]}, quotient_angle_chain};
  }
  return std::nullopt;
}

std::optional<Composite> scaled(std::optional<Composite> composite, double by) {
  if (composite) {
    composite->factor *= by;
  }
  return composite;
}

} // namespace

std::optional<Composite> composite_of(const Node& node) {
  std::optional<Body> body = body_of(node);
  if (!body || node.operand_count != 1) {
    return std::nullopt;
  }
  const array& inner = const_cast<Node&>(node).operands()[0];
  switch (*body) {
    case Body::log1p:
      if (const array* x = operand_under(inner, Body::exp)) {
        return Composite{{*x}, softplus_chain};
      }
      if (const array* y = operand_under(inner, Body::negative)) {
        if (const array* x = operand_under(*y, Body::sigmoid)) {
          return Composite{{*x}, log_complement_chain};
        }
      }
      return std::nullopt;
    case Body::log: return logarithm_of(inner);
    case Body::log2: return scaled(logarithm_of(inner), std::numbers::log2e);
    case Body::log10: return scaled(logarithm_of(inner), std::numbers::log10e);
    case Body::exp:
      if (const array* x = operand_under(inner, Body::log)) {
        return Composite{{*x}, exp_log_chain};
      }
      return std::nullopt;
    case Body::arctan: return arctangent_of(inner);
    default: return std::nullopt;
  }
}

array Composite::multiplied(const array& derivative) const {
  return factor == 1 ? derivative : multiply(derivative, array(factor, derivative.dtype()));
}

Tangent Composite::jvp(const Tangents& tangents, const array& output) const {
  Tangent total;
  for (size_t k = 0; k < operands.size(); ++k) {
    if (tangents[k]) {
      array part = multiplied(chain(k, *tangents[k], operands));
      total = total ? add(*total, part) : part;
    }
  }
  return total ? Tangent(broadcast_to(*total, output.shape())) : total;
}

Tangents Composite::vjp(const array& cotangent, std::span<const bool> wanted) const {
  Tangents out(operands.size());
  for (size_t k = 0; k < operands.size(); ++k) {
    if (wanted[k]) {
      // ct * conj(d) = conj(conj(ct) * d)
      out[k] = sum_to(conj_of(multiplied(chain(k, conj_of(cotangent), operands))), operands[k].shape());
    }
  }
  return out;
}

} // namespace mlx::core
