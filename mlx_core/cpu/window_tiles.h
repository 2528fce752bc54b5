// Products of windows that are read where they lie and weights, compiled once per instruction set.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Terms of each window that lie evenly: `length` of them, the first `from` elements behind the window's own beginning,
// which meet the weights from row `row` on.
struct WindowPart {
  int64_t from, row, length;
};

struct WindowTiles {
  int rows; // of a tile
  // y[i * y_row + j] = (or += where `add`) the sum over parts, and terms p of each, in that order, of
  // x[i * x_row + from + p * x_step] * weights[row + p, j], for i < m and j < n, at most a panel of columns. `row_step`
  // elements are between the rows of weights. They lie as pack() of the dtype's ProductKernels wrote them, or where
  // they are: real ones that fill a panel, or half of one at most where the ProductKernels read tails.
  void (*tiles)(int64_t m, int64_t n, int64_t count, const WindowPart* parts, const void* x, int64_t x_row,
      int64_t x_step, const void* weights, int64_t row_step, void* y, int64_t y_row, bool add);
};

// Floating and complex ones.
const WindowTiles& window_tiles(Dtype dtype);

} // namespace mlx::core::cpu
