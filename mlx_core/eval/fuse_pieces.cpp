// Members of a group that only put other arrays together: joined arrays, and what is padded with one element. Where the
// group alone reads them they get no memory, and are read piece by piece.
#include <algorithm>
#include <cstdlib>

#include "mlx_core/eval/fuse.h"
#include "mlx_core/eval/small_values.h"
#include "mlx_core/ops/moves.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

using Piece = FusedPlan::Piece;

// The boxes of the space that the operands fill; none where it is not such a node.
std::vector<Piece> pieces_of(const Node* node) {
  std::vector<Piece> pieces;
  auto operands = const_cast<Node*>(node)->operands();
  size_t rank = node->shape.size();
  auto add = [&](const array& operand) -> Piece& {
    return pieces.emplace_back(
        Piece{0, Sizes(rank, 0), sizes_of(operand.shape()), Strides(rank, 1), operand.node()->strides, 0});
  };
  if (std::optional<int> axis = joined_axis(*node->primitive)) {
    int64_t first = 0;
    for (const array& operand : operands) {
      Piece& piece = add(operand);
      piece.first[static_cast<size_t>(*axis)] = first;
      first += piece.count[static_cast<size_t>(*axis)];
    }
  } else if (std::optional<WrittenPart> part = written_part(*node->primitive)) {
    add(operands[0]);
    Piece& piece = add(operands[1]);
    for (size_t d = 0; d < rank; ++d) {
      piece.first[d] = part->start[d];
      piece.steps[d] = part->strides[d];
      if (piece.steps[d] < 0) { // the same box from its other end
        int64_t last = piece.count[d] - 1;
        piece.first[d] += last * piece.steps[d];
        piece.offset += last * piece.strides[d];
        piece.steps[d] = -piece.steps[d], piece.strides[d] = -piece.strides[d];
      }
    }
  }
  return pieces;
}

constexpr int64_t steps_in_line = 2; // between neighbours in memory, where reading is quick

// Whether the operand's elements, in order, have no strides over the node's shape, and are quick to read: those of
// tiled and repeated arrays.
bool reads_under_another_shape(const Node* node) {
  const Node& operand = *const_cast<Node*>(node)->operands()[0].node();
  if (!operand.buffer || operand.row_contiguous) {
    return false;
  }
  Sizes sizes = sizes_of(operand.shape);
  Strides strides = operand.strides;
  if (reshaped_strides(sizes, strides, sizes_of(node->shape))) {
    return false;
  }
  collapse(sizes, strides);
  return !sizes.empty() && std::abs(strides.back()) <= steps_in_line;
}

} // namespace

void collapse(Sizes& sizes, std::vector<Piece>& pieces) {
  for (size_t d = sizes.size() - 1; d-- > 0;) {
    int64_t inner = sizes[d + 1];
    bool merge = std::all_of(pieces.begin(), pieces.end(), [&](const Piece& p) {
      bool follow = p.count[d] == 1 || p.strides[d] == p.strides[d + 1] * inner;
      return p.count[d + 1] == inner && p.steps[d + 1] == 1 && p.steps[d] == 1 && follow;
    });
    if (!merge) {
      continue;
    }
    auto drop = [&](auto& values, size_t axis) { values.erase(values.begin() + static_cast<ptrdiff_t>(axis)); };
    for (Piece& p : pieces) {
      p.first[d] *= inner, p.count[d] *= inner;
      drop(p.first, d + 1), drop(p.count, d + 1), drop(p.steps, d + 1), drop(p.strides, d);
    }
    sizes[d] *= inner;
    drop(sizes, d + 1);
  }
}

bool Group::has_pieces(const Node* node) {
  constexpr int64_t fewest = 4096;    // elements: shorter lines are brought together more quickly all at once
  static_assert(fewest > most_small); // run_small() knows nothing of this
  constexpr int64_t shortest_padded = 64;
  constexpr size_t most_pieces = 8;
  const Primitive& primitive = *node->primitive;
  bool writes = written_part(primitive).has_value(), keeps_order = primitive.keeps_order();
  if ((!writes && !keeps_order && !joined_axis(primitive)) || node->operand_count > most_pieces || node->buffer ||
      size_of(node->shape) < fewest || kernels_on(node->stream).device() != Device::cpu) {
    return false;
  }
  if (keeps_order) {
    return reads_under_another_shape(node);
  }
  auto operands = const_cast<Node*>(node)->operands();
  if (writes && !is_one_element(operands[0].shape(), operands[0].node()->strides)) {
    return false;
  }
  bool quick = std::all_of(operands.begin(), operands.end(), [](const array& operand) {
    return size_of(operand.shape()) > 0 && std::abs(operand.node()->strides.back()) <= steps_in_line;
  });
  if (!quick) {
    return false;
  }
  FusedPlan::Source source{FusedPlan::Layout::pieces, sizes_of(node->shape), {}, pieces_of(node)};
  collapse(source.sizes, source.pieces);
  return source.sizes.back() >= (source.is_padded() ? shortest_padded : shortest_line);
}

// Of a member that is its operand under another shape.
FusedPlan::Source Group::repeated_source(const Node* node) {
  const Node& operand = *const_cast<Node*>(node)->operands()[0].node();
  FusedPlan::Source source{FusedPlan::Layout::strided, sizes_of(operand.shape), operand.strides, {}};
  mlx::core::collapse(source.sizes, source.strides);
  return source;
}

// Sources of the plan for the members that are pieces. Such a member that others need, too, is computed, and read as
// any source.
void Group::plan_pieces(Kernels& kernels) {
  for (Member& member : members_) {
    if (member.role == Role::padded) {
      plan_padded(member);
    }
    if (member.role != Role::pieces) {
      continue;
    }
    Node* node = member.node;
    member.slot = static_cast<int32_t>(plan_.slots.size());
    plan_.slots.push_back({node->dtype, false, -1});
    FusedPlan::Source& source = plan_.sources.emplace_back();
    source_views_.emplace_back();
    if (needed_outside(node)) {
      node->references.fetch_add(1, std::memory_order_relaxed);
      array self = array::from_node(node);
      node->primitive->eval(node->operands(), std::span<array>(&self, 1), kernels);
      source.layout = FusedPlan::Layout::flat;
    } else if (node->primitive->keeps_order()) {
      source = repeated_source(node);
    } else {
      source.layout = FusedPlan::Layout::pieces;
      source.sizes = sizes_of(shape);
      source.pieces = pieces_of(node);
      collapse(source.sizes, source.pieces);
    }
  }
  for (const Member& member : members_) {
    if (member.role != Role::pieces) {
      continue;
    }
    auto slot = static_cast<size_t>(member.slot);
    if (plan_.sources[slot].layout == FusedPlan::Layout::flat) {
      refer_to(member.node, source_views_[slot]);
      continue;
    }
    std::span<array> operands = member.node->operands();
    refer_to(operands[0].node(), source_views_[slot]);
    if (plan_.sources[slot].layout == FusedPlan::Layout::strided) {
      continue;
    }
    plan_.sources[slot].pieces[0].view = static_cast<uint16_t>(slot);
    for (size_t k = 1; k < operands.size(); ++k) {
      plan_.sources[slot].pieces[k].view = static_cast<uint16_t>(source_views_.size());
      refer_to(operands[k].node(), source_views_.emplace_back());
    }
  }
  for (auto& [slot, inside] : insides_) {
    plan_.sources[slot].pieces[1].view = static_cast<uint16_t>(source_views_.size());
    source_views_.push_back(std::move(inside));
  }
  insides_.clear();
}

} // namespace mlx::core
