// Reductions over other axes than the last, in groups.
#include "mlx_core/eval/fuse.h"

#include <algorithm>

#include "mlx_core/ops/reduce.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

namespace {

// Elements that follow one another in memory and go together through the steps and into the accumulators: with too few
// of them, calls cost more than a pass over memory. The host's way of going through them is in cpu/fused_columns.cpp.
bool columns_pay(const FusedPlan::Columns& columns) {
  constexpr int64_t least_run = 256, most_joined = 256;
  size_t rank = columns.lengths.size();
  int64_t row = columns.lengths[rank - 1];
  if (columns.are_gathered()) {
    constexpr int64_t shortest = 16; // of the rows of several results
    return row >= least_run || (row >= shortest && row * columns.lengths[rank - 2] >= least_run);
  }
  if (columns.is_reduced(rank - 1)) {
    row *= columns.lengths[--rank - 1];
  }
  int64_t rows = columns.lengths[rank - 2] * (columns.are_small_groups() ? columns.lengths[0] : 1);
  return row >= least_run || (row <= most_joined && row * rows >= least_run);
}

bool are_worth_a_plan(const Node* reduction) {
  constexpr int64_t enough = 4096; // elements
  return size_of(const_cast<Node*>(reduction)->operands()[0].shape()) >= enough &&
         kernels_on(reduction->stream).device() == Device::cpu;
}

bool is_logical(Reduction op) { return op == Reduction::all || op == Reduction::any; }

} // namespace

FusedPlan::Columns columns_of(const Node* reduction) {
  const Axes& axes = static_cast<const Reduce&>(*reduction->primitive).axes();
  const Shape& shape = const_cast<Node*>(reduction)->operands()[0].shape();
  FusedPlan::Columns columns;
  size_t next = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    bool reduced = next < axes.size() && axes[next] == static_cast<int>(i);
    next += reduced;
    if (int64_t length = shape[i]; length != 1) {
      columns.add(length, reduced);
    }
  }
  bool trailing = columns.lengths.size() == 2 && !columns.first_is_reduced; // or all of them
  return columns.lengths.size() >= 2 && !trailing ? columns : FusedPlan::Columns();
}

// Neighbours are reduced quicker this way than by the kernel for any layout; otherwise that is as quick.
bool Group::begins_with_columns(const Node* node) {
  FusedPlan::Columns columns = are_worth_a_plan(node) ? columns_of(node) : FusedPlan::Columns();
  return columns.any() && columns.is_reduced(columns.lengths.size() - 1) && !columns.are_gathered() &&
         columns_pay(columns);
}

bool Group::goes_down_columns(const Node* node) {
  bool reduces = node->primitive->eval_kind() == EvalKind::reduction;
  FusedPlan::Columns columns = reduces ? columns_of(node) : FusedPlan::Columns();
  return columns.any() && columns_pay(columns);
}

// Whether a member is broadcast along the axes that are reduced: the host then reduces few of its elements.
bool Group::is_broadcast(size_t number, const FusedPlan::Columns& along) const {
  constexpr int64_t enough = 1 << 14; // elements
  enum : uint8_t { constant, broadcast, other };
  uint8_t kinds[most_members] = {};
  auto kind_of = [&](const FusedPlan::Source& source) -> uint8_t {
    return source.layout == FusedPlan::Layout::scalar ? constant : source.broadcast_axes() == along ? broadcast : other;
  };
  for (size_t m = 0; m <= number && size_ >= enough; ++m) {
    const Node* node = members_[m].node;
    if (members_[m].role == Role::pieces) {
      kinds[m] = node->primitive->keeps_order() ? kind_of(repeated_source(node)) : other;
      continue;
    }
    if (members_[m].role == Role::padded) {
      kinds[m] = other;
      continue;
    }
    for (uint32_t i = 0; i < node->operand_count; ++i) {
      int32_t edge = edges_[members_[m].edges + i];
      if (edge < 0) {
        kinds[m] = std::max(kinds[m], kinds[~edge]);
        continue;
      }
      const Source& source = sources_[static_cast<size_t>(edge)];
      const Node& read = *source.node;
      kinds[m] = std::max(
          kinds[m], kind_of(source_of(read.shape, read.strides, read.row_contiguous, size_, source.reader->shape)));
    }
  }
  return kinds[number] == broadcast;
}

// Whether a reduction joins, of a member or a source. All of a group go down the same columns, in the same order.
bool Group::takes_columns(const Node* node) const {
  if (row_length_ || !are_worth_a_plan(node)) {
    return false;
  }
  const array& operand = const_cast<Node*>(node)->operands()[0];
  FusedPlan::Columns columns = columns_of(node);
  if (!columns_.any() || !columns.any()) {
    const Claims::Entry* entry = claims_.find(operand.node());
    bool is_member = entry && entry->group == id;
    return columns.any() &&
           (columns_pay(columns) || (is_member && is_broadcast(static_cast<size_t>(entry->slot), columns)));
  }
  auto op_of = [](const Node* n) { return static_cast<const Reduce&>(*n->primitive).op(); };
  return columns == columns_ && is_logical(op_of(node)) == is_logical(op_of(first_fold_)) &&
         operand.dtype() == first_fold_->operands()[0].dtype();
}

} // namespace mlx::core
