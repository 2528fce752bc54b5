// See tile_windows.h.
#include "mlx_core/cpu/tile_windows.h"

#include <algorithm>

#include "mlx_core/cpu/tile_packing.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t most_numbers = 128 << 10; // of a digit
constexpr int64_t task_work = int64_t{1} << 24;
constexpr int64_t most_columns = 256, least_columns = 64; // of a task

int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

} // namespace

TileWindows::TileWindows(const Windows& w) {
  halves = w.channels % TileShape::terms == 0;
  together = halves ? TileShape::terms : w.channels, parts = w.channels / together;
  const int64_t lead = std::max<int64_t>(0, w.low[2]);
  const int64_t reach2 = (w.out[2] - 1) * w.stride[2] + (w.taps[2] - 1) * w.dilation[2] + 1;
  // The zeros before a line are those behind the line before it.
  pitch = std::max({std::min(w.low[2] + w.in[2], reach2), reach2 - lead, w.out[2] * w.stride[2]});
  pitch = round_up(pitch, w.stride[2]), line_outputs = pitch / w.stride[2];
  for (size_t d = 0; d < 2; ++d) count[d] = w.out[d];
  columns = std::min(w.columns, most_columns);
  // Of images one by one, so that nothing depends on how many they are.
  for (measure(w);; measure(w)) {
    const int64_t rows = count[0] * count[1] * w.out[2];
    const bool large = parts * part() > most_numbers;
    if (!large && rows * columns * w.terms() <= task_work) break;
    if (!large && columns >= 2 * least_columns && columns >= rows / 2) {
      columns = round_up((columns + 1) / 2, TileShape::block);
    } else if (count[0] > 1) {
      count[0] = (count[0] + 1) / 2;
    } else if (count[1] > 1 && (large || rows >= 2 * TileShape::block)) {
      count[1] = (count[1] + 1) / 2;
    } else {
      break;
    }
  }
  for (int64_t part = 0; part < parts; ++part) {
    for (int64_t k0 = 0; k0 < w.taps[0]; ++k0) {
      for (int64_t k1 = 0; k1 < w.taps[1]; ++k1) {
        const int64_t line = (k0 * w.dilation[0] * layer + line_at(w, k1 * w.dilation[1])) * pitch;
        const int64_t taps = w.dilation[2] == 1 ? w.taps[2] : 1; // those that are neighbours
        for (int64_t k2 = 0; k2 < w.taps[2]; k2 += taps) {
          const int64_t at = part * this->part() + (line + k2 * w.dilation[2]) * together;
          const int64_t term = ((k0 * w.taps[1] + k1) * w.taps[2] + k2) * w.channels + part * together;
          for (int64_t i = 0; i < taps * together; i += TileShape::terms) {
            steps.push_back({at + i, term + (halves ? i / together * w.channels : i),
                std::min(TileShape::terms, taps * together - i)});
          }
        }
      }
    }
  }
  // Also rows that are no positions read what is there.
  int64_t last = 0;
  for (const Step& step : steps) last = std::max(last, step.at);
  plane = std::max(parts * part(),
      tile_at(w, count[0] * tiles - 1) + (TileShape::side - 1) * w.stride[2] * together + last + TileShape::terms);
}

void TileWindows::measure(const Windows& w) {
  for (size_t d = 0; d < 2; ++d) reach[d] = (count[d] - 1) * w.stride[d] + (w.taps[d] - 1) * w.dilation[d] + 1;
  lines = (reach[1] + w.stride[1] - 1) / w.stride[1], layer = lines * w.stride[1];
  tiles = ((count[1] - 1) * line_outputs + w.out[2] + TileShape::side - 1) / TileShape::side;
}

} // namespace mlx::core::cpu
