// Finding the factor, and multiplying what lies beside it.
#include "mlx_core/transforms/shared_factors.h"

#include "mlx_core/ops.h"
#include "mlx_core/ops/moves.h"

namespace mlx::core {

namespace {

constexpr int alone = 3;       // the first products with a factor, each of which has a cotangent of its own
constexpr size_t at_once = 64; // so that no more of what is multiplied has to be kept

std::optional<int64_t> elements(const Shape& shape) {
  Dim size = size_of(shape);
  return size.is_symbolic() ? std::nullopt : std::optional<int64_t>(size);
}

bool is_matrix_product(const Node& node) {
  return node.primitive && (node.primitive->role() == Role::product || node.primitive->role() == Role::chain_product) &&
         node.operand_count == 2 && node.shape.size() == 2;
}

} // namespace

std::optional<SharedFactors::Factor> SharedFactors::of(const Tape& tape, const Node& node) {
  if (!is_matrix_product(node)) {
    return std::nullopt;
  }
  std::span<const array> operands(const_cast<Node&>(node).operands());
  std::optional<int64_t> result = elements(node.shape);
  for (size_t k = 0; k < 2; ++k) {
    const array& factor = operands[k];
    std::optional<int64_t> own = elements(factor.shape()), other = elements(operands[1 - k].shape());
    int index = tape.index_of(factor);
    if (!own || !other || !result || *other + *result > *own || index < 0 || !factor.dtype().is_inexact()) {
      continue;
    }
    Node* made = factor.node();
    bool turned = made->primitive && made->operand_count == 1 && exchanges_matrix_axes(*made->primitive);
    if (turned) {
      index = tape.index_of(made->operands()[0]);
    }
    if (index >= 0 && ++count_[index] > alone) {
      return Factor{k, index, turned};
    }
  }
  return std::nullopt;
}

array SharedFactors::joined(const Key& key, const Uses& uses) {
  const size_t other = 1 - key.operand;
  const int axis = key.operand == 1 ? 0 : 1;
  std::vector<array> factors, cotangents;
  for (const auto& [node, cotangent] : uses) {
    factors.push_back(node->operands()[other]);
    cotangents.push_back(cotangent);
  }
  Node* last = uses.back().first;
  std::vector<array> operands(last->operands().begin(), last->operands().end());
  operands[other] = concatenate(factors, axis);
  const bool wanted[] = {key.operand == 0, key.operand == 1};
  array pulled = *last->primitive->vjp(operands, Tangents{concatenate(cotangents, axis)}, {}, wanted)[key.operand];
  return key.turned ? swapaxes(pulled, 0, 1) : pulled;
}

std::optional<array> SharedFactors::defer(const Factor& factor, Node* node, const array& cotangent) {
  Key key{factor.index, factor.operand, factor.turned};
  Uses& uses = waiting_[key];
  if (!uses.empty() && !equivalent(*uses.back().first->primitive, *node->primitive)) {
    Uses before = std::exchange(uses, {{node, cotangent}});
    return joined(key, before);
  }
  uses.emplace_back(node, cotangent);
  if (uses.size() < at_once) {
    return std::nullopt;
  }
  Uses all = std::move(uses);
  waiting_.erase(key);
  return joined(key, all);
}

std::vector<array> SharedFactors::take(int index) {
  std::vector<array> sums;
  for (auto at = waiting_.lower_bound({index, 0, false}); at != waiting_.end() && at->first.index == index;
      at = waiting_.erase(at)) {
    OriginScope scope(at->second.back().first->origin, "vjp");
    StreamScope on(at->second.back().first->stream);
    sums.push_back(joined(at->first, at->second));
  }
  return sums;
}

} // namespace mlx::core
