// Which convolutions run on tiles.
#include "mlx_core/cpu/tile_instructions.h"
#include "mlx_core/cpu/tile_packing.h"
#include "mlx_core/cpu/tile_windows.h"

namespace mlx::core::cpu {

// Of one image, so that each has the bits it has alone.
bool is_tile_convolution(const Windows& w) {
  const TileInstructions* tiles = w.dtype == float16 ? nullptr : tile_instructions(w.dtype);
  if (!tiles) return false;
  const int64_t positions = w.out[0] * w.out[1] * w.out[2], terms = w.terms(), columns = w.columns;
  const int64_t work = positions * terms * columns;
  if (w.dtype == bfloat16 ? w.groups * work < int64_t{1} << 16 : positions * terms < int64_t{1} << 17) return false;
  // What is multiplied with the zeros that fill tiles. The six products of digits of a float32 take 0.6 of the time of
  // its multiply-add, but as long where a neighbour uses the processor as well: they are used where multiply-add has
  // only one vector of outputs and waits for its operands, or many operands.
  const TileWindows windows(w);
  const double filled = static_cast<double>(windows.steps.size()) * TileShape::terms *
                        static_cast<double>(windows.boxes(w, 0) * windows.boxes(w, 1) * windows.count[0] *
                                            windows.tiles * TileShape::side);
  const int64_t wide = (columns + TileShape::side - 1) / TileShape::side * TileShape::side;
  if (w.dtype == bfloat16) {
    return filled * static_cast<double>(wide) < 3.0 * static_cast<double>(tiles->terms_at_once * work);
  }
  const bool narrow = columns <= TileShape::side && terms >= 128, large = columns >= 256 && terms >= 1024;
  return (narrow || large) && filled < (narrow ? 1.15 : 1.08) * static_cast<double>(positions * terms);
}

void convolve_tiles(const Windows& w) { tile_instructions(w.dtype)->convolve(w, TileWindows(w)); }

} // namespace mlx::core::cpu
