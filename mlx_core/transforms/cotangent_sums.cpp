// Sums of cotangents of branches, and cotangents that are one number in all places.
#include "mlx_core/transforms/cotangent_sums.h"

#include <vector>

#include "mlx_core/eval/gate.h"
#include "mlx_core/ops.h"

namespace mlx::core {

namespace {

bool is_zero(const array& a) {
  return a.ndim() == 0 && a.is_available() && a.node()->level == 0 &&
         load_complex(a.raw_data(), a.dtype()) == complex128_t(0);
}

// What is 0 in the other branch, as it is without regard to that.
struct Branch {
  array condition;
  bool holds;
  array value;
};

std::optional<Branch> branch_of(const array& a) {
  std::optional<Pending> node = pending(a);
  if (!node) {
    return std::nullopt;
  }
  const auto& operands = node->operands;
  if (node->is(Body::select)) {
    for (size_t k : {1, 2}) {
      if (is_zero(operands[3 - k]) && operands[k].shape() == a.shape()) {
        return Branch{operands[0], k == 1, operands[k]};
      }
    }
    return std::nullopt;
  }
  // Factors that are numbers: others could make infinities or NaN of what the selection leaves out.
  bool is_negated = node->is(Body::negative), is_product = node->is(Body::zero_times) && operands[1].ndim() == 0;
  if ((!is_negated && !is_product) || !(operands[0].shape() == a.shape())) {
    return std::nullopt;
  }
  std::optional<Branch> branch = branch_of(operands[0]);
  if (branch) {
    branch->value = as_repeated_number(is_negated ? negative(branch->value) : zero_times(branch->value, operands[1]));
  }
  return branch;
}

// Whether a cotangent is known to be 0 where the condition holds, or where it does not.
bool vanishes(const array& a, const array& condition, bool holds, int& budget) {
  if (is_zero(a)) {
    return true;
  }
  std::optional<Pending> node = --budget < 0 ? std::nullopt : pending(a);
  if (!node || node->primitive->eval_kind() != EvalKind::elementwise) {
    return false;
  }
  const auto& operands = node->operands;
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

bool are_few(const Shape& shape) {
  constexpr int64_t few = 512;
  int64_t count = 1;
  for (const Dim& size : shape) {
    if (size.is_symbolic() || (count *= size) >= few) {
      return false;
    }
  }
  return true;
}

bool Pending::is(Body body) const {
  return primitive->eval_kind() == EvalKind::elementwise && static_cast<const Elementwise&>(*primitive).body() == body;
}

std::optional<Pending> pending(const array& a) {
  Node* node = a.node();
  if (node->state.load(std::memory_order_relaxed) != Node::State::lazy) {
    return std::nullopt;
  }
  PlanningLock lock; // back-pressure may have another thread compute it
  bool is_there = node->primitive && node->state.load(std::memory_order_acquire) == Node::State::lazy;
  auto operands = node->operands();
  return is_there ? std::optional(Pending{node->primitive, {operands.begin(), operands.end()}}) : std::nullopt;
}

array as_repeated_number(array cotangent) {
  std::optional<Pending> node = are_few(cotangent.shape()) ? std::nullopt : pending(cotangent);
  if (!node || node->primitive->eval_kind() != EvalKind::elementwise) {
    return cotangent;
  }
  std::vector<array> numbers;
  for (array number : node->operands) {
    while (number.ndim() != 0) {
      std::optional<Pending> made = pending(number);
      if (!made || !made->primitive->keeps_order()) {
        return cotangent;
      }
      number = made->operands[0];
    }
    numbers.push_back(std::move(number));
  }
  return broadcast_to(applied(node->primitive, numbers), cotangent.shape());
}

array sum_of(const array& a, const array& b) {
  if (are_few(a.shape())) {
    return add(a, b);
  }
  if (std::optional<array> joined = joined_branches(a, b)) {
    return *std::move(joined);
  }
  for (const array* term : {&b, &a}) {
    if (std::optional<Pending> node = pending(*term); node && node->is(Body::negative)) {
      return subtract(term == &b ? a : b, node->operands[0]);
    }
  }
  return add(a, b);
}

} // namespace mlx::core
