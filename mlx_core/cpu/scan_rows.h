// Running sums, products and extrema along rows that lie side by side, as many at once as a vector has lanes.
#pragma once

#include <cstdint>

#include "mlx_core/backend/body.h"
#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Of one vectorful of rows, pitches in elements. From its first element, which is the last in memory when backwards, a
// row has n; sums begin anew after each `block`, and what the blocks in front add up to is carried in float64.
struct RowsToScan {
  const void* in;
  int64_t in_pitch;
  void* out;
  int64_t out_pitch;
  int64_t n, block;
  bool backwards;
};
struct ScanRows {
  int64_t rows = 0; // at once; 0: there is no such kernel
  void (*run)(const RowsToScan& rows, const void* identity) = nullptr;
};
ScanRows find_scan_rows(ScanOp op, Dtype dtype);

} // namespace mlx::core::cpu
