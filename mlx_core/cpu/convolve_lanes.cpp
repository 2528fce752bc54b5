// Convolutions of one channel a group: many groups side by side, or many positions of one.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/product_kernels.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t most_lane_taps = 128; // of a block

} // namespace

void convolve_lanes(const Windows& w) {
  const ProductKernels& kernels = product_kernels(w.dtype);
  const int64_t size = w.dtype.size(), lanes = w.groups, taps = w.all_taps(), positions = w.positions();
  const PerAxis steps{w.in[1] * w.in[2] * lanes, w.in[2] * lanes, lanes};
  const int64_t image = w.in[0] * steps[0];
  const bool direct = w.dtype == w.result;
  Kernel narrow = direct ? nullptr : find_cast(w.dtype, w.result);
  // Long windows, which derivatives by weights have, are added up in blocks of equally many taps: what all positions
  // read of one is near. Bits depend on how many those are.
  const int64_t blocks = w.dtype.is_inexact() ? ceil_div(taps, most_lane_taps) : 1;
  const int64_t strip = blocks == 1 ? 64 : positions; // positions of a task
  const int64_t strips = ceil_div(positions, strip);
  BufferRef partial;
  if (blocks > 1) partial = allocate(static_cast<size_t>(blocks * positions * lanes * size));
  parallel_items(blocks * strips, strip * lanes * ceil_div(taps, blocks), [&](int64_t task) {
    const int64_t block = task / strips, first_tap = block * taps / blocks, end_tap = (block + 1) * taps / blocks;
    const int64_t first_line = first_tap / w.taps[2], end_line = ceil_div(end_tap, w.taps[2]);
    std::vector<const void*> left(static_cast<size_t>(end_tap - first_tap)), right(left.size());
    auto* wide = direct || blocks > 1 ? nullptr : static_cast<char*>(product_memory(2, strip * lanes * size));
    const int64_t first = task % strips * strip, end = std::min(positions, first + strip);
    for (int64_t position = first, places; position < end; position += places) {
      if (blocks > 1) throw_if_interrupted();
      const Windows::Place p = w.place(position);
      // Those behind it along the line whose windows stick out no more than this one does, which is not at all.
      places = 1;
      if (const int64_t room = w.in[2] - 1 - (w.taps[2] - 1) * w.dilation[2] - p.first[2];
          p.first[2] >= 0 && room >= 0) {
        places = std::min({end - position, w.out[2] - position % w.out[2], room / w.stride[2] + 1});
      }
      size_t count = 0;
      for (int64_t line = first_line; line < end_line; ++line) {
        const int64_t i0 = p.first[0] + line / w.taps[1] * w.dilation[0],
                      i1 = p.first[1] + line % w.taps[1] * w.dilation[1];
        if (i0 < 0 || i0 >= w.in[0] || i1 < 0 || i1 >= w.in[1]) continue;
        const char* x = w.x + (p.image * image + i0 * steps[0] + i1 * steps[1] + p.first[2] * lanes) * size;
        // The taps along it whose places are there.
        const int64_t at = line * w.taps[2], step = w.dilation[2];
        const int64_t low = std::max(first_tap - at, p.first[2] < 0 ? ceil_div(-p.first[2], step) : 0);
        const int64_t high =
            std::min({end_tap - at, w.taps[2], p.first[2] < w.in[2] ? ceil_div(w.in[2] - p.first[2], step) : 0});
        for (int64_t k = low; k < high; ++k, ++count) {
          left[count] = x + k * step * lanes * size;
          right[count] = w.w + (at + k) * lanes * size;
        }
      }
      char* out = blocks > 1 ? static_cast<char*>(partial->data) + (block * positions + position) * lanes * size
                  : direct   ? w.y + p.y * size
                             : wide;
      {
        std::optional<FlushSubnormals> mode;
        if (w.dtype.is_inexact()) mode.emplace();
        kernels.lanes(lanes, static_cast<int64_t>(count), left.data(), right.data(), places, w.stride[2] * lanes, out,
            blocks == 1 && direct ? w.y_step[2] : lanes);
      }
      for (int64_t i = 0; blocks == 1 && !direct && i < places; ++i) {
        const void* source = wide + i * lanes * size;
        narrow(&source, w.y + (p.y + i * w.y_step[2]) * w.result.size(), lanes);
      }
    }
  });
  if (blocks == 1) return;
  parallel_items(positions, lanes * blocks, [&](int64_t position) {
    char* to = w.y + w.place(position).y * w.result.size();
    char* out = direct ? to : static_cast<char*>(product_memory(2, lanes * size));
    add_rows(w.dtype, static_cast<const char*>(partial->data) + position * lanes * size, blocks, positions * lanes,
        lanes, out);
    if (!direct) {
      const void* source = out;
      narrow(&source, to, lanes);
    }
  });
}

// A line of inputs is read as the matrix of its windows: row k begins k * dilation elements further on.
void convolve_lines(const Windows& w) {
  const ProductKernels& kernels = product_kernels(w.dtype);
  const int64_t size = w.dtype.size(), taps = w.taps[2], terms = w.terms(), lines = w.taps[0] * w.taps[1];
  constexpr int64_t strip = 2048, block_terms = 256;
  const int64_t strips = ceil_div(w.out[2], strip), rows = w.batch * w.out[0] * w.out[1];
  const int64_t line_length = w.in[2], image = w.in[0] * w.in[1] * line_length;
  const bool direct = w.dtype == w.result;
  Kernel narrow = direct ? nullptr : find_cast(w.dtype, w.result);
  parallel_items(w.groups * rows * strips, std::min(strip, w.out[2]) * terms, [&](int64_t job) {
    const int64_t group = job / (rows * strips), first = job % strips * strip,
                  count = std::min(strip, w.out[2] - first);
    const Windows::Place p = w.place(job / strips % rows * w.out[2] + first);
    auto* sums = static_cast<char*>(product_memory(2, w.columns * count * size));
    bool add = false;
    for (int64_t line = 0; line < lines; ++line) {
      const int64_t i0 = p.first[0] + line / w.taps[1] * w.dilation[0],
                    i1 = p.first[1] + line % w.taps[1] * w.dilation[1];
      if (i0 < 0 || i0 >= w.in[0] || i1 < 0 || i1 >= w.in[1]) continue;
      const char* source = w.x + ((group * w.batch + p.image) * image + (i0 * w.in[1] + i1) * line_length) * size;
      for (int64_t tap = 0; tap < taps; tap += block_terms) {
        throw_if_interrupted();
        const int64_t length = std::min(block_terms, taps - tap), begin = p.first[2] + tap * w.dilation[2];
        const int64_t read = count + (length - 1) * w.dilation[2], whole = read + kernels.width;
        auto* copied = static_cast<char*>(product_memory(0, whole * size));
        const int64_t low = std::clamp<int64_t>(-begin, 0, read),
                      high = std::clamp<int64_t>(line_length - begin, low, read);
        std::memset(copied, 0, static_cast<size_t>(low * size));
        copy_contiguous(copied + low * size, source + (begin + low) * size, static_cast<size_t>((high - low) * size));
        std::memset(copied + high * size, 0, static_cast<size_t>((whole - high) * size));
        std::optional<FlushSubnormals> mode;
        if (w.dtype.is_inexact()) mode.emplace();
        kernels.tiles(w.columns, count, length, w.w + (group * w.columns * terms + line * taps + tap) * size, terms, 1,
            copied, w.dilation[2], kernels.width, false, nullptr, sums, count, 1, add);
        add = true;
      }
    }
    if (!add) std::memset(sums, 0, static_cast<size_t>(w.columns * count * size));
    if (!direct) {
      auto* narrowed = static_cast<char*>(product_memory(1, w.columns * count * w.result.size()));
      const void* from = sums;
      narrow(&from, narrowed, w.columns * count);
      sums = narrowed;
    }
    const int64_t shape[] = {w.columns, count}, from[] = {count, 1}, to[] = {1, w.y_step[2]};
    char* out = w.y + (p.y + group * w.columns) * w.result.size();
    if (w.columns == 1 && w.y_step[2] == 1) {
      copy_contiguous(out, sums, static_cast<size_t>(count * w.result.size()));
    } else {
      copy_strided(sums, from, out, to, shape, w.result.size());
    }
  });
}

} // namespace mlx::core::cpu
