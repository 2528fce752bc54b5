// Convolutions whose windows are read where they lie: neighbouring positions of a line are rows of a product that begin
// a step apart, and a window's terms are a few stretches of lines. Lines are copied only where windows stick out of
// them.
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
#include "mlx_core/cpu/window_tiles.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t wanted_tasks = 16, task_work = int64_t{1} << 18;
constexpr int64_t most_copied = 256 << 10, most_sums = 1 << 20; // bytes of a task
constexpr int64_t few_positions = 8, few_channels = 8;
constexpr int64_t fewest_positions = 5; // where lines of zeros are left out of windows
constexpr int64_t least_rows = 28;      // of a task: all weights of its columns are read for them
constexpr int64_t few_terms = 64;       // worth copying into tiles of several lines where these are short
constexpr int64_t few_places = 192;     // and an image has fewer positions

// Positions along each axis from `first` on, `count` of them, and the elements of the input that their windows reach.
struct Range {
  int64_t first, count, from, reach;
};

class Reading {
 public:
  explicit Reading(const Windows& w)
      : w_(w),
        size_(w.dtype.size()),
        steps_{w.in[1] * w.in[2] * w.channels, w.in[2] * w.channels, w.channels},
        joined_(w.dilation[2] == 1 || w.taps[2] == 1) {
    count_ = w.out;
    // Boxes of positions: small enough that copied lines stay near, and that there are several for each thread.
    auto tasks = [&] { return boxes(0) * boxes(1) * boxes(2) * w.batch * w.groups; };
    auto sums = [&] { return count_[0] * count_[1] * count_[2] * w.columns; };
    const int64_t rows = window_tiles(w.dtype).rows;
    while (copied_bytes() > most_copied || sums() * size_ > most_sums ||
           (tasks() < wanted_tasks && sums() * w.terms() > 2 * task_work && sums() >= 2 * least_rows * w.columns)) {
      if (count_[0] > 1) {
        count_[0] = ceil_div(count_[0], 2);
      } else if (count_[1] > 1) {
        count_[1] = ceil_div(count_[1], 2);
      } else if (count_[2] > 4 * rows) {
        count_[2] = ceil_div(ceil_div(count_[2], 2), rows) * rows;
      } else {
        break;
      }
    }
  }

  int64_t work() const { return count_[0] * count_[1] * count_[2] * w_.terms() * w_.columns; }
  int64_t tasks() const { return w_.groups * w_.batch * boxes(0) * boxes(1) * boxes(2); }

  // The lines of the box of this task.
  class Box {
   public:
    Box(const Reading& r, int64_t task) : r_(r), w_(r.w_) {
      for (size_t d = window_axes; d-- > 0; task /= r.boxes(d)) range[d] = r.range(d, task % r.boxes(d));
      image = task % w_.batch, group = task / w_.batch;
      line_ = range[2].reach * w_.channels;
      x_ = w_.x + (group * w_.batch + image) * w_.in[0] * r.steps_[0] * r.size_;
      if (range[2].from >= 0 && range[2].from + range[2].reach <= w_.in[2]) {
        steps_ = {r.steps_[0], r.steps_[1]};
        x_ += range[2].from * w_.channels * r.size_;
        return;
      }
      for (size_t d = 0; d < 2; ++d) {
        low_[d] = std::clamp<int64_t>(range[d].from, 0, w_.in[d]);
        high_[d] = std::clamp<int64_t>(range[d].from + range[d].reach, low_[d], w_.in[d]);
      }
      steps_ = {(high_[1] - low_[1]) * line_, line_};
      copy();
    }

    // What the windows of output line (o0, o1) have of terms [first, first + count): parts, from x() on.
    void parts(int64_t o0, int64_t o1, int64_t first, int64_t count, std::vector<WindowPart>& to) const {
      const int64_t run = w_.taps[2] * w_.channels, at_once = r_.joined_ ? run : w_.channels;
      for (int64_t at = first, end = first + count; at < end;) {
        const int64_t line = at / run, tap = at % run / at_once, begin = at % at_once,
                      length = std::min(at_once - begin, end - at);
        const int64_t i0 = o0 * w_.stride[0] - w_.low[0] + line / w_.taps[1] * w_.dilation[0];
        const int64_t i1 = o1 * w_.stride[1] - w_.low[1] + line % w_.taps[1] * w_.dilation[1];
        if (i0 >= 0 && i0 < w_.in[0] && i1 >= 0 && i1 < w_.in[1]) {
          to.push_back(
              {(i0 - low_[0]) * steps_[0] + (i1 - low_[1]) * steps_[1] + tap * w_.dilation[2] * w_.channels + begin,
                  at - first, length});
        }
        at += length;
      }
    }
    const char* x() const { return x_; }
    int64_t y(int64_t o0, int64_t o1) const {
      return image * w_.y_batch + o0 * w_.y_step[0] + o1 * w_.y_step[1] + range[2].first * w_.y_step[2] +
             group * w_.columns;
    }

    std::array<Range, window_axes> range;
    int64_t image, group;

   private:
    void copy() {
      const int64_t lines = (high_[0] - low_[0]) * (high_[1] - low_[1]), size = r_.size_;
      auto* to = static_cast<char*>(product_memory(0, std::max<int64_t>(1, lines * line_ * size)));
      const int64_t low = std::clamp<int64_t>(-range[2].from, 0, range[2].reach) * w_.channels * size;
      const int64_t high = std::clamp<int64_t>((w_.in[2] - range[2].from) * w_.channels * size, low, line_ * size);
      const char* from = x_ + range[2].from * w_.channels * size;
      x_ = to;
      for (int64_t i0 = low_[0]; i0 < high_[0]; ++i0) {
        for (int64_t i1 = low_[1]; i1 < high_[1]; ++i1, to += line_ * size) {
          const char* line = from + (i0 * r_.steps_[0] + i1 * r_.steps_[1]) * size;
          std::memset(to, 0, static_cast<size_t>(low));
          copy_contiguous(to + low, line + low, static_cast<size_t>(high - low));
          std::memset(to + high, 0, static_cast<size_t>(line_ * size - high));
        }
      }
    }

    const Reading& r_;
    const Windows& w_;
    int64_t line_;
    const char* x_;
    std::array<int64_t, 2> low_{}, high_{}, steps_{};
  };

 private:
  int64_t boxes(size_t d) const { return ceil_div(w_.out[d], count_[d]); }
  Range range(size_t d, int64_t box) const {
    const int64_t first = box * count_[d], count = std::min(count_[d], w_.out[d] - first);
    return {first, count, first * w_.stride[d] - w_.low[d],
        (count - 1) * w_.stride[d] + (w_.taps[d] - 1) * w_.dilation[d] + 1};
  }
  int64_t copied_bytes() const {
    const int64_t reach = (w_.out[2] - 1) * w_.stride[2] + (w_.taps[2] - 1) * w_.dilation[2] + 1;
    if (w_.low[2] <= 0 && reach - w_.low[2] <= w_.in[2]) return 0;
    int64_t bytes = w_.channels * size_;
    for (size_t d = 0; d < window_axes; ++d) bytes *= std::min(range(d, 0).reach, d < 2 ? w_.in[d] : range(d, 0).reach);
    return bytes;
  }

  const Windows& w_;
  int64_t size_;
  PerAxis steps_, count_;
  bool joined_;
};

} // namespace

bool reads_windows(const Windows& w) {
  const int64_t least = w.low[0] > 0 || w.low[1] > 0 ? fewest_positions : few_positions;
  const int64_t image = w.out[0] * w.out[1] * w.out[2];
  return w.dtype.is_inexact() && w.out[2] >= least &&
         (w.terms() >= few_terms || w.out[2] >= least_rows || image >= few_places) &&
         (w.dilation[2] == 1 || w.taps[2] == 1 || w.channels >= few_channels);
}

void convolve_windows(const Windows& w) {
  const ProductKernels& kernels = product_kernels(w.dtype);
  const WindowTiles& tiles = window_tiles(w.dtype);
  const PackedWeights weights(w, kernels);
  const int64_t size = w.dtype.size(), width = kernels.width;

  const bool direct = w.dtype == w.result;
  Kernel narrow = direct ? nullptr : find_cast(w.dtype, w.result);
  const Reading reading(w);
  // Columns are divided where boxes are too few.
  const int64_t wanted = std::min(ceil_div(wanted_tasks, reading.tasks()), reading.work() / task_work);
  const int64_t strip = ceil_div(weights.columns() / width, std::max<int64_t>(1, wanted)) * width,
                strips = ceil_div(weights.columns(), strip);
  parallel_for(reading.tasks() * strips, [&](int64_t task) {
    const Reading::Box box(reading, task / strips);
    const int64_t first_column = task % strips * strip, end_column = std::min(w.columns, first_column + strip);
    const auto [r0, r1, r2] = box.range;
    const int64_t lines = r0.count * r1.count, row = direct ? w.y_step[2] : w.columns;
    char* sums = direct ? w.y : static_cast<char*>(product_memory(2, lines * r2.count * w.columns * size));
    // Where the sums of a line of the box are.
    auto sums_of = [&](int64_t line) {
      return sums + size * (direct ? box.y(r0.first + line / r1.count, r1.first + line % r1.count)
                                   : line * r2.count * w.columns);
    };
    std::vector<WindowPart> parts;
    std::vector<size_t> ends;
    for (int64_t block = 0; block < weights.blocks(); ++block) {
      throw_if_interrupted();
      parts.clear(), ends.clear();
      for (int64_t line = 0; line < lines; ++line) {
        box.parts(
            r0.first + line / r1.count, r1.first + line % r1.count, weights.first(block), weights.length(block), parts);
        ends.push_back(parts.size());
      }
      FlushSubnormals mode;
      for (int64_t column = first_column; column < end_column; column += width) {
        const char* panel = weights.panel(box.group, block, column);
        for (int64_t line = 0; line < lines; ++line) {
          const auto at = static_cast<size_t>(line);
          const size_t first = line == 0 ? 0 : ends[at - 1];
          tiles.tiles(r2.count, std::min(width, w.columns - column), static_cast<int64_t>(ends[at] - first),
              parts.data() + first, box.x(), w.stride[2] * w.channels, 1, panel, width, sums_of(line) + column * size,
              row, block > 0);
        }
      }
    }
    if (direct) return;
    for (int64_t line = 0; line < lines; ++line) {
      char* to = w.y + box.y(r0.first + line / r1.count, r1.first + line % r1.count) * w.result.size();
      for (int64_t i = 0; i < r2.count; ++i) {
        const void* from = sums_of(line) + (i * w.columns + first_column) * size;
        narrow(&from, to + (i * w.y_step[2] + first_column) * w.result.size(), end_column - first_column);
      }
    }
  });
}

} // namespace mlx::core::cpu
