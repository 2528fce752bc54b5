// What strips ask of a plan's steps.
#pragma once

#include "mlx_core/cpu/strips.h"

namespace mlx::core::cpu {

inline constexpr int32_t nothing = -1; // no slot, or step

inline bool is_comparison(Body body) {
  switch (body) {
    case Body::equal:
    case Body::not_equal:
    case Body::nan_equal:
    case Body::less:
    case Body::less_equal:
    case Body::greater:
    case Body::greater_equal: return true;
    default: return false;
  }
}

// The comparison of y with x that is this one of x with y.
inline Body turned(Body comparison) {
  switch (comparison) {
    case Body::less: return Body::greater;
    case Body::less_equal: return Body::greater_equal;
    case Body::greater: return Body::less;
    case Body::greater_equal: return Body::less_equal;
    default: return comparison;
  }
}

// Strips have no more than one of a comparison and that of the operands turned round.
inline bool is_turned(Body body) { return body == Body::greater || body == Body::greater_equal; }
inline Body plain(Body body) { return is_turned(body) ? turned(body) : body; }

// Whether a value of a row is the first operand, in the order that strips have.
inline bool comes_first(const FusedPlan::Step& step, int32_t row) {
  return (step.inputs[0] == row) != is_turned(step.body);
}

inline bool is_scalar(const FusedPlan& plan, int32_t slot) {
  auto source = static_cast<size_t>(slot);
  return source < plan.sources.size() && plan.sources[source].layout == FusedPlan::Layout::scalar;
}

inline bool is_ternary(const FusedPlan::Step& step) { return step.body == Body::select || step.body == Body::share; }

inline bool gives_bools(const FusedPlan::Step& step) { return step.to == bool_; }

// Connectives, and numbers of bools.
inline bool is_of_bools(const FusedPlan::Step& step) {
  return step.from == bool_ && (step.body != Body::copy || step.to != bool_) && !is_comparison(step.body);
}

} // namespace mlx::core::cpu
