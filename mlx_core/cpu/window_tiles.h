// Products of windows that are read where they lie and weights, compiled once per instruction set.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Terms that lie side by side in each window: `length` of them, `from` elements behind a window's first, which meet the
// weights from row `row` on.
struct WindowPart {
  int64_t from, row, length;
};

struct WindowTiles {
  int rows; // of a tile
  // y[i * y_row + j] = (or += where `add`) the sum over parts, and terms p of each, in that order, of
  // x[i * x_row + from + p] * weights[row + p, j], for i < m and j < n. The weights lie as pack() of the same dtype's
  // ProductKernels wrote them, at most a panel of columns.
  void (*tiles)(int64_t m, int64_t n, int64_t count, const WindowPart* parts, const void* x, int64_t x_row,
      const void* weights, void* y, int64_t y_row, bool add);
};

// float32 and float64.
const WindowTiles& window_tiles(Dtype dtype);

} // namespace mlx::core::cpu
