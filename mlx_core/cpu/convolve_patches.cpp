// Convolutions as products: the windows of a block of positions, one after another in a row each, times the weights.
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/packed_weights.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t most_rows = 112, least_rows = 24, most_columns = 512; // of a task
constexpr int64_t wanted_tasks = 16, task_work = int64_t{1} << 18;
constexpr int64_t line =
    16; // elements that rows begin at multiples of: odd ones, so that they do not meet in the same lines of the cache

class Patches {
 public:
  explicit Patches(const Windows& w)
      : w_(w),
        size_(w.dtype.size()),
        terms_(w.terms()),
        run_(w.taps[2] * w.channels),
        adjacent_(w.dilation[2] == 1 || w.taps[2] == 1),
        steps_{w.in[1] * w.in[2] * w.channels, w.in[2] * w.channels, w.channels},
        image_(w.in[0] * steps_[0]) {}

  // Terms [from, from + count) of the windows of these positions, in rows `pitch` apart.
  void write(int64_t group, const std::vector<Windows::Stretch>& stretches, int64_t from, int64_t count, char* to,
      int64_t pitch) const {
    const char* x = w_.x + group * w_.batch * image_ * size_;
    for (int64_t at = from, end = from + count; at < end;) {
      const int64_t line = at / run_, begin = at % run_, length = std::min(run_ - begin, end - at);
      const int64_t k0 = line / w_.taps[1] * w_.dilation[0], k1 = line % w_.taps[1] * w_.dilation[1];
      char* row = to + (at - from) * size_;
      for (const auto& [p, positions] : stretches) {
        const int64_t i0 = p.first[0] + k0, i1 = p.first[1] + k1;
        if (i0 < 0 || i0 >= w_.in[0] || i1 < 0 || i1 >= w_.in[1]) {
          for (int64_t i = 0; i < positions; ++i) {
            std::memset(row + i * pitch * size_, 0, static_cast<size_t>(length * size_));
          }
        } else {
          const char* source = x + (p.image * image_ + i0 * steps_[0] + i1 * steps_[1]) * size_;
          if (adjacent_) {
            copy_runs(source, p.first[2] * w_.channels + begin, positions, length, row, pitch * size_);
          } else {
            for (int64_t i = 0; i < positions; ++i) {
              copy_taps(source, p.first[2] + i * w_.stride[2], begin, length, row + i * pitch * size_);
            }
          }
        }
        row += positions * pitch * size_;
      }
      at += length;
    }
  }

 private:
  // For each of some positions, elements [first, first + length) of a line, zeros where it has none. `first` grows with
  // the position, so those whose window sticks out are at the ends.
  void copy_runs(const char* line, int64_t first, int64_t positions, int64_t length, char* to, int64_t pitch) const {
    const int64_t step = w_.stride[2] * w_.channels, last = steps_[1] - length;
    int64_t low = 0, high = positions;
    while (low < high && first + low * step < 0) ++low;
    while (high > low && first + (high - 1) * step > last) --high;
    for (int64_t i = 0; i < low; ++i) copy_run(line, first + i * step, length, to + i * pitch);
    copy_rows(high - low, length * size_, line + (first + low * step) * size_, step * size_, to + low * pitch, pitch);
    for (int64_t i = high; i < positions; ++i) copy_run(line, first + i * step, length, to + i * pitch);
  }
  // Elements [first, first + length) of a line, zeros where it has none.
  void copy_run(const char* line, int64_t first, int64_t length, char* to) const {
    const int64_t low = std::clamp<int64_t>(-first, 0, length);
    const int64_t high = std::clamp<int64_t>(steps_[1] - first, low, length);
    if (low > 0) std::memset(to, 0, static_cast<size_t>(low * size_));
    copy_contiguous(to + low * size_, line + (first + low) * size_, static_cast<size_t>((high - low) * size_));
    if (high < length) std::memset(to + high * size_, 0, static_cast<size_t>((length - high) * size_));
  }
  void copy_taps(const char* line, int64_t first, int64_t begin, int64_t length, char* to) const {
    for (int64_t at = begin, end = begin + length; at < end;) {
      const int64_t tap = at / w_.channels, channel = at % w_.channels,
                    count = std::min(w_.channels - channel, end - at);
      const int64_t i = first + tap * w_.dilation[2];
      if (i < 0 || i >= w_.in[2]) {
        std::memset(to, 0, static_cast<size_t>(count * size_));
      } else {
        copy_contiguous(to, line + (i * w_.channels + channel) * size_, static_cast<size_t>(count * size_));
      }
      to += count * size_, at += count;
    }
  }

  const Windows& w_;
  int64_t size_, terms_, run_;
  bool adjacent_;
  PerAxis steps_;
  int64_t image_;
};

} // namespace

void write_windows(const Windows& w, int64_t group, const std::vector<Windows::Stretch>& positions, char* to) {
  Patches(w).write(group, positions, 0, w.terms(), to, w.terms());
}

void convolve_patches(const Windows& w) {
  const ProductKernels& kernels = product_kernels(w.dtype);
  const PackedWeights weights(w, kernels);
  const int64_t size = w.dtype.size(), terms = w.terms(), positions = w.positions();

  const int64_t strips = ceil_div(w.columns, most_columns);
  const int64_t strip = ceil_div(ceil_div(w.columns, strips), kernels.width) * kernels.width;
  int64_t rows = std::clamp(ceil_div(positions * w.groups * strips, wanted_tasks), least_rows, most_rows);
  rows = ceil_div(rows, kernels.rows) * kernels.rows;
  const int64_t steps = ceil_div(positions, rows), jobs = w.groups * steps * strips;
  const int64_t per_task =
      std::max<int64_t>(1, task_work / std::max<int64_t>(1, rows * terms * std::min(strip, w.columns)));
  const bool direct = w.uniform() && w.dtype == w.result;
  const int64_t all_columns = w.groups * w.columns;
  const Patches patches(w);
  parallel_for(ceil_div(jobs, per_task), [&](int64_t task) {
    std::vector<Windows::Stretch> stretches;
    for (int64_t job = task * per_task; job < std::min(jobs, (task + 1) * per_task); ++job) {
      const int64_t group = job / (steps * strips), first = job / strips % steps * rows, column = job % strips * strip;
      const int64_t count = std::min(rows, positions - first), columns = std::min(strip, w.columns - column);
      if (columns <= 0) continue;
      stretches.clear();
      for (int64_t i = 0; i < count; i += stretches.back().count) {
        stretches.push_back({w.place(first + i), std::min(count - i, w.out[2] - (first + i) % w.out[2])});
      }
      const int64_t pitch = (ceil_div(weights.longest(), line) | 1) * line, at_column = group * w.columns + column;
      auto* lines = static_cast<char*>(product_memory(0, count * pitch * size));
      char* out = w.y + (stretches[0].place.y + at_column) * size;
      int64_t out_row = all_columns;
      if (!direct) out = static_cast<char*>(product_memory(2, count * columns * size)), out_row = columns;
      for (int64_t block = 0; block < weights.blocks(); ++block) {
        if (block > 0) throw_if_interrupted();
        const int64_t length = weights.length(block);
        patches.write(group, stretches, weights.first(block), length, lines, pitch);
        std::optional<FlushSubnormals> mode;
        if (w.dtype.is_inexact()) mode.emplace();
        kernels.tiles(count, columns, length, lines, pitch, 1, weights.panel(group, block, column), kernels.width,
            kernels.width * length, true, nullptr, out, out_row, 1, block > 0);
      }
      if (direct) continue;
      Kernel narrow = w.dtype == w.result ? nullptr : find_cast(w.dtype, w.result);
      const char* row = out;
      for (const auto& [place, places] : stretches) {
        for (int64_t i = 0; i < places; ++i, row += columns * size) {
          const void* from = row;
          char* to = w.y + (place.y + i * w.y_step[2] + at_column) * w.result.size();
          if (narrow) {
            narrow(&from, to, columns);
          } else {
            copy_contiguous(to, from, static_cast<size_t>(columns * size));
          }
        }
      }
    }
  });
}

} // namespace mlx::core::cpu
