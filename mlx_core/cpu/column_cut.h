// How a space is cut where axes other than the last are reduced: a row is what follows one another in memory, and rows
// are joined element by element, with the lanes and blocks of reduce_kernels.h.
#pragma once

#include <cstdint>

#include "mlx_core/backend/fused_plan.h"

namespace mlx::core::cpu {

struct ReduceKernels;

struct ColumnCut {
  // The last axis is reduced, and no such neighbours: its elements are brought together with those that come after them
  // in the reduction, a block at a time. Then `row` is that axis, and `outer` the number of results, of which those of
  // `neighbours`, whose rows follow one another, go some `abreast`.
  bool gathered = false;
  int64_t abreast = 1, neighbours = 1;
  bool small_groups = false;          // of rows, which are gone through as they lie, of `neighbours` some `abreast`
  int64_t row = 1;                    // elements: columns, each of `adjacent` reduced elements side by side
  int64_t adjacent = 1;               // a power of two that divides the lanes
  int64_t lanes = 1;                  // that rows go to in turn
  int64_t rows = 1;                   // that are reduced together
  int64_t following = 1;              // of them, that follow one another
  int64_t outer = 1;                  // groups of rows
  bool joined = false;                // all lanes have accumulators, side by side; else a lane is done after another
  int64_t width = 1, strips = 1;      // of a row
  int64_t block_rows = 1, blocks = 1; // of the rows
  int64_t parts = 1;                  // of a block's lanes: every parts-th is one, in a unit of its own
  Sizes kept, kept_apart;             // axes before the row's, and how far the elements of each are apart
  Sizes reduced, reduced_apart;

  // Cuts a space whose folds have `lanes` lanes.
  void cut(const FusedPlan::Columns& columns, int64_t lanes_of_fold);
  int64_t units() const { return outer / neighbours * groups() * strips * blocks * parts; }
  int64_t groups() const { return (neighbours + abreast - 1) / abreast; } // of neighbours
  bool is_whole() const { return blocks * parts == 1; }                   // a unit gives results
  int64_t columns_of_row() const { return gathered ? 1 : row; }
  int64_t accumulators() const; // elements of a thread's, for each fold
  int64_t width_of(int64_t strip) const { return strip + 1 < strips ? width : row - strip * width; }
  int64_t rows_of(int64_t block) const { return block + 1 < blocks ? block_rows : rows - block * block_rows; }
};

} // namespace mlx::core::cpu
