// Convolutions: what is dilated is cut into windows without gaps, operands are put in order, and a way is chosen.
#include "mlx_core/cpu/convolve.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <vector>

#include "mlx_core/allocator.h"
#include "mlx_core/backend/view.h"
#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/lanes.h"

namespace mlx::core::cpu {

namespace {

int64_t count_of(Ints sizes) {
  int64_t count = 1;
  for (int64_t n : sizes) count *= n;
  return count;
}

// Elements in row-major order and another dtype: where they lie, or in memory of its own.
class Ordered {
 public:
  Ordered(const void* data, Ints sizes, Ints strides, Dtype dtype, Dtype wanted)
      : data_(static_cast<const char*>(data)) {
    const int64_t count = count_of(sizes);
    if (!is_row_major(sizes, strides)) {
      order_ = allocate(static_cast<size_t>(std::max<int64_t>(1, count) * dtype.size()));
      copy_strided(data, strides, order_->data, row_major(sizes), sizes, dtype.size());
      data_ = static_cast<const char*>(order_->data);
    }
    if (dtype != wanted) {
      cast_ = allocate(static_cast<size_t>(std::max<int64_t>(1, count) * wanted.size()));
      Kernel cast = find_cast(dtype, wanted);
      constexpr int64_t stretch = 1 << 14;
      parallel_items((count + stretch - 1) / stretch, stretch, [&](int64_t i) {
        const void* from = data_ + i * stretch * dtype.size();
        cast(&from, static_cast<char*>(cast_->data) + i * stretch * wanted.size(),
            std::min(stretch, count - i * stretch));
      });
      data_ = static_cast<const char*>(cast_->data);
      order_ = {};
    }
  }
  const char* data() const { return data_; }

 private:
  BufferRef order_, cast_;
  const char* data_;
};

// Along one axis, the outputs `first`, `first + step`, ... whose windows read the same taps of a dilated input: a
// window of an input without gaps.
struct Phase {
  int64_t first, step, outputs;
  int64_t tap, tap_step, taps;
  int64_t stride, low, dilation;
  int64_t in_first = 0, in_step = 1; // the elements of the input that they read
};

std::vector<Phase> phases_of(
    int64_t outputs, int64_t taps, int64_t stride, int64_t low, int64_t kernel_dilation, int64_t input_dilation) {
  const int64_t step = input_dilation / std::gcd(stride, input_dilation);
  const int64_t tap_step = input_dilation / std::gcd(kernel_dilation, input_dilation);
  std::vector<Phase> all;
  for (int64_t first = 0; first < std::min(step, outputs); ++first) {
    for (int64_t tap = 0; tap < std::min(tap_step, taps); ++tap) {
      const int64_t at = first * stride + tap * kernel_dilation - low;
      if (at % input_dilation != 0) continue;
      all.push_back(
          {first, step, (outputs - first + step - 1) / step, tap, tap_step, (taps - tap + tap_step - 1) / tap_step,
              stride * step / input_dilation, -(at / input_dilation), kernel_dilation * tap_step / input_dilation});
      break;
    }
  }
  return all;
}

// The same of dilated windows: those that begin at positions of the same remainder read elements that lie side by side
// when the others are left out.
std::vector<Phase> remainders_of(const Phase& whole) {
  std::vector<Phase> all;
  const int64_t d = whole.dilation;
  for (int64_t first = 0; first < std::min(d, whole.outputs); ++first) {
    Phase part = whole;
    const int64_t begin = first - whole.low, remainder = (begin % d + d) % d;
    part.first = first, part.step = d, part.outputs = (whole.outputs - first + d - 1) / d;
    part.low = -((begin - remainder) / d), part.dilation = 1;
    part.in_first = remainder, part.in_step = d;
    all.push_back(part);
  }
  return all;
}

// Whether the windows are the positions themselves: a matrix product.
bool is_product(const Windows& w) {
  for (size_t d = 0; d < window_axes; ++d) {
    if (w.taps[d] != 1 || w.stride[d] != 1 || w.low[d] != 0 || w.in[d] != w.out[d]) return false;
  }
  return w.groups == 1 && w.uniform();
}

bool leaves_out_terms(const Windows& w) {
  for (size_t d = 0; d < window_axes; ++d) {
    const int64_t last = (w.out[d] - 1) * w.stride[d] + (w.taps[d] - 1) * w.dilation[d] - w.low[d];
    if (w.low[d] > 0 || last >= w.in[d]) return true;
  }
  return false;
}

// How many groups of few outputs are done as one, with zeros for the weights between them: they share the vectors that
// each would fill a small part of, and lie together.
int64_t groups_at_once(Dtype dtype, int64_t groups, int64_t columns) {
  if (dtype.is_complex() || !dtype.is_inexact()) return 1;
  const int64_t most = product_kernels(multiplied_dtype(dtype)).width / 2 / columns; // one vector
  for (int64_t some = std::min(most, groups); some > 1; --some) {
    if (groups % some == 0) return some;
  }
  return 1;
}

// Weights (outputs, taps, channels) of `some` groups each as one: (outputs, taps, some * channels).
BufferRef joined_weights(
    const char* weights, int64_t outputs, int64_t columns, int64_t taps, int64_t channels, int64_t some, int64_t size) {
  const int64_t run = channels * size, row = some * run;
  BufferRef joined = allocate(static_cast<size_t>(outputs * taps * row));
  char* to = static_cast<char*>(joined->data);
  std::memset(to, 0, static_cast<size_t>(outputs * taps * row));
  for (int64_t j = 0; j < outputs; ++j) {
    to += j / columns % some * run;
    for (int64_t t = 0; t < taps; ++t, weights += run, to += row)
      copy_contiguous(to, weights, static_cast<size_t>(run));
    to -= j / columns % some * run;
  }
  return joined;
}

struct Sizes3 {
  PerAxis values;
  // The axes there are, behind others of length `missing`.
  Sizes3(Ints given, int64_t missing) {
    values.fill(missing);
    std::copy(given.begin(), given.end(), values.end() - static_cast<int64_t>(given.size()));
  }
};

class Run {
 public:
  explicit Run(const Convolution& c) : c_(c), axes_(c.a_sizes.size() - 2) {
    batch_ = c.a_sizes[0], outputs_ = c.out_sizes.back(), channels_ = c.b_sizes.back();
    columns_ = outputs_ / c.groups;
    wide_ = multiplied_dtype(c.dtype);
    Ints a = c.a_sizes.subspan(1, axes_), b = c.b_sizes.subspan(1, axes_), out = c.out_sizes.subspan(1, axes_);
    in_ = Sizes3(a, 1).values, taps_ = Sizes3(b, 1).values, out_ = Sizes3(out, 1).values;
    stride_ = Sizes3(c.stride, 1).values, low_ = Sizes3(c.low, 0).values;
    kernel_dilation_ = Sizes3(c.kernel_dilation, 1).values, input_dilation_ = Sizes3(c.input_dilation, 1).values;
    a_strides_ = Sizes3(c.a_strides.subspan(1, axes_), 0).values;
    b_strides_ = Sizes3(c.b_strides.subspan(1, axes_), 0).values;
    // Groups fill vectors; or, where they are few, as colours are, positions along a line do.
    constexpr int64_t few_groups = 4, worth_lines = 280; // terms of a line
    const bool one_each = c.groups > 1 && channels_ == 1 && columns_ == 1;
    const bool few_each = c.groups <= few_groups && stride_[2] == 1 && input_dilation_[2] == 1;
    by_lanes_ = one_each && !(few_each && out_[2] * taps_[2] >= worth_lines);
    long_line_ = one_each ? 1 : 64;
    // Weights of more taps than there are positions, as derivatives by weights have, are better left alone.
    const bool short_windows = taps_[0] * taps_[1] * taps_[2] <= out_[0] * out_[1] * out_[2];
    at_once_ = one_each || !short_windows ? 1 : groups_at_once(c.dtype, c.groups, columns_);
    b_first_ = static_cast<const char*>(c.b);
    if (c.flip) {
      for (size_t d = 0; d < window_axes; ++d) {
        b_first_ += (taps_[d] - 1) * b_strides_[d] * c.dtype.size();
        b_strides_[d] = -b_strides_[d];
      }
    }
  }

  // Whether terms were left out, in which a factor that is no number may have met a zero.
  bool operator()() {
    std::array<std::vector<Phase>, window_axes> phases;
    for (size_t d = 0; d < window_axes; ++d) {
      phases[d] = phases_of(out_[d], taps_[d], stride_[d], low_[d], kernel_dilation_[d], input_dilation_[d]);
    }
    // Taps of few channels with gaps between them are read one by one.
    constexpr int64_t few_channels = 8;
    if (!by_lanes_ && channels_ < few_channels && taps_[2] > 1 && stride_[2] == 1 && input_dilation_[2] == 1 &&
        kernel_dilation_[2] > 1 && phases[2].size() == 1) {
      phases[2] = remainders_of(phases[2][0]);
    }
    if (!covered(phases)) {
      std::memset(c_.out, 0, static_cast<size_t>(count_of(c_.out_sizes) * c_.dtype.size()));
    }
    bool left_out = false;
    for (const Phase& p0 : phases[0]) {
      for (const Phase& p1 : phases[1]) {
        for (const Phase& p2 : phases[2]) left_out |= run({&p0, &p1, &p2});
      }
    }
    return left_out;
  }

 private:
  bool covered(const std::array<std::vector<Phase>, window_axes>& phases) const {
    for (size_t d = 0; d < window_axes; ++d) {
      int64_t outputs = 0;
      for (const Phase& p : phases[d]) outputs += p.outputs;
      if (outputs != out_[d]) return false;
    }
    return true;
  }

  bool run(const std::array<const Phase*, window_axes>& phase) {
    Windows w{};
    w.batch = batch_, w.groups = c_.groups, w.channels = channels_, w.columns = columns_;
    w.in = in_, w.by_lanes = by_lanes_, w.result = c_.dtype;
    const int64_t in_first = phase[2]->in_first, in_step = phase[2]->in_step;
    w.in[2] = (in_[2] - in_first + in_step - 1) / in_step;
    const char* b = b_first_;
    PerAxis b_strides;
    int64_t step = outputs_, first = 0;
    for (size_t d = window_axes; d-- > 0;) {
      const Phase& p = *phase[d];
      w.out[d] = p.outputs, w.taps[d] = p.taps, w.stride[d] = p.stride, w.low[d] = p.low, w.dilation[d] = p.dilation;
      b += p.tap * b_strides_[d] * c_.dtype.size();
      b_strides[d] = b_strides_[d] * p.tap_step;
      first += p.first * step;
      w.y_step[d] = p.step * step;
      step *= out_[d];
    }
    w.y_batch = step;
    w.y = static_cast<char*>(c_.out) + first * c_.dtype.size();
    const bool product = is_product(w);
    w.dtype = product ? c_.dtype : wide_;
    const bool shifted = !product && !by_lanes_ && is_shifted(w);
    if (shifted || (!product && !by_lanes_ && is_long(w))) {
      if (shifted) w.dtype = c_.dtype;
      const int64_t output = c_.b_strides.front(), channel = c_.b_strides.back();
      const int64_t sizes[] = {c_.groups, channels_, w.taps[0], w.taps[1], w.taps[2], columns_};
      const int64_t steps[] = {columns_ * output, channel, b_strides[0], b_strides[1], b_strides[2], output};
      Ordered weights(b, sizes, steps, c_.dtype, w.dtype);
      w.w = weights.data();
      w.x = input(w, in_first, in_step, true);
      if (shifted) {
        convolve_shifted(w);
        return true;
      }
      convolve_long(w);
      return leaves_out_terms(w);
    }
    if (by_lanes_) {
      const int64_t sizes[] = {w.taps[0], w.taps[1], w.taps[2], outputs_};
      const int64_t steps[] = {b_strides[0], b_strides[1], b_strides[2], c_.b_strides.front()};
      Ordered weights(b, sizes, steps, c_.dtype, w.dtype);
      w.w = weights.data();
      w.x = input(w, in_first, in_step, false);
      convolve_lanes(w);
      return leaves_out_terms(w);
    }
    w.groups /= at_once_, w.channels *= at_once_, w.columns *= at_once_;
    const bool by_lines = w.channels == 1 && w.columns <= 4 && w.stride[2] == 1 && w.out[2] >= long_line_;
    w.dtype = c_.dtype;
    const bool by_tiles = !product && !by_lines && is_tile_convolution(w);
    if (!product && !by_tiles) w.dtype = wide_;
    const int64_t b_sizes[] = {outputs_, w.taps[0], w.taps[1], w.taps[2], channels_};
    const int64_t b_steps[] = {c_.b_strides.front(), b_strides[0], b_strides[1], b_strides[2], c_.b_strides.back()};
    Ordered weights(b, b_sizes, b_steps, c_.dtype, w.dtype);
    w.w = weights.data();
    BufferRef joined;
    if (at_once_ > 1) {
      joined = joined_weights(w.w, outputs_, columns_, w.all_taps(), channels_, at_once_, w.dtype.size());
      w.w = static_cast<const char*>(joined->data);
    }
    w.x = input(w, in_first, in_step, false);
    if (product) {
      // Image by image where the size of a product decides on its way, so that each has the bits it has alone.
      const int64_t images = c_.dtype.size() == 2 ? w.batch : 1, rows = w.positions() / std::max<int64_t>(1, images);
      gemm(c_.dtype, images, rows, columns_, channels_, {w.x, channels_, 1}, rows * channels_, {w.w, 1, channels_}, 0,
          w.y);
    } else if (by_lines) {
      convolve_lines(w);
    } else if (by_tiles) {
      convolve_tiles(w);
      return true; // zeros were multiplied that fill tiles
    } else if (reads_windows(w)) {
      convolve_windows(w);
    } else {
      convolve_patches(w);
    }
    return at_once_ > 1 || leaves_out_terms(w);
  }

  const char* input(const Windows& w, int64_t first, int64_t step, bool batch_last) {
    if (!x_ || x_dtype_ != w.dtype || x_batch_last_ != batch_last || x_first_ != first) {
      const int64_t n = c_.a_strides.front(), channel = c_.a_strides.back(), all = c_.a_sizes.back();
      const char* data = static_cast<const char*>(c_.a) + first * a_strides_[2] * c_.dtype.size();
      const int64_t last = step * a_strides_[2];
      if (batch_last) {
        const int64_t sizes[] = {c_.groups, channels_, in_[0], in_[1], w.in[2], batch_};
        const int64_t steps[] = {channels_ * channel, channel, a_strides_[0], a_strides_[1], last, n};
        x_.emplace(data, sizes, steps, c_.dtype, w.dtype);
      } else if (by_lanes_ || c_.groups == at_once_) {
        const int64_t sizes[] = {batch_, in_[0], in_[1], w.in[2], all};
        const int64_t steps[] = {n, a_strides_[0], a_strides_[1], last, channel};
        x_.emplace(data, sizes, steps, c_.dtype, w.dtype);
      } else {
        const int64_t channels = at_once_ * channels_;
        const int64_t sizes[] = {c_.groups / at_once_, batch_, in_[0], in_[1], w.in[2], channels};
        const int64_t steps[] = {channels * channel, n, a_strides_[0], a_strides_[1], last, channel};
        x_.emplace(data, sizes, steps, c_.dtype, w.dtype);
      }
      x_dtype_ = w.dtype, x_batch_last_ = batch_last, x_first_ = first;
    }
    return x_->data();
  }

  const Convolution& c_;
  size_t axes_;
  int64_t batch_, outputs_, channels_, columns_, at_once_, x_first_ = 0;
  int64_t long_line_; // from which on its positions are done side by side
  Dtype wide_ = float32, x_dtype_ = float32;
  bool by_lanes_, x_batch_last_ = false;
  PerAxis in_, taps_, out_, stride_, low_, kernel_dilation_, input_dilation_, a_strides_, b_strides_;
  const char* b_first_;
  std::optional<Ordered> x_;
};

} // namespace

void add_rows(Dtype dtype, const void* rows, int64_t count, int64_t apart, int64_t length, void* out) {
  const int64_t numbers = dtype.is_complex() ? 2 : 1;
  auto add = [&]<typename T>(const T* from, T* to) {
    std::copy_n(from, length * numbers, to);
    for (int64_t i = 1; i < count; ++i) {
      for (int64_t j = 0; j < length * numbers; ++j) to[j] += from[i * apart * numbers + j];
    }
  };
  if (real_of(dtype) == float64) {
    add(static_cast<const double*>(rows), static_cast<double*>(out));
  } else {
    add(static_cast<const float*>(rows), static_cast<float*>(out));
  }
}

void convolve(const Convolution& c) {
  if (count_of(c.out_sizes) == 0) {
    return;
  }
  if (count_of(c.a_sizes) == 0 || count_of(c.b_sizes) == 0) {
    std::memset(c.out, 0, static_cast<size_t>(count_of(c.out_sizes) * c.dtype.size()));
    return;
  }
  const bool left_out = Run(c)();
  if (c.dtype.is_inexact() && (left_out || c.zero_terms)) {
    mend_convolution(c);
  }
}

} // namespace mlx::core::cpu
