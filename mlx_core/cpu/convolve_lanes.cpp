// Convolutions of one channel a group: many groups side by side, or many positions of one.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/product_kernels.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace

void convolve_lanes(const Windows& w) {
  const ProductKernels& kernels = product_kernels(w.dtype);
  const int64_t size = w.dtype.size(), lanes = w.groups, taps = w.all_taps();
  // A tap's weights side by side.
  BufferRef turned = allocate(static_cast<size_t>(taps * lanes * size));
  const int64_t shape[] = {taps, lanes}, from[] = {1, taps}, to[] = {lanes, 1};
  copy_strided(w.w, from, turned->data, to, shape, w.dtype.size());
  const auto* weights = static_cast<const char*>(turned->data);
  const PerAxis steps{w.in[1] * w.in[2] * lanes, w.in[2] * lanes, lanes};
  const int64_t image = w.in[0] * steps[0];
  const bool widened = w.dtype != w.result;
  Kernel narrow = widened ? find_cast(w.dtype, w.result) : nullptr;
  constexpr int64_t strip = 64; // positions
  const int64_t positions = w.positions();
  parallel_items(ceil_div(positions, strip), strip * lanes * taps, [&](int64_t task) {
    std::vector<const void*> left(static_cast<size_t>(taps)), right(static_cast<size_t>(taps));
    auto* wide = widened ? static_cast<char*>(product_memory(2, lanes * size)) : nullptr;
    for (int64_t position = task * strip; position < std::min(positions, (task + 1) * strip); ++position) {
      const Windows::Place p = w.place(position);
      int64_t count = 0;
      for (int64_t k0 = 0; k0 < w.taps[0]; ++k0) {
        const int64_t i0 = p.first[0] + k0 * w.dilation[0];
        if (i0 < 0 || i0 >= w.in[0]) continue;
        for (int64_t k1 = 0; k1 < w.taps[1]; ++k1) {
          const int64_t i1 = p.first[1] + k1 * w.dilation[1];
          if (i1 < 0 || i1 >= w.in[1]) continue;
          const char* line = w.x + (p.image * image + i0 * steps[0] + i1 * steps[1]) * size;
          for (int64_t k2 = 0; k2 < w.taps[2]; ++k2) {
            const int64_t i2 = p.first[2] + k2 * w.dilation[2];
            if (i2 < 0 || i2 >= w.in[2]) continue;
            left[static_cast<size_t>(count)] = line + i2 * lanes * size;
            right[static_cast<size_t>(count)] = weights + ((k0 * w.taps[1] + k1) * w.taps[2] + k2) * lanes * size;
            ++count;
          }
        }
      }
      char* out = w.y + p.y * w.result.size();
      {
        std::optional<FlushSubnormals> mode;
        if (w.dtype.is_inexact()) mode.emplace();
        kernels.lanes(lanes, count, left.data(), right.data(), widened ? wide : out);
      }
      if (widened) {
        const void* source = wide;
        narrow(&source, out, lanes);
      }
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
        std::memcpy(copied + low * size, source + (begin + low) * size, static_cast<size_t>((high - low) * size));
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
      std::memcpy(out, sums, static_cast<size_t>(count * w.result.size()));
    } else {
      copy_strided(sums, from, out, to, shape, w.result.size());
    }
  });
}

} // namespace mlx::core::cpu
