// How windows are read by tiles: the lines of the input that a box of positions needs lie one after another, in digits
// and with the zeros around them, so that neighbouring positions, also those of neighbouring lines, begin a step apart
// and 32 terms of a window are one row of a tile.
#pragma once

#include <vector>

#include "mlx_core/cpu/convolve_pieces.h"

namespace mlx::core::cpu {

class TileWindows {
 public:
  explicit TileWindows(const Windows& w);

  // Terms of all windows that lie together: `length` of them, 32 at most, from `term` on in the weights; `at` numbers
  // behind the window's beginning in memory.
  struct Step {
    int64_t at, term, length;
  };
  std::vector<Step> steps;
  // Channels that lie together, and how many such parts there are. Where `halves`, steps begin at multiples of 32.
  int64_t together, parts;
  bool halves;

  // Of a box: positions along the first two axes and the lines that their windows reach. With steps along the second
  // axis lines of one remainder lie together: `lines` of each.
  int64_t count[2], reach[2], lines;
  int64_t pitch;        // positions of a line in memory
  int64_t line_outputs; // positions of the output from a line to the next
  int64_t tiles;        // of 16 positions, for each position along the first axis
  int64_t layer;        // lines for each place along the first axis
  int64_t plane;        // numbers of a digit
  int64_t columns;      // of a task

  int64_t boxes(const Windows& w, size_t d) const { return (w.out[d] + count[d] - 1) / count[d]; }
  int64_t strips(const Windows& w) const { return (w.columns + columns - 1) / columns; }
  // Where a line along the second axis is, in lines.
  int64_t line_at(const Windows& w, int64_t i) const { return i % w.stride[1] * lines + i / w.stride[1]; }
  // Where the windows of 16 positions begin.
  int64_t tile_at(const Windows& w, int64_t tile) const {
    return (tile / tiles * w.stride[0] * layer * pitch + tile % tiles * 16 * w.stride[2]) * together;
  }

 private:
  void measure(const Windows& w);
  int64_t part() const { return reach[0] * layer * pitch * together; }
};

} // namespace mlx::core::cpu
