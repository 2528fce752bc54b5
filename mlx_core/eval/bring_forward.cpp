// Nodes that come before their turn, into a group that is about to be computed: for what they share with it.
#include <algorithm>
#include <array>

#include "mlx_core/eval/evaluation.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

bool reads(const Node* reader, const Node* node) {
  const auto operands = const_cast<Node*>(reader)->operands();
  return std::any_of(operands.begin(), operands.end(), [=](const array& operand) { return operand.node() == node; });
}

} // namespace

// A part with zeros around it waits for its elements. What comes next and can be computed with these, as the cotangents
// of other parts of the same array, is then one pass with them.
void Evaluation::bring_forward(Node* before) {
  constexpr size_t looked_at = 64;
  bool may_be = before->operand_count == 2 && !is_eval_op_by_op();
  Group* group = may_be ? open_group_of(before->operands()[1].node()) : nullptr;
  if (!group || !written_part(*before->primitive)) { // asked last: of all nodes that are no elementwise ones
    return;
  }
  std::vector<Claims::Entry>& entries = claims_.entries();
  size_t begin = before->eval_index + 1, end = std::min(entries.size(), begin + looked_at);
  for (size_t i = begin; i < end && !group->is_full(); ++i) {
    Node* node = entries[i].node;
    bool is_elementwise = node && entries[i].group < 0 && node->primitive->eval_kind() == EvalKind::elementwise;
    if (is_elementwise && is_ready_for(node, *group)) {
      group->add(node);
    }
  }
}

// Whether all operands are computed, or wait in the group.
bool Evaluation::is_ready_for(const Node* node, const Group& group) {
  const auto operands = const_cast<Node*>(node)->operands();
  return std::all_of(operands.begin(), operands.end(), [&](const array& operand) {
    return operand.node()->state.load(std::memory_order_acquire) == Node::State::available ||
           open_group_of(operand.node()) == &group;
  });
}

// Computes the group, whose values a node needs; but first what comes with them.
void Evaluation::end_group(Group& group, const Node* before) {
  const int32_t id = group.id;
  bring_readers(group, before);
  if (group.id == id) { // else it has been computed meanwhile
    flush(group);
  }
}

// What comes next needs the reduction of a whole space, which ends the group. First come the elementwise nodes after it
// that can be computed with what it reduces, as the gradient of a mean can: if then fewer values are stored for others.
void Evaluation::bring_readers(Group& group, const Node* before) {
  constexpr size_t looked_at = 64;
  constexpr int64_t worth_it = 1 << 14; // elements
  if (is_eval_op_by_op() || !group.ends_in_reduction(worth_it)) {
    return;
  }
  enum class Fate : uint8_t { later, joins, first }; // first: views of what is there, and numbers, for those that join
  std::vector<Claims::Entry>& entries = claims_.entries();
  const size_t begin = before->eval_index + 1, end = std::min(entries.size(), begin + looked_at);
  std::array<Fate, looked_at> fates{};
  auto fate_of = [&](const Node* node) {
    const bool in_reach = claims_.find(node) && node->eval_index >= begin && node->eval_index < end;
    return in_reach ? fates[node->eval_index - begin] : Fate::later;
  };
  auto is_ready = [&](const array& operand, bool joins) {
    const Node* node = operand.node();
    if (node->state.load(std::memory_order_acquire) == Node::State::available || fate_of(node) == Fate::first) {
      return true;
    }
    return joins && (fate_of(node) == Fate::joins || (open_group_of(node) == &group && operand.shape() == group.shape));
  };
  bool any_joins = false;
  for (size_t i = begin; i < end; ++i) {
    Node* node = entries[i].node;
    if (!node || entries[i].group >= 0 || node->stream != group.stream) {
      continue;
    }
    const EvalKind kind = node->primitive->eval_kind();
    const bool joins = kind == EvalKind::elementwise && node->shape == group.shape;
    const bool first = kind == EvalKind::view || (kind == EvalKind::elementwise && size_of(node->shape) == 1);
    const auto operands = node->operands();
    if ((joins || first) &&
        std::all_of(operands.begin(), operands.end(), [&](const array& x) { return is_ready(x, joins); })) {
      fates[i - begin] = joins ? Fate::joins : Fate::first;
      any_joins |= joins;
    }
  }
  if (!any_joins) {
    return;
  }
  // What is stored because elementwise nodes that come later read it.
  auto stored = [&](const Node* node, bool all_come_later) {
    bool any = false;
    for (size_t i = begin; i < end && !any; ++i) {
      const Node* reader = entries[i].node;
      any = reader && (all_come_later || fates[i - begin] == Fate::later) &&
            reader->primitive->eval_kind() == EvalKind::elementwise && reads(reader, node);
    }
    return any ? node->dtype.size() : 0;
  };
  int64_t now = 0, then = 0;
  for (size_t i = 0; i < group.member_count(); ++i) {
    now += stored(group.member(i), true), then += stored(group.member(i), false);
  }
  for (size_t i = begin; i < end; ++i) {
    then += fates[i - begin] == Fate::joins ? stored(entries[i].node, false) : 0;
  }
  const int32_t id = group.id;
  for (size_t i = begin; then < now && i < end && group.id == id; ++i) {
    Node* node = entries[i].node;
    if (!node || entries[i].group >= 0) {
      continue;
    }
    if (fates[i - begin] == Fate::first) {
      compute(node);
    } else if (fates[i - begin] == Fate::joins) {
      for (const array& operand : node->operands()) {
        Group* other = open_group_of(operand.node());
        if (other && other != &group) {
          flush(*other);
        }
      }
      if (!is_ready_for(node, group) || !group.add(node)) {
        return;
      }
    }
  }
}

} // namespace mlx::core
