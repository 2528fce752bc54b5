// Convolutions of few outputs whose windows are long: what derivatives by weights are. No windows are written out: a
// line of the input is read as the matrix whose rows are the places that a tap has in the windows, and several lines
// are added up in registers.
#include <algorithm>
#include <cstring>
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
#include "mlx_core/cpu/window_tiles.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// Terms added up before they join the sum. Bits depend on it, as on how the taps' lines are divided.
constexpr int64_t most_terms = 128;
constexpr int64_t most_columns = 128; // of a task
constexpr int64_t wanted_tasks = 16, task_work = int64_t{1} << 18;
constexpr int64_t long_line = 48, near_sums = 32 << 10, near_lines = 8 << 10; // terms; bytes
constexpr int64_t most_sums = int64_t{1} << 18;                               // elements of all partial results

// Elements of a line that all windows together reach over.
int64_t reach_of(const Windows& w) { return (w.out[2] - 1) * w.stride[2] + (w.taps[2] - 1) * w.dilation[2] + 1; }
// Rows of a product: outputs along a line, each with the batch, where these are neighbours.
int64_t rows_at_once(const Windows& w) { return w.stride[2] == 1 ? w.out[2] * w.batch : w.batch; }

// Lines of the input, `pitch` elements apart, that begin with what the first window reads.
class InputLines {
 public:
  explicit InputLines(const Windows& w) : data_(w.x), pitch_(w.in[2] * w.batch) {
    const int64_t size = w.dtype.size(), element = w.batch * size, reach = reach_of(w);
    if (w.low[2] <= 0 && reach - w.low[2] <= w.in[2]) {
      data_ -= w.low[2] * element;
      return;
    }
    pitch_ = reach * w.batch;
    const int64_t lines = w.groups * w.channels * w.in[0] * w.in[1];
    filled_ = allocate(static_cast<size_t>(lines * pitch_ * size));
    const int64_t low = std::clamp<int64_t>(w.low[2], 0, reach);
    const int64_t high = std::clamp<int64_t>(w.in[2] + w.low[2], low, reach);
    parallel_items(lines, pitch_, [&](int64_t i) {
      char* to = static_cast<char*>(filled_->data) + i * pitch_ * size;
      std::memset(to, 0, static_cast<size_t>(low * element));
      copy_contiguous(to + low * element, w.x + (i * w.in[2] + low - w.low[2]) * element,
          static_cast<size_t>((high - low) * element));
      std::memset(to + high * element, 0, static_cast<size_t>((reach - high) * element));
    });
    data_ = static_cast<const char*>(filled_->data);
  }
  const char* data() const { return data_; }
  int64_t pitch() const { return pitch_; }

 private:
  BufferRef filled_;
  const char* data_;
  int64_t pitch_;
};

// Lines of taps as the right operand of products.
struct TapLines {
  TapLines(const Windows& w, const ProductKernels& kernels)
      : data(w.w),
        size(w.dtype.size()),
        width(kernels.width),
        row(w.columns),
        pitch(w.taps[2] * w.columns),
        panel_stride(kernels.width),
        packed(w.dtype.is_complex() || w.columns % width > (kernels.reads_tail ? width / 2 : 0)) {
    if (!packed) return;
    const int64_t columns = ceil_div(w.columns, width) * width, from = pitch;
    const int64_t lines = w.groups * w.channels * w.taps[0] * w.taps[1];
    pitch = w.taps[2] * columns, row = width, panel_stride = width * w.taps[2];
    order = allocate(static_cast<size_t>(lines * pitch * size));
    data = static_cast<const char*>(order->data);
    parallel_items(lines, pitch, [&](int64_t i) {
      kernels.pack(w.taps[2], w.columns, w.w + i * from * size, w.columns, 1,
          static_cast<char*>(order->data) + i * pitch * size);
    });
  }
  const char* at(int64_t column) const { return data + column / width * panel_stride * size; }
  int64_t row_of(int64_t line, int64_t tap) const { return line * (pitch / row) + tap; }

  BufferRef order;
  const char* data;
  int64_t size, width;
  int64_t row, pitch, panel_stride; // elements between taps, lines and panels
  bool packed;
};

} // namespace

bool is_long(const Windows& w) {
  const int64_t rows = rows_at_once(w);
  if (!w.dtype.is_inexact() || w.taps[2] < 8 || rows < 8 || w.columns < 4 || reach_of(w) > 2 * w.in[2] + 64 ||
      w.all_taps() < 4 * w.out[0] * w.out[1] * w.out[2]) {
    return false;
  }
  // Sums are read and written once for each line: they should be near, or lines long.
  return w.taps[2] >= long_line || rows * std::min(w.columns, most_columns) * w.dtype.size() <= near_sums;
}

void convolve_long(const Windows& w) {
  const ProductKernels& kernels = product_kernels(w.dtype);
  const WindowTiles& tiles = window_tiles(w.dtype);
  const InputLines input(w);
  const TapLines taps(w, kernels);
  const int64_t size = w.dtype.size(), rows = w.out[2] * w.batch, columns = w.columns;
  const int64_t lines = w.channels * w.taps[0] * w.taps[1], places = w.out[0] * w.out[1];
  const int64_t strips = ceil_div(columns, most_columns), tasks = w.groups * places * strips;
  const int64_t strip = ceil_div(ceil_div(columns, strips), kernels.width) * kernels.width;
  const int64_t sums = w.groups * places * rows * columns;
  // Where the results are small, the taps' lines are divided, too; that shapes alone decide.
  int64_t parts = std::min({ceil_div(wanted_tasks, tasks), lines, std::max<int64_t>(1, most_sums / sums)});
  parts = std::clamp<int64_t>(parts, 1, std::max<int64_t>(1, sums * lines * w.taps[2] / task_work));
  BufferRef memory = allocate(static_cast<size_t>(parts * sums * size));
  auto* partial = static_cast<char*>(memory->data);

  parallel_for(parts * tasks, [&](int64_t task) {
    const int64_t part = task / tasks, group = task / (places * strips) % w.groups, place = task / strips % places,
                  column = task % strips * strip, width = std::min(strip, columns - column);
    if (width <= 0) return;
    char* out = partial + (((part * w.groups + group) * places + place) * rows * columns + column) * size;
    for (int64_t r = 0; r < rows; ++r) {
      std::memset(out + r * columns * size, 0, static_cast<size_t>(width * size));
    }
    const int64_t o0 = place / w.out[1] * w.stride[0] - w.low[0], o1 = place % w.out[1] * w.stride[1] - w.low[1];
    const int64_t at_once = rows_at_once(w);
    // Lines are joined as long as what is read of the input stays near.
    const int64_t most_joined = std::clamp(near_lines / (w.batch * size), std::min(w.taps[2], most_terms), most_terms);
    std::vector<WindowPart> parts_here;
    int64_t terms_here = 0;
    FlushSubnormals mode;
    auto add_up = [&] {
      for (int64_t row = 0; row < rows; row += at_once) {
        const char* x = input.data() + row * w.stride[2] * size;
        for (int64_t j = 0; j < width; j += kernels.width) {
          tiles.tiles(at_once, std::min<int64_t>(kernels.width, width - j), static_cast<int64_t>(parts_here.size()),
              parts_here.data(), x, 1, w.dilation[2] * w.batch, taps.at(column + j), taps.row,
              out + (row * columns + j) * size, columns, true);
        }
      }
      parts_here.clear(), terms_here = 0;
    };
    for (int64_t line = part * lines / parts, end = (part + 1) * lines / parts; line < end; ++line) {
      const int64_t channel = line / (w.taps[0] * w.taps[1]);
      const int64_t i0 = o0 + line / w.taps[1] % w.taps[0] * w.dilation[0], i1 = o1 + line % w.taps[1] * w.dilation[1];
      if (i0 < 0 || i0 >= w.in[0] || i1 < 0 || i1 >= w.in[1]) continue;
      throw_if_interrupted();
      const int64_t from = (((group * w.channels + channel) * w.in[0] + i0) * w.in[1] + i1) * input.pitch();
      for (int64_t tap = 0; tap < w.taps[2]; tap += most_terms) {
        const int64_t terms = std::min(most_terms, w.taps[2] - tap);
        if (terms_here + terms > most_joined) add_up();
        parts_here.push_back({from + tap * w.dilation[2] * w.batch, taps.row_of(group * lines + line, tap), terms});
        terms_here += terms;
      }
    }
    if (terms_here > 0) add_up();
  });

  const bool direct = w.dtype == w.result;
  Kernel narrow = direct ? nullptr : find_cast(w.dtype, w.result);
  parallel_items(w.groups * places * rows, columns * parts, [&](int64_t i) {
    const int64_t group = i / (places * rows), place = i / rows % places, o2 = i % rows / w.batch, image = i % w.batch;
    char* to = w.y + (image * w.y_batch + place / w.out[1] * w.y_step[0] + place % w.out[1] * w.y_step[1] +
                         o2 * w.y_step[2] + group * columns) *
                         w.result.size();
    char* out = direct ? to : static_cast<char*>(product_memory(2, columns * size));
    const char* from = partial + i * columns * size;
    add_rows(w.dtype, from, parts, sums, columns, out);
    if (!direct) {
      const void* source = out;
      narrow(&source, to, columns);
    }
  });
}

} // namespace mlx::core::cpu
