// Convolutions of float32 and bfloat16 by instructions on tiles, as tile_gemm.h: a block of positions times the
// weights.
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/tile_gemm.h"
#include "mlx_core/cpu/tile_windows.h"

namespace mlx::core::cpu {

// Steps of 32 terms added up before they join the sum, at most. Bits depend on this number.
inline constexpr int64_t tile_sum_steps = 24;

template <class T>
class TileWeights {
 public:
  static constexpr int digits = tile_digits<T>;
  TileWeights(const Windows& w, const TileWindows& windows)
      : steps_(static_cast<int64_t>(windows.steps.size())),
        blocks_((steps_ + tile_sum_steps - 1) / tile_sum_steps),
        block_steps_((steps_ + blocks_ - 1) / blocks_),
        panels_((w.columns + TileShape::block - 1) / TileShape::block),
        memory_(allocate(static_cast<size_t>(w.groups * panels_ * panel_numbers() * 2))) {
    parallel_items(w.groups * panels_ * blocks_, block_steps_ * TileShape::terms * TileShape::block, [&](int64_t i) {
      const int64_t block = i % blocks_, panel = i / blocks_ % panels_, group = i / (blocks_ * panels_);
      pack(w, windows, group, panel * TileShape::block, block);
    });
  }
  int64_t blocks() const { return blocks_; }
  int64_t first(int64_t block) const { return block * block_steps_; }
  int64_t length(int64_t block) const { return std::min(block_steps_, steps_ - first(block)); }
  // The tiles of 32 columns.
  const uint16_t* panel(int64_t group, int64_t column, int64_t block) const { return place(group, column, block); }

 private:
  int64_t panel_numbers() const { return 2 * steps_ * digits * TileShape::numbers; }
  uint16_t* place(int64_t group, int64_t column, int64_t block) const {
    return static_cast<uint16_t*>(memory_->data) + (group * panels_ + column / TileShape::block) * panel_numbers() +
           2 * first(block) * digits * TileShape::numbers;
  }
  void pack(const Windows& w, const TileWindows& windows, int64_t group, int64_t column, int64_t block) const {
    constexpr int64_t terms = TileShape::terms;
    const int64_t width = std::min(TileShape::block, w.columns - column), line = length(block) * terms;
    auto* padded = static_cast<T*>(product_memory(0, width * line * int64_t{sizeof(T)}));
    std::fill_n(padded, width * line, T(0.0f));
    const auto* from = reinterpret_cast<const T*>(w.w) + (group * w.columns + column) * w.terms();
    for (int64_t j = 0; j < width; ++j, from += w.terms()) {
      T* to = padded + j * line;
      for (int64_t s = 0; s < length(block); ++s, to += terms) {
        const TileWindows::Step& step = windows.steps[static_cast<size_t>(first(block) + s)];
        if (digits == 1 || windows.halves) {
          std::copy_n(from + step.term, step.length, to);
        } else { // pairs of neighbours, as pack_right() makes them
          for (int64_t p = 0; p < step.length; ++p) to[p / 2 + p % 2 * (terms / 2)] = from[step.term + p];
        }
      }
    }
    tile_bodies<T>().pack_right(width, line, padded, line, 1, place(group, column, block));
  }

  int64_t steps_, blocks_, block_steps_, panels_;
  BufferRef memory_;
};

// The left tiles of windows that lie in TileWindows' order.
struct WindowRows {
  const uint16_t* begin[2];
  const TileWindows::Step* steps;
  int64_t plane, apart;
  const uint16_t* at(int i, int64_t step, int digit) const { return begin[i] + steps[step].at + digit * plane; }
  int64_t row() const { return apart; }
};

template <class Tiles, class T>
class TileConvolution {
 public:
  static constexpr int digits = tile_digits<T>;
  TileConvolution(const Windows& w, const TileWindows& windows, const TileWeights<T>& weights)
      : w_(w), t_(windows), weights_(weights) {}

  int64_t tasks() const { return w_.groups * w_.batch * t_.boxes(w_, 0) * t_.boxes(w_, 1) * t_.strips(w_); }

  void task(int64_t number) const {
    Box box{};
    const int64_t strip = number % t_.strips(w_);
    number /= t_.strips(w_);
    box.column = strip * t_.columns, box.columns = std::min(t_.columns, w_.columns - box.column);
    for (size_t d = 2; d-- > 0;) {
      box.first[d] = number % t_.boxes(w_, d) * t_.count[d];
      box.count[d] = std::min(t_.count[d], w_.out[d] - box.first[d]);
      number /= t_.boxes(w_, d);
    }
    box.image = number % w_.batch, box.group = number / w_.batch;
    auto* lines = static_cast<uint16_t*>(product_memory(0, digits * t_.plane * int64_t{sizeof(uint16_t)}));
    Odd odd;
    {
      FlushSubnormals mode;
      read(box, lines);
      multiply(box, lines, odd);
    }
    mend(box, odd);
  }

 private:
  struct Box {
    int64_t image, group, first[2], count[2], column, columns;
  };
  // Neighbouring positions of one line, the first of a column on.
  struct Stretch {
    int64_t column, position, count;
  };
  using Odd = std::vector<Stretch>;

  // The lines of a box, in digits.
  void read(const Box& box, uint16_t* to) const {
    const int64_t lead = std::max<int64_t>(0, w_.low[2]), skipped = std::max<int64_t>(0, -w_.low[2]);
    const int64_t length = std::clamp<int64_t>(w_.in[2] - skipped, 0, t_.pitch - lead);
    const auto* x = reinterpret_cast<const T*>(w_.x) +
                    (box.group * w_.batch + box.image) * w_.in[0] * w_.in[1] * w_.in[2] * w_.channels;
    auto zeros = [&](uint16_t* from, int64_t positions) {
      for (int digit = 0; digit < digits; ++digit) std::fill_n(from + digit * t_.plane, positions * t_.together, 0);
    };
    const auto split = tile_bodies<T>().split;
    for (int64_t part = 0; part < t_.parts; ++part) {
      for (int64_t l0 = 0; l0 < t_.reach[0]; ++l0) {
        const int64_t i0 = box.first[0] * w_.stride[0] - w_.low[0] + l0;
        for (int64_t line = 0; line < t_.layer; ++line, to += t_.pitch * t_.together) {
          const int64_t l1 = line % t_.lines * w_.stride[1] + line / t_.lines;
          const int64_t i1 = box.first[1] * w_.stride[1] - w_.low[1] + l1;
          if (i0 < 0 || i0 >= w_.in[0] || i1 < 0 || i1 >= w_.in[1] || l1 >= t_.reach[1]) {
            zeros(to, t_.pitch);
            continue;
          }
          zeros(to, lead);
          const T* from = x + ((i0 * w_.in[1] + i1) * w_.in[2] + skipped) * w_.channels + part * t_.together;
          split(t_.halves ? length : 1, t_.halves ? t_.together : length * t_.together, from, w_.channels, t_.halves,
              to + lead * t_.together, t_.plane);
          zeros(to + (lead + length) * t_.together, t_.pitch - lead - length);
        }
      }
    }
    const int64_t rest = t_.plane - t_.parts * t_.reach[0] * t_.layer * t_.pitch * t_.together;
    for (int digit = 0; digit < digits; ++digit) std::fill_n(to + digit * t_.plane, rest, 0);
  }

  MLX_TILE_TARGET void multiply(const Box& box, const uint16_t* lines, Odd& odd) const {
    constexpr int64_t block = TileShape::block, side = TileShape::side;
    const int64_t pitch = (box.columns + block - 1) / block * block, tiles = box.count[0] * t_.tiles;
    auto* all =
        weights_.blocks() > 1 ? static_cast<float*>(product_memory(2, (tiles + 1) * side * pitch * 4)) : nullptr;
    alignas(64) float part[block * block];
    Tiles instructions;
    for (int64_t b = 0; b < weights_.blocks(); ++b) {
      const int64_t steps = weights_.length(b);
      const bool last = b + 1 == weights_.blocks();
      throw_if_interrupted();
      instructions.start();
      for (int64_t tile = 0; tile < tiles; tile += 2) {
        const bool two = tile + 1 < tiles;
        const WindowRows rows{{lines + t_.tile_at(w_, tile), two ? lines + t_.tile_at(w_, tile + 1) : nullptr},
            t_.steps.data() + weights_.first(b), t_.plane, w_.stride[2] * t_.together};
        for (int64_t j = 0; j < box.columns; j += block) {
          const bool wide = box.columns - j > side;
          const uint16_t* panel = weights_.panel(box.group, box.column + j, b);
          float* sums = all ? all + tile * side * pitch + j : part;
          float* to = b == 0 ? sums : part;
          const int64_t row = all ? pitch : block, to_row = b == 0 ? row : block;
          tile_block<digits>(
              instructions, two ? block : side, box.columns - j, steps * TileShape::terms, rows, panel, to, to_row);
          if (b > 0) add_sums(two ? block : side, wide ? block : side, part, 1.0f, false, sums, row);
          if (!last) continue;
          for (int64_t i = 0; i < (two ? 2 : 1); ++i) round(box, tile + i, j, sums + i * side * row, row, odd);
        }
      }
      instructions.stop();
    }
  }

  // Of a tile's rows of sums those that are positions of the box.
  void round(const Box& box, int64_t tile, int64_t j, const float* sums, int64_t row, Odd& odd) const {
    const int64_t o0 = box.first[0] + tile / t_.tiles, first = tile % t_.tiles * TileShape::side;
    const int64_t column = box.column + j, width = std::min(TileShape::block, box.columns - j);
    for (int64_t r = 0; r < TileShape::side;) {
      const int64_t line = (first + r) / t_.line_outputs, o2 = (first + r) % t_.line_outputs;
      if (line >= box.count[1]) break;
      const int64_t n = std::min(TileShape::side - r, w_.out[2] - o2);
      if (n <= 0) {
        r += t_.line_outputs - o2;
        continue;
      }
      const int64_t o1 = box.first[1] + line;
      T* to = reinterpret_cast<T*>(w_.y) + box.image * w_.y_batch + o0 * w_.y_step[0] + o1 * w_.y_step[1] +
              o2 * w_.y_step[2] + box.group * w_.columns + column;
      if (tile_bodies<T>().round(n, width, w_.terms(), sums + r * row, row, to, w_.y_step[2])) {
        odd.push_back({column, ((box.image * w_.out[0] + o0) * w_.out[1] + o1) * w_.out[2] + o2, n});
      }
      r += n;
    }
  }

  // Odd sums again, each as a product of its window and the weights.
  void mend(const Box& box, Odd& odd) const {
    if constexpr (digits > 1) {
      constexpr int64_t most_rows = 112;
      std::sort(odd.begin(), odd.end(), [](const Stretch& a, const Stretch& b) {
        return std::tie(a.column, a.position) < std::tie(b.column, b.position);
      });
      const int64_t terms = w_.terms();
      std::vector<T> windows, exact;
      for (auto from = odd.begin(), end = from; from != odd.end(); from = end) {
        std::vector<Windows::Stretch> stretches;
        int64_t rows = 0;
        for (; end != odd.end() && end->column == from->column && rows + end->count <= most_rows; ++end) {
          stretches.push_back({w_.place(end->position), end->count});
          rows += end->count;
        }
        throw_if_interrupted();
        const int64_t width = std::min(TileShape::block, box.column + box.columns - from->column);
        const int64_t column = box.group * w_.columns + from->column;
        windows.resize(static_cast<size_t>(rows * terms)), exact.resize(static_cast<size_t>(rows * width));
        write_windows(w_, box.group, stretches, reinterpret_cast<char*>(windows.data()));
        tile_piece({w_.dtype, rows, width, terms, {windows.data(), terms, 1},
                       {reinterpret_cast<const T*>(w_.w) + column * terms, 1, terms},
                       reinterpret_cast<char*>(exact.data()), w_.dtype},
            {0, 0, rows, width});
        const T* at = exact.data();
        for (const auto& [place, count] : stretches) {
          for (int64_t i = 0; i < count; ++i, at += width) {
            T* y = reinterpret_cast<T*>(w_.y) + place.y + i * w_.y_step[2] + column;
            for (int64_t j = 0; j < width; ++j) {
              if (is_odd_sum<T>(y[j], terms)) y[j] = at[j];
            }
          }
        }
      }
    }
  }

  const Windows& w_;
  const TileWindows& t_;
  const TileWeights<T>& weights_;
};

template <class Tiles, class T>
void tile_convolve(const Windows& w, const TileWindows& windows) {
  const TileWeights<T> weights(w, windows);
  const TileConvolution<Tiles, T> all(w, windows, weights);
  parallel_for(all.tasks(), [&](int64_t i) { all.task(i); });
}

} // namespace mlx::core::cpu
