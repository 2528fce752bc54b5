// What a convolution is done in: windows over operands in order, without input dilation, and the ways to sum them up.
#pragma once

#include <array>
#include <vector>

#include "mlx_core/cpu/convolve.h"

namespace mlx::core::cpu {

inline constexpr size_t window_axes = 3;
using PerAxis = std::array<int64_t, window_axes>;

struct Windows {
  Dtype dtype; // of x and w: what is multiplied
  int64_t batch, groups;
  int64_t channels, columns; // of a group: summed, and of the output
  PerAxis in, out, taps, stride, low, dilation;
  // x lies (groups, batch, axes..., channels) row-major; `by_lanes`: (batch, axes..., groups), of one channel each;
  // is_long(): (groups, channels, axes..., batch).
  const char* x;
  // (groups, columns, taps..., channels) row-major; `by_lanes`: (taps..., groups);
  // is_long(): (groups, channels, taps..., columns)
  const char* w;
  Dtype result;
  char* y; // (batch, axes..., groups, columns), positions y_step apart
  int64_t y_batch;
  PerAxis y_step;
  bool by_lanes;

  int64_t positions() const { return batch * out[0] * out[1] * out[2]; }
  int64_t all_taps() const { return taps[0] * taps[1] * taps[2]; }
  int64_t terms() const { return all_taps() * channels; }
  // Where the output of a position lies, and where its window begins.
  struct Place {
    int64_t image;
    PerAxis first;
    int64_t y;
  };
  Place place(int64_t position) const {
    Place p{};
    for (size_t d = window_axes; d-- > 0;) {
      int64_t o = position % out[d];
      position /= out[d];
      p.first[d] = o * stride[d] - low[d];
      p.y += o * y_step[d];
    }
    p.image = position;
    p.y += position * y_batch;
    return p;
  }
  // Neighbouring positions of one line of the output: place() of the first of them, and how many they are.
  struct Stretch {
    Place place;
    int64_t count;
  };
  // Whether positions in row-major order are one after another in y.
  bool uniform() const {
    return y_step[2] == groups * columns && y_step[1] == y_step[2] * out[2] && y_step[0] == y_step[1] * out[1] &&
           y_batch == y_step[0] * out[0];
  }
};

// The sums of `count` rows of `length` numbers that are `apart`, in order. Of float32, float64 and complex numbers.
void add_rows(Dtype dtype, const void* rows, int64_t count, int64_t apart, int64_t length, void* out);

// Windows read where they lie times the weights: of floats, where a line has some positions.
bool reads_windows(const Windows& windows);
void convolve_windows(const Windows& windows);
// Rows of patches times the weights.
void convolve_patches(const Windows& windows);
// The windows of positions, one after another.
void write_windows(const Windows& windows, int64_t group, const std::vector<Windows::Stretch>& positions, char* to);
// By instructions on tiles, where the processor has them: x and w of float32 or bfloat16, as the result.
bool is_tile_convolution(const Windows& windows);
void convolve_tiles(const Windows& windows);
// One channel a group, and one output: neighbouring groups side by side.
void convolve_lanes(const Windows& windows);
// One channel a group, stride 1, few outputs: neighbouring positions side by side.
void convolve_lines(const Windows& windows);
// Few outputs, of many taps each: lines of the input times lines of the taps.
bool is_long(const Windows& windows);
void convolve_long(const Windows& windows);
// Such ones of bfloat16 that are products on tiles: x and w lie as for is_long(), in the dtype of the result.
bool is_shifted(const Windows& windows);
void convolve_shifted(const Windows& windows);

// The NaN of a convolution, computed again without terms that are not there, and with c.zero_terms those of a factor 0.
void mend_convolution(const Convolution& c);

} // namespace mlx::core::cpu
