// Results that are parts of a joined, padded or changed array to come, and read for nothing else, are written where
// they will lie in it: then they are not copied when it is its turn.
#include <algorithm>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

PartIn::PartIn(const Node* whole, const Node* part) : strides(row_major_strides(whole->shape)) {
  if (std::optional<WrittenPart> written = written_part(*whole->primitive)) {
    offset = written->offset_in(strides);
    strides = written->strides_in(strides);
    return;
  }
  const auto axis = static_cast<size_t>(*joined_axis(*whole->primitive));
  for (const array& operand : const_cast<Node*>(whole)->operands()) {
    if (operand.node() == part) {
      break;
    }
    offset += static_cast<int64_t>(operand.shape()[axis]) * strides[axis];
  }
}

// The node of this evaluation that joins a member to others, or pads it, and is its only reader outside of the group;
// or null.
Node* Group::placed_later(const Node* member) const {
  const Claims::Entry& own = *claims_.find(member);
  if (static_cast<int32_t>(member->references.load(std::memory_order_acquire)) - own.uses - own.is_held != 1) {
    return nullptr;
  }
  Node* reader = nullptr;
  claims_.each_read(member, 256, [&](const Claims::Entry& entry, const array&) {
    reader = entry.group < 0 ? entry.node : nullptr;
    return !reader;
  });
  if (!reader || reader->stream != stream) {
    return nullptr;
  }
  bool pays = joined_axis(*reader->primitive) ? pays_to_join(reader) : may_write(reader, member);
  return pays ? reader : nullptr;
}

// Into an array of one element, or one that is there, unless a group is to read the result.
bool Group::may_write(const Node* whole, const Node* part) const {
  if (!written_part(*whole->primitive)) {
    return false;
  }
  const array* operands = const_cast<Node*>(whole)->operand_storage();
  const Node* base = operands[0].node();
  const bool is_there =
      base != part && base->buffer && base->state.load(std::memory_order_acquire) == Node::State::available;
  return operands[1].node() == part && !is_read_in_groups(claims_, whole) && (is_there || pads(whole, operands[1]));
}

// Whether it pays to write a part into new memory, and to copy what is around it; around short lines that is slow.
bool Group::pays_to_write(const Node* whole, const Node* part, int64_t line) const {
  return written_part(*whole->primitive)->is_most_of(whole->shape, part->shape) &&
         (line >= shortest_padded_line || pads(whole, const_cast<Node*>(whole)->operands()[1]));
}

// Not where a group is to read the array piece by piece, and some of these lie elsewhere already.
bool Group::pays_to_join(Node* whole) const {
  int64_t line = 1;
  for (auto i = static_cast<size_t>(*joined_axis(*whole->primitive)); i < whole->shape.size(); ++i) {
    line *= static_cast<int64_t>(whole->shape[i]);
  }
  auto is_to_come = [&](const array& operand) {
    const Claims::Entry* entry = claims_.find(operand.node());
    return entry && operand.node()->primitive->eval_kind() == EvalKind::elementwise;
  };
  return whole->buffer || line < shortest_line ||
         std::all_of(whole->operands().begin(), whole->operands().end(), is_to_come) ||
         !is_read_in_groups(claims_, whole);
}

// Whether a member gets its memory so.
bool Group::place_in_whole(Member& member) {
  constexpr int64_t fewest = 4096;
  static_assert(fewest > most_small); // run_small() knows nothing of this
  Node* node = member.node;
  Node* whole =
      size_ < fewest || !order_.empty() || kernels_on(stream).device() != Device::cpu ? nullptr : placed_later(node);
  if (!whole) {
    return false;
  }
  const PartIn part(whole, node);
  // Lines, which follow each other along one axis or two.
  Sizes sizes = sizes_of(node->shape);
  Strides strides = part.strides;
  collapse(sizes, strides);
  bool has_gaps = sizes.size() > 1;
  if (sizes.empty() || sizes.size() > 3 || strides.back() != 1) {
    return false;
  }
  // Of long rows that are gone through several times, all is read where it was written.
  if (has_gaps && (columns_.any() || (stages_ > 1 && sizes.back() < row_length_))) {
    return false;
  }
  if (!whole->buffer) {
    const Node* base = whole->operands()[0].node();
    bool writes = written_part(*whole->primitive).has_value(), overwrites = writes && may_overwrite(whole, node);
    if (writes && !overwrites && !pays_to_write(whole, node, has_gaps ? sizes.back() : shortest_padded_line)) {
      return false;
    }
    whole->buffer = overwrites ? base->buffer : allocate(bytes_of(size_of(whole->shape), whole->dtype.size()));
    whole->offset = overwrites ? base->offset : 0;
    whole->strides = row_major_strides(whole->shape);
    has_donated_ = has_donated_ || (overwrites && reads_memory_of(base));
  }
  node->buffer = whole->buffer;
  node->offset = whole->offset + part.offset * node->dtype.size();
  node->strides = part.strides;
  node->row_contiguous = !has_gaps;
  FusedPlan::Slot& slot = plan_.slots[static_cast<size_t>(member.slot)];
  slot.lines = !has_gaps           ? FusedPlan::Lines()
               : sizes.size() == 2 ? FusedPlan::Lines{sizes[1], strides[0]}
                                   : FusedPlan::Lines{sizes[2], strides[1], sizes[1], strides[0]};
  return true;
}

} // namespace mlx::core
