// Results that are parts of a joined array to come, and read for nothing else, are written where they will lie in it:
// then nothing is left to be copied when it is their turn to be joined.
#include <algorithm>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// The node of this evaluation that joins a member to others and is its only reader outside of the group; or null.
Node* Group::joined_later(const Node* member) const {
  const Claims::Entry& own = *claims_.find(member);
  if (static_cast<int32_t>(member->references.load(std::memory_order_acquire)) - own.uses - own.is_held != 1) {
    return nullptr;
  }
  Node* reader = nullptr;
  claims_.each_read(member, 256, [&](const Claims::Entry& entry, const array&) {
    reader = entry.group < 0 ? entry.node : nullptr;
    return !reader;
  });
  bool joins = reader && reader->stream == stream && joined_axis(*reader->primitive) && pays_to_join(reader);
  return joins ? reader : nullptr;
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
      size_ < fewest || !order_.empty() || kernels_on(stream).device() != Device::cpu ? nullptr : joined_later(node);
  if (!whole) {
    return false;
  }
  auto axis = static_cast<size_t>(*joined_axis(*whole->primitive));
  int64_t before = 0, line = 1;
  for (const array& operand : whole->operands()) {
    if (operand.node() == node) {
      break;
    }
    before += operand.shape()[axis];
  }
  for (size_t i = axis; i < node->shape.size(); ++i) {
    line *= static_cast<int64_t>(node->shape[i]);
  }
  bool has_gaps = line != size_;
  // Of long rows that are gone through several times, all is read where it was written.
  if (has_gaps && (columns_.any() || (stages_ > 1 && line < row_length_))) {
    return false;
  }
  Strides strides = row_major_strides(whole->shape);
  if (!whole->buffer) {
    whole->buffer = allocate(bytes_of(size_of(whole->shape), whole->dtype.size()));
    whole->offset = 0;
    whole->strides = strides;
  }
  node->buffer = whole->buffer;
  node->offset = before * strides[axis] * node->dtype.size();
  node->strides = strides;
  node->row_contiguous = !has_gaps;
  FusedPlan::Slot& slot = plan_.slots[static_cast<size_t>(member.slot)];
  slot.line = has_gaps ? line : 0;
  slot.apart = has_gaps ? static_cast<int64_t>(whole->shape[axis]) * strides[axis] : 0;
  return true;
}

} // namespace mlx::core
