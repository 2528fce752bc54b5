// Values that a group leaves to those who read them: what is quicker to compute again than to store and to read.
#include <algorithm>
#include <cassert>
#include <optional>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/observe.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/primitive.h"
#include "mlx_core/trace_level.h"

namespace mlx::core {

namespace {

constexpr int64_t worth_it = 1 << 17; // elements: fewer stay in cache, and are read as quickly
constexpr int64_t most_cost = 3;      // of an element: no function pays

// Whether memory holds about as many elements of an array as there are: not where it is broadcast.
bool is_large(const Node* node, int64_t size) {
  int64_t count = 1;
  for (size_t axis = 0; axis < node->shape.size(); ++axis) {
    count *= node->strides[axis] == 0 ? 1 : static_cast<int64_t>(node->shape[axis]);
  }
  return 8 * count > size;
}

} // namespace

// Whether all that refer to a member from outside are steps to come, of this stream, that read it as is asked for, and
// are fewer than when it was put off before.
template <typename Reads>
bool Group::is_read_later_only(const Node* member, Reads&& reads) const {
  Claims::Entry& own = *claims_.find(member);
  int32_t outside = static_cast<int32_t>(member->references.load(std::memory_order_acquire)) - own.uses - own.is_held;
  int32_t found = 0;
  claims_.each_read(member, 256, [&](const Claims::Entry& entry, const array& operand) {
    if (entry.group == id) {
      return true;
    }
    bool as_asked = found < outside && entry.node->stream == stream && reads(entry.node, operand);
    found = as_asked ? found + 1 : -1;
    return as_asked && found < outside;
  });
  if (outside == 0 || found != outside || outside >= own.readers) {
    return false;
  }
  own.readers = outside;
  return true;
}

// The same of steps that put an element around it. What is computed from more arrays than two is read more quickly.
bool Group::is_padded_later(const Member& member) const {
  constexpr int64_t most_cost = 12; // of an element: a function at most
  constexpr size_t most_arrays = 2;
  constexpr int32_t most_readers = 2;
  auto is_there = [this](const Node* node) {
    const Member* other = member_of(node);
    return other ? other->kept && !other->put_off
                 : node->state.load(std::memory_order_acquire) == Node::State::available;
  };
  auto pads_it = [this](const Node* reader, const array& operand) {
    return pads(reader, operand) && is_read_in_groups(claims_, reader);
  };
  const Claims::Entry& entry = *claims_.find(member.node);
  auto references = static_cast<int32_t>(member.node->references.load(std::memory_order_acquire));
  if (references - entry.uses - entry.is_held > most_readers || !is_read_later_only(member.node, pads_it)) {
    return false;
  }
  Recipe recipe;
  std::vector<const void*> arrays;
  if (!recipe.add(
          member.node, member.node->shape, [&](const Node* node) { return node != member.node && is_there(node); })) {
    return false;
  }
  for (const Node* leaf : recipe.leaves) {
    const void* memory = leaf->buffer ? static_cast<const void*>(leaf->buffer.get()) : leaf;
    bool is_new = std::find(arrays.begin(), arrays.end(), memory) == arrays.end();
    if (is_new && (member_of(leaf) || is_large(leaf, size_))) {
      arrays.push_back(memory);
    }
  }
  return recipe.cost <= most_cost && arrays.size() <= most_arrays;
}

// Finds them among the members. Those that the others do not need leave the group.
void Group::put_off(std::vector<array>& held) {
  if (size_ < worth_it || is_eval_op_by_op() || kernels_on(stream).device() != Device::cpu) {
    return;
  }
  struct Values {
    int64_t cost = 0;              // of an element
    std::optional<int32_t> source; // the large one that it is computed from
    bool is_stored = false;        // for it reads several of those, or one that is wider or cannot be read again
    void read(int32_t number) {
      is_stored = is_stored || (source && *source != number);
      source = number;
    }
  };
  std::vector<Values> recipes(members_.size());
  held.reserve(held.size() + members_.size()); // from here on only copying the members takes memory, before they change
  bool any = false;
  auto operands_of = [&](const Member& member) {
    return std::span(edges_).subspan(member.edges, reads_apart(member.role) ? 0 : member.node->operand_count);
  };
  std::vector<bool> is_seen(members_.size()); // from outside, under another shape
  for (size_t i = members_.size(); i-- > 0;) {
    Member& member = members_[i];
    member.kept = needed_outside(member.node) || is_seen[i];
    if (is_alias(member) && member.kept) {
      is_seen[static_cast<size_t>(~edges_[member.edges])] = true;
    }
  }
  for (size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    if (member.role != Role::space) {
      recipes[i].is_stored = reads_apart(member.role) || member.role == Role::space_alias;
      continue;
    }
    bool elementwise = member.node->primitive->eval_kind() == EvalKind::elementwise;
    Values& recipe = recipes[i];
    recipe.cost = elementwise ? cost_of(static_cast<const Elementwise&>(*member.node->primitive).body()) : 1;
    for (int32_t edge : operands_of(member)) {
      if (edge >= 0) {
        const Node* from = sources_[static_cast<size_t>(edge)].node;
        if (is_large(from, size_)) {
          recipe.read(edge);
          recipe.is_stored = recipe.is_stored || from->dtype.size() > member.node->dtype.size();
        }
      } else if (const Member& from = members_[static_cast<size_t>(~edge)]; from.kept && !from.put_off) {
        if (is_of_space(from)) {
          recipe.read(edge);
        }
      } else {
        const Values& part = recipes[static_cast<size_t>(~edge)];
        recipe.cost += part.cost;
        recipe.is_stored = recipe.is_stored || part.is_stored;
        if (part.source) {
          recipe.read(*part.source);
        }
      }
    }
    auto is_in_one_pass = [](const Node* reader, const array& operand) {
      return may_read(reader, operand) || goes_down_columns(reader);
    };
    bool may_be = member.kept && !is_seen[i] && elementwise && !is_traced(*member.node);
    member.put_off =
        may_be && ((recipe.cost <= most_cost && !recipe.is_stored && is_read_later_only(member.node, is_in_one_pass)) ||
                      is_padded_later(member));
    any = any || member.put_off;
  }
  if (!any) {
    return;
  }
  std::vector<bool> stays(members_.size());
  for (size_t i = members_.size(); i-- > 0;) {
    Member& member = members_[i];
    stays[i] = stays[i] || !member.put_off;
    for (int32_t edge : operands_of(member)) {
      if (edge >= 0) {
        continue;
      }
      Member& from = members_[static_cast<size_t>(~edge)];
      stays[static_cast<size_t>(~edge)] = stays[static_cast<size_t>(~edge)] || stays[i];
      if (member.put_off && from.role == Role::space) { // with what it is computed from
        from.put_off = from.put_off || !from.kept;
      } else if (member.put_off) {
        from.kept = true;
      }
    }
    Claims::Entry& entry = *claims_.find(member.node);
    if (member.put_off && !entry.is_held) {
      entry.is_held = true;
      member.node->references.fetch_add(1, std::memory_order_relaxed);
      held.push_back(array::from_node(member.node));
    }
  }
  leave_only(stays);
}

// Of the members those that stay.
void Group::leave_only(const std::vector<bool>& stays) {
  std::vector<Member> all = members_;
  Shape space = shape;
  int32_t same_id = id;
  close();
  for (const Member& member : all) {
    claims_.leave_group(member.node);
  }
  open(same_id, space, stream);
  for (size_t i = 0; i < all.size(); ++i) {
    if (!stays[i]) {
      continue;
    }
    [[maybe_unused]] bool added = add(all[i].node, all[i].role == Role::padded ? Role::padded : role_of(all[i].node));
    assert(added);
    Member& member = members_.back();
    member.kept = all[i].kept;
    member.put_off = all[i].put_off;
    for (uint32_t k = 0; k < member.node->operand_count && member.put_off; ++k) {
      if (int32_t edge = edges_[member.edges + k]; edge >= 0) {
        sources_[static_cast<size_t>(edge)].is_read_again = true;
      }
    }
  }
}

} // namespace mlx::core
