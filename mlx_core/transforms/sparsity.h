// Which elements of a function's outputs depend on which elements of its argument.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx_core/transforms/recording.h"

namespace mlx::core {

// The places of a matrix that may be nonzero, row by row, with ascending columns.
struct Pattern {
  std::vector<int64_t> start{0}; // of each row, and the end
  std::vector<int32_t> columns;
  int64_t column_count = 0;

  int64_t rows() const { return static_cast<int64_t>(start.size()) - 1; }
  std::span<const int32_t> row(int64_t i) const {
    auto at = static_cast<size_t>(i);
    return {columns.data() + start[at], static_cast<size_t>(start[at + 1] - start[at])};
  }
  void add_row(std::span<const int32_t> entries) {
    columns.insert(columns.end(), entries.begin(), entries.end());
    start.push_back(static_cast<int64_t>(columns.size()));
  }
};
Pattern transposed(const Pattern& pattern);
// The pattern and its transpose together.
Pattern symmetric(const Pattern& pattern);

// Of the only output by the only primal of a recording. It is never too small: operations are followed by the elements
// they move, by the axes they contract, or as if every output depended on everything.
Pattern sparsity_of(const Recording& recording);

} // namespace mlx::core
