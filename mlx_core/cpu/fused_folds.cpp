// Reductions of whole rows in fused plans, and plans that are no more than these and what is done with the results.
#include <algorithm>

#include "mlx_core/cpu/bound_plan.h"
#include "mlx_core/cpu/reduce_rows.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

// Whether rows of memory are reduced and nothing else is done with their elements: then what is done with the results
// is done for many rows at once.
bool BoundPlan::only_folds_rows() const {
  const FusedPlan& plan = *plan_;
  return plan.row_length > 1 && plan.steps.empty() && plan.rows() >= 4 * thread_count() &&
         std::all_of(plan.folds.begin(), plan.folds.end(), [&](const FusedPlan::Fold& fold) {
           return fold.input < plan.sources.size() && plan.sources[fold.input].layout == FusedPlan::Layout::flat;
         });
}

// A reduction of whole rows.
void BoundPlan::fold_rows(const Working& w, size_t number, int64_t rows) const {
  const FusedPlan::Fold& fold = plan_->folds[number];
  const RowReducer& reducer = reducers_[number];
  const int64_t length = plan_->row_length, size = places_[fold.input].item_size;
  const char* in = w.at[fold.input];
  char* out = w.rows_at[fold.output];
  if (length <= tile_size) {
    return reduce_rows(find_reduce_kernels(fold.op, fold.from), static_cast<int>(size), places_[fold.output].item_size,
        in, length, length * size, rows, out);
  }
  for (int64_t row = 0; row < rows; ++row, in += length * size, out += places_[fold.output].item_size) {
    for (int64_t part = 0; part < parts_; ++part) {
      const int64_t at = part * tile_size;
      reducer.block(in + at * size, std::min(tile_size, length - at), w.partials + part * reducer.partial_size);
    }
    reducer.finish(w.partials, parts_, out);
  }
}

} // namespace mlx::core::cpu
