// Sums of cotangents of branches, and cotangents that are one number in all places.
#include "mlx_core/transforms/cotangent_sums.h"

#include <optional>
#include <vector>

#include "mlx_core/ops.h"

namespace mlx::core {

namespace {

std::span<const array> operands_of(const Node& node) { return const_cast<Node&>(node).operands(); }

bool is_zero(const array& a) {
  return a.ndim() == 0 && a.is_available() && a.node()->level == 0 &&
         load_complex(a.raw_data(), a.dtype()) == complex128_t(0);
}

// Whether its operands are there to be looked at: nobody computes it yet.
bool is_lazy(const Node& node) {
  return node.primitive && node.state.load(std::memory_order_acquire) == Node::State::lazy;
}

// What is 0 in the other branch, as it is without regard to that.
struct Branch {
  array condition;
  bool holds;
  array value;
};

std::optional<Branch> branch_of(const array& a) {
  if (const Node* select = made_by(a, Body::select)) {
    auto operands = operands_of(*select);
    for (size_t k : {1, 2}) {
      if (is_zero(operands[3 - k]) && operands[k].shape() == a.shape()) {
        return Branch{operands[0], k == 1, operands[k]};
      }
    }
    return std::nullopt;
  }
  // Factors that are numbers: others could make infinities or NaN of what the selection leaves out.
  const Node *negated = made_by(a, Body::negative), *product = made_by(a, Body::zero_times);
  const Node* node = negated ? negated : product;
  if (!node || (product && operands_of(*product)[1].ndim() != 0) || !(operands_of(*node)[0].shape() == a.shape())) {
    return std::nullopt;
  }
  std::optional<Branch> branch = branch_of(operands_of(*node)[0]);
  if (branch) {
    branch->value =
        as_repeated_number(negated ? negative(branch->value) : zero_times(branch->value, operands_of(*product)[1]));
  }
  return branch;
}

// Whether a cotangent is known to be 0 where the condition holds, or where it does not.
bool vanishes(const array& a, const array& condition, bool holds, int& budget) {
  const Node* node = a.node();
  if (is_zero(a)) {
    return true;
  }
  if (--budget < 0 || !is_lazy(*node) || node->primitive->eval_kind() != EvalKind::elementwise) {
    return false;
  }
  auto operands = operands_of(*node);
  auto is_zero_there = [&](size_t k) { return vanishes(operands[k], condition, holds, budget); };
  switch (static_cast<const Elementwise&>(*node->primitive).body()) {
    case Body::select:
      return operands[0].node() == condition.node() ? is_zero_there(holds ? 1 : 2)
                                                    : is_zero_there(1) && is_zero_there(2);
    case Body::add:
    case Body::subtract: return is_zero_there(0) && is_zero_there(1);
    case Body::negative:
    case Body::copy:
    case Body::share:
    case Body::zero_divide:
    case Body::zero_times: return is_zero_there(0);
    default: return false;
  }
}

// None where they are others, or it would be no less work.
std::optional<array> joined_branches(const array& a, const array& b) {
  constexpr int most_nodes = 64; // looked at
  for (const array* first : {&a, &b}) {
    const array& second = first == &a ? b : a;
    std::optional<Branch> branch = branch_of(*first);
    int budget = most_nodes;
    if (!branch || !vanishes(second, branch->condition, branch->holds, budget)) {
      continue;
    }
    std::optional<Branch> other = branch_of(second);
    bool is_other = other && other->condition.node() == branch->condition.node();
    const array& value = is_other ? other->value : second;
    return branch->holds ? where(branch->condition, branch->value, value)
                         : where(branch->condition, value, branch->value);
  }
  return std::nullopt;
}

} // namespace

const Node* made_by(const array& a, Body body) {
  const Node* node = a.node();
  bool is_elementwise = is_lazy(*node) && node->primitive->eval_kind() == EvalKind::elementwise;
  return is_elementwise && static_cast<const Elementwise&>(*node->primitive).body() == body ? node : nullptr;
}

array as_repeated_number(array cotangent) {
  const Node* node = cotangent.node();
  if (cotangent.ndim() == 0 || !is_lazy(*node) || node->primitive->eval_kind() != EvalKind::elementwise) {
    return cotangent;
  }
  std::vector<array> numbers;
  for (const array& operand : operands_of(*node)) {
    const array* number = &operand;
    while (number->ndim() != 0) {
      const Node* made = number->node();
      if (!is_lazy(*made) || !made->primitive->keeps_order()) {
        return cotangent;
      }
      number = &operands_of(*made)[0];
    }
    numbers.push_back(*number);
  }
  return broadcast_to(applied(node->primitive, numbers), cotangent.shape());
}

array sum_of(const array& a, const array& b) {
  if (std::optional<array> joined = joined_branches(a, b)) {
    return *std::move(joined);
  }
  if (const Node* negated = made_by(b, Body::negative)) {
    return subtract(a, operands_of(*negated)[0]);
  }
  if (const Node* negated = made_by(a, Body::negative)) {
    return subtract(b, operands_of(*negated)[0]);
  }
  return add(a, b);
}

} // namespace mlx::core
