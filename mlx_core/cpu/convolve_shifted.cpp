// Convolutions of bfloat16 with few outputs and long windows, which derivatives by weights are, as products: input and
// weights lie in frames of one size, with zeros around them, so that an output is the product of all positions of the
// one, shifted, and all of the other.
#include <algorithm>
#include <cstring>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/tile_instructions.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t size = 2; // of a number

PerAxis frame_of(const Windows& w) {
  PerAxis frame{};
  for (size_t d = 0; d < window_axes; ++d) frame[d] = w.out[d] + w.taps[d] - 1;
  return frame;
}
int64_t terms_of(const Windows& w) {
  const PerAxis frame = frame_of(w);
  return w.channels * frame[0] * frame[1] * frame[2];
}

// Lines (channels, axes..., width) in frames, the first number of an axis at `low`; zeros elsewhere and for `rest`
// more.
BufferRef framed(const char* from, int64_t channels, const PerAxis& sizes, const PerAxis& low, const PerAxis& frame,
    int64_t width, int64_t rest) {
  const int64_t line = frame[2] * width * size, all = channels * frame[0] * frame[1];
  BufferRef memory = allocate(static_cast<size_t>(all * line + rest * width * size));
  auto* data = static_cast<char*>(memory->data);
  std::memset(data + all * line, 0, static_cast<size_t>(rest * width * size));
  const int64_t begin = std::clamp<int64_t>(low[2], 0, frame[2]), end = std::clamp(low[2] + sizes[2], begin, frame[2]);
  parallel_items(all, frame[2] * width, [&](int64_t i) {
    const int64_t channel = i / (frame[0] * frame[1]), i0 = i / frame[1] % frame[0] - low[0],
                  i1 = i % frame[1] - low[1];
    char* to = data + i * line;
    if (i0 < 0 || i0 >= sizes[0] || i1 < 0 || i1 >= sizes[1]) {
      std::memset(to, 0, static_cast<size_t>(line));
      return;
    }
    const char* source = from + ((channel * sizes[0] + i0) * sizes[1] + i1) * sizes[2] * width * size;
    std::memset(to, 0, static_cast<size_t>(begin * width * size));
    copy_contiguous(to + begin * width * size, source + (begin - low[2]) * width * size,
        static_cast<size_t>((end - begin) * width * size));
    std::memset(to + end * width * size, 0, static_cast<size_t>((frame[2] - end) * width * size));
  });
  return memory;
}

} // namespace

bool is_shifted(const Windows& w) {
  if (w.result != bfloat16 || w.groups != 1 || w.batch < 16) return false;
  if (w.all_taps() < 4 * w.out[0] * w.out[1] * w.out[2]) return false;
  for (size_t d = 0; d < window_axes; ++d) {
    if (w.stride[d] != 1 || w.dilation[d] != 1) return false;
  }
  // Zeros are multiplied, too, and the left operand lies by columns: that takes quick products.
  const int64_t terms = terms_of(w);
  const TileInstructions* tiles = tile_instructions(bfloat16, w.batch, w.columns, terms);
  return tiles && tiles->terms_at_once >= 8 && terms <= 2 * w.terms();
}

void convolve_shifted(const Windows& w) {
  const PerAxis frame = frame_of(w);
  const int64_t terms = terms_of(w), farthest = ((w.out[0] - 1) * frame[1] + w.out[1] - 1) * frame[2] + w.out[2] - 1;
  const BufferRef x = framed(w.x, w.channels, w.in, w.low, frame, w.batch, farthest);
  const BufferRef weights = framed(w.w, w.channels, w.taps, {}, frame, w.columns, 0);
  // Outputs along a line, each with the batch, are rows of one product.
  const int64_t rows = w.out[2] * w.batch;
  const BufferRef results = allocate(static_cast<size_t>(rows * w.columns * size));
  for (int64_t place = 0; place < w.out[0] * w.out[1]; ++place) {
    const int64_t o0 = place / w.out[1], o1 = place % w.out[1], shift = (o0 * frame[1] + o1) * frame[2];
    gemm(bfloat16, 1, rows, w.columns, terms, {static_cast<const char*>(x->data) + shift * w.batch * size, 1, w.batch},
        0, {weights->data, w.columns, 1}, 0, results->data);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t at = i % w.batch * w.y_batch + o0 * w.y_step[0] + o1 * w.y_step[1] + i / w.batch * w.y_step[2];
      copy_contiguous(w.y + at * size, static_cast<const char*>(results->data) + i * w.columns * size,
          static_cast<size_t>(w.columns * size));
    }
  }
}

} // namespace mlx::core::cpu
