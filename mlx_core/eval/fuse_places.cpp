// Results that are parts of a joined or padded array to come, and read for nothing else, are written where they will
// lie in it: then they are not copied when it is its turn.
#include <algorithm>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

// Where the elements of an operand begin in an array of which they are a part, along each axis.
Sizes first_in(const Node* whole, const Node* part) {
  if (std::optional<WrittenPart> written = written_part(*whole->primitive)) {
    return sizes_of(written->start);
  }
  Sizes first(whole->shape.size(), 0);
  const auto axis = static_cast<size_t>(*joined_axis(*whole->primitive));
  for (const array& operand : const_cast<Node*>(whole)->operands()) {
    if (operand.node() == part) {
      break;
    }
    first[axis] += static_cast<int64_t>(operand.shape()[axis]);
  }
  return first;
}

} // namespace

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
  bool pays = joined_axis(*reader->primitive)
                  ? pays_to_join(reader)
                  : reader->operand_count == 2 && reader->operands()[1].node() == member &&
                        pads(reader, reader->operands()[1]) && 2 * size_of(member->shape) >= size_of(reader->shape) &&
                        !is_read_in_groups(claims_, reader);
  return pays ? reader : nullptr;
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
  const Sizes first = first_in(whole, node), sizes = sizes_of(node->shape), sizes_of_whole = sizes_of(whole->shape);
  const Strides strides = row_major_strides(whole->shape);
  // Lines, and the axis along which they follow each other: along those before it there must be no gaps.
  int64_t line = 1, offset = 0;
  size_t d = sizes.size();
  do {
    line *= sizes[--d];
  } while (d > 0 && sizes[d] == sizes_of_whole[d]);
  for (size_t i = 1; i < d; ++i) {
    if (sizes[i] != sizes_of_whole[i]) {
      return false;
    }
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    offset += first[i] * strides[i];
  }
  bool has_gaps = line != size_;
  // Of long rows that are gone through several times, all is read where it was written.
  if (has_gaps && (columns_.any() || (stages_ > 1 && line < row_length_))) {
    return false;
  }
  if (!whole->buffer) {
    whole->buffer = allocate(bytes_of(size_of(whole->shape), whole->dtype.size()));
    whole->offset = 0;
    whole->strides = strides;
  }
  node->buffer = whole->buffer;
  node->offset = offset * node->dtype.size();
  node->strides = strides;
  node->row_contiguous = !has_gaps;
  FusedPlan::Slot& slot = plan_.slots[static_cast<size_t>(member.slot)];
  slot.line = has_gaps ? line : 0;
  slot.apart = has_gaps ? strides[d - 1] : 0;
  return true;
}

} // namespace mlx::core
