// Reductions over other axes than the last, in groups.
#include "mlx_core/eval/fuse.h"
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
    return row >= least_run;
  }
  if (columns.is_reduced(rank - 1)) {
    row *= columns.lengths[--rank - 1];
  }
  int64_t rows = columns.lengths[rank - 2];
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
    int64_t length = shape[i];
    if (length == 1) {
      continue;
    }
    if (!columns.any()) {
      columns.first_is_reduced = reduced;
    }
    if (columns.any() && columns.is_reduced(columns.lengths.size() - 1) == reduced) {
      columns.lengths.back() *= length;
    } else {
      columns.lengths.push_back(length);
    }
  }
  bool trailing = columns.lengths.size() == 2 && !columns.first_is_reduced; // or all of them
  return columns.lengths.size() >= 2 && !trailing && columns_pay(columns) ? columns : FusedPlan::Columns();
}

// Neighbours are reduced quicker this way than by the kernel for any layout; otherwise that is as quick.
bool Group::begins_with_columns(const Node* node) {
  FusedPlan::Columns columns = are_worth_a_plan(node) ? columns_of(node) : FusedPlan::Columns();
  return columns.any() && columns.is_reduced(columns.lengths.size() - 1) && !columns.are_gathered();
}

// Whether a reduction joins, of a member or a source. All of a group go down the same columns, in the same order.
bool Group::takes_columns(const Node* node) const {
  if (row_length_ || !are_worth_a_plan(node)) {
    return false;
  }
  const array& operand = const_cast<Node*>(node)->operands()[0];
  FusedPlan::Columns columns = columns_of(node);
  if (!columns_.any() || !columns.any()) {
    return columns.any();
  }
  auto op_of = [](const Node* n) { return static_cast<const Reduce&>(*n->primitive).op(); };
  return columns == columns_ && is_logical(op_of(node)) == is_logical(op_of(first_fold_)) &&
         operand.dtype() == first_fold_->operands()[0].dtype();
}

} // namespace mlx::core
