// Products of float32, bfloat16 and float16 matrices by instructions on tiles: 16 x 16 sums of float32 to which 16 x 32
// numbers of bfloat16 times 32 x 16 are added. What the instructions are is up to `Tiles`, so that the blocking runs on
// machines without them, too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/cpu/tile_packing.h"
#include "mlx_core/half.h"
#include "mlx_core/interrupt.h"

// What functions that hold instructions on tiles are declared with.
#ifndef MLX_TILE_TARGET
#define MLX_TILE_TARGET
#endif

namespace mlx::core::cpu {

// Of a Tiles: start(), stop(): around all other calls of a thread; round<n>(from, to): 16 or 32 floats, to the nearest
// bfloat16. If it is one of single tiles, clear(): the sums are 0; left<i>(p, row), right<j>(p): tile i and j, i, j <
// 2, from rows of 32 numbers, those of the left ones `row` numbers apart; multiply<R, C>(): sums(i, j) += left(i)
// right(j) for i < R, j < C; sums<i, j>(to): as rows of 16 floats, `row` apart. If it is one of whole_blocks, block():
// what tile_block() says, of one digit.

// Terms added up before they join the sum: what is packed of 32 lines stays in the first level of the cache, or, in
// digits of float32, in the second. Bits depend on this number.
inline constexpr int64_t tile_sum_terms = 512;

// The left tiles of packed rows: of each step its digits, one after another.
template <int digits>
struct PackedRows {
  const uint16_t* data;
  int64_t line; // numbers between 16 rows and the next
  const uint16_t* at(int i, int64_t step, int digit) const {
    return data + i * line + (step * digits + digit) * TileShape::numbers;
  }
  int64_t row() const { return TileShape::terms; }
};

// The same of rows of bfloat16 that lie in memory as they are read.
struct RowsInPlace {
  const uint16_t* data;
  int64_t apart;
  const uint16_t* at(int i, int64_t step, int) const {
    return data + i * TileShape::side * apart + step * TileShape::terms;
  }
  int64_t row() const { return apart; }
};

// sums = the products of 16 R rows and 16 C columns whose tiles are those of `a` and begin in `b`.
template <int R, int C, int digits, class Tiles, class Rows>
MLX_TILE_TARGET void sums_on_tiles(
    Tiles& tiles, int64_t steps, const Rows& a, const uint16_t* b, float* sums, int64_t row) {
  constexpr int64_t numbers = TileShape::numbers, side = TileShape::side, step = digits * numbers;
  const int64_t line = steps * step;
  auto right = [&](const uint16_t* p) MLX_TILE_TARGET {
    tiles.template right<0>(p);
    if constexpr (C == 2) tiles.template right<1>(p + line);
  };
  auto multiply = [&]() MLX_TILE_TARGET { tiles.template multiply<R, C>(); };
  tiles.clear();
  for (int64_t s = 0; s < steps; ++s, b += step) {
    auto left = [&](int digit) MLX_TILE_TARGET {
      tiles.template left<0>(a.at(0, s, digit), a.row());
      if constexpr (R == 2) tiles.template left<1>(a.at(1, s, digit), a.row());
    };
    if constexpr (digits == 3) { // the small products first, each but for one operand that stays
      left(2), right(b), multiply();
      left(1), multiply();
      right(b + numbers), multiply();
      left(0), multiply();
      right(b + 2 * numbers), multiply();
      right(b), multiply();
    } else {
      left(0), right(b), multiply();
    }
  }
  tiles.template sums<0, 0>(sums, row);
  if constexpr (C == 2) tiles.template sums<0, 1>(sums + side, row);
  if constexpr (R == 2) tiles.template sums<1, 0>(sums + side * row, row);
  if constexpr (R == 2 && C == 2) tiles.template sums<1, 1>(sums + side * row + side, row);
}

// sums = the products of at most 32 rows and columns, of k terms; those of other rows and columns of their tiles may be
// written, too.
template <int digits, class Tiles, class Rows>
MLX_TILE_TARGET void tile_block(Tiles& tiles, int64_t rows, int64_t columns, int64_t k, const Rows& a,
    const uint16_t* b, float* sums, int64_t row) {
  if constexpr (Tiles::whole_blocks) {
    static_assert(digits == 1);
    tiles.block(rows, columns, k, a, b, sums, row);
  } else {
    const int64_t steps = ceil_div(k, TileShape::terms);
    if (rows > TileShape::side) {
      columns > TileShape::side ? sums_on_tiles<2, 2, digits>(tiles, steps, a, b, sums, row)
                                : sums_on_tiles<2, 1, digits>(tiles, steps, a, b, sums, row);
    } else {
      columns > TileShape::side ? sums_on_tiles<1, 2, digits>(tiles, steps, a, b, sums, row)
                                : sums_on_tiles<1, 1, digits>(tiles, steps, a, b, sums, row);
    }
  }
}

inline constexpr int64_t most_tile_rows = 512, most_tile_columns = 256; // of a piece, about

template <class Tiles, class T, class Out>
struct TileProduct {
  static constexpr int digits = tile_digits<T>, passes = tile_passes<T>;
  static constexpr Dtype dtype = std::is_same_v<T, float> ? float32 : digits == 1 ? bfloat16 : float16;
  int64_t m, n, k;
  Matrix a, b;
  Out* out; // of T, or the sums as they are

  // Rows and columns from (row, column) on. Every element is the sum of the sums of tile_sum_terms in turn, so that how
  // the product is cut changes no bit.
  void piece(int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    if (!multiply(row, rows, column, columns)) mend(row, rows, column, columns);
  }

 private:
  // False if a result is odd.
  MLX_TILE_TARGET bool multiply(int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    constexpr int64_t block = TileShape::block, side = TileShape::side;
    constexpr int together = digits_of_pass<T>;
    constexpr bool keeps = !std::is_same_v<T, Out>;
    const TileBodies<T>& bodies = tile_bodies<T>();
    const int64_t most = std::min(k, tile_sum_terms), pitch = (columns + block - 1) / block * block;
    auto memory = [](int slot, int64_t bytes) { return product_memory(slot, bytes); };
    auto* left = static_cast<uint16_t*>(memory(0, digits * packed_tiles(block, most) * int64_t{sizeof(uint16_t)}));
    auto* right = static_cast<uint16_t*>(memory(1, digits * packed_tiles(columns, most) * int64_t{sizeof(uint16_t)}));
    // Sums of all terms, of all rows or, if they are all of the terms, of those at hand.
    const int64_t sum_rows = k > most ? (rows + block - 1) / block * block : passes > 1 ? block : 0;
    auto* all = sum_rows ? static_cast<float*>(memory(2, sum_rows * pitch * int64_t{sizeof(float)})) : nullptr;
    alignas(64) float part[block * block];
    FlushSubnormals mode;
    Tiles tiles;
    bool odd = false;
    for (int64_t first = 0; first < k; first += most) {
      if (first > 0) throw_if_interrupted();
      const int64_t count = std::min(most, k - first), steps = (count + TileShape::terms - 1) / TileShape::terms;
      const bool last = first + count == k;
      bodies.pack_right(columns, count, element(b, first, column), b.column_stride, b.row_stride, right);
      for (int64_t i = 0; i < rows; i += block) {
        const int64_t height = std::min(block, rows - i);
        const T* from = element(a, row + i, first);
        auto multiply_rows = [&](const auto& rows_of, int pass) MLX_TILE_TARGET {
          const uint16_t* columns_of = right + pass * packed_tiles(columns, count);
          const bool once = first == 0 && pass == 0, direct = once && passes == 1, done = last && pass == passes - 1;
          for (int64_t j = 0; j < columns; j += block) {
            const int64_t width = std::min(block, columns - j);
            const uint16_t* panel = columns_of + j * steps * TileShape::terms * together;
            float* sums = all ? all + (k > most ? i * pitch : 0) + j : part;
            float* to = direct ? sums : part;
            if constexpr (keeps) {
              if (direct && done && height == block && width == block) { // they are the results
                tile_block<together>(tiles, height, width, count, rows_of, panel, out + (row + i) * n + column + j, n);
                continue;
              }
            }
            tile_block<together>(tiles, height, width, count, rows_of, panel, to, direct && all ? pitch : block);
            if (!direct) add_sums(height, width > side ? block : side, part, pass_weight<T>(pass), once, sums, pitch);
            if (done) {
              Out* at = out + (row + i) * n + column + j;
              if (write(height, width, sums, all ? pitch : block, at)) odd = true;
            }
          }
        };
        if constexpr (Tiles::whole_blocks) { // which read the pairs of a row wherever these begin
          const bool quickly_packed = count == TileShape::terms || count == 2 * TileShape::terms;
          if (a.column_stride == 1 && count % 2 == 0 && !quickly_packed) {
            multiply_rows(RowsInPlace{reinterpret_cast<const uint16_t*>(from), a.row_stride}, 0);
            continue;
          }
        }
        bodies.pack_left(height, count, from, a.row_stride, a.column_stride, left);
        tiles.start();
        for (int pass = 0; pass < passes; ++pass) {
          const uint16_t* rows_of = left + pass * packed_tiles(height, count);
          multiply_rows(PackedRows<together>{rows_of, steps * TileShape::numbers * together}, pass);
        }
        tiles.stop();
      }
    }
    return !odd;
  }

  // As TileBodies::round or keep, into `out`.
  MLX_TILE_TARGET bool write(int64_t rows, int64_t columns, const float* sums, int64_t row, Out* to) const {
    if constexpr (!std::is_same_v<T, Out>) {
      return tile_bodies<T>().keep(rows, columns, k, sums, row, to, n);
    } else {
      if constexpr (digits == 1) {
        auto by_columns = [&]<int number>(std::integral_constant<int, number>) MLX_TILE_TARGET {
          for (int64_t i = 0; i < rows; ++i) Tiles::template round<number>(sums + i * row, to + i * n);
          return false;
        };
        if (columns == TileShape::block) return by_columns(std::integral_constant<int, TileShape::block>());
        if (columns == TileShape::side) return by_columns(std::integral_constant<int, TileShape::side>());
      }
      return tile_bodies<T>().round(rows, columns, k, sums, row, to, n);
    }
  }

  // Odd sums again, by whole rows or columns: whichever are fewer.
  void mend(int64_t row, int64_t rows, int64_t column, int64_t columns) const {
    Out* const first = out + row * n + column;
    auto odd = [&](int64_t i, int64_t j) { return is_odd_sum<T>(static_cast<float>(first[i * n + j]), k); };
    std::vector<char> odd_row(static_cast<size_t>(rows)), odd_column(static_cast<size_t>(columns));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        if (odd(i, j)) odd_row[static_cast<size_t>(i)] = odd_column[static_cast<size_t>(j)] = 1;
      }
    }
    auto count = [](const std::vector<char>& lines) { return std::count(lines.begin(), lines.end(), 1); };
    const bool by_rows = count(odd_row) * columns <= count(odd_column) * rows;
    const std::vector<char>& lines = by_rows ? odd_row : odd_column;
    std::vector<Out> exact;
    for (auto from = lines.begin(), end = from; (from = std::find(end, lines.end(), 1)) != lines.end();) {
      end = std::find(from, lines.end(), 0);
      const int64_t line = from - lines.begin(), some = end - from;
      const int64_t y = by_rows ? line : 0, x = by_rows ? 0 : line;
      const int64_t height = by_rows ? some : rows, width = by_rows ? columns : some;
      exact.resize(static_cast<size_t>(height * width));
      const Product same{dtype, height, width, k, offset(a, (row + y) * a.row_stride, dtype),
          offset(b, (column + x) * b.column_stride, dtype), reinterpret_cast<char*>(exact.data()), dtype_of<Out>::val};
      tile_piece(same, {0, 0, height, width});
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t j = 0; j < width; ++j) {
          if (odd(y + i, x + j)) first[(y + i) * n + x + j] = exact[static_cast<size_t>(i * width + j)];
        }
      }
    }
  }

  static const T* element(const Matrix& of, int64_t i, int64_t j) {
    return static_cast<const T*>(of.data) + i * of.row_stride + j * of.column_stride;
  }
};

// As gemm(), with results of T or of float32.
template <class Tiles, class T, class Out = T>
void tile_gemm(int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out) {
  if (batch > 1 && b_batch_stride == 0 && a_batch_stride == m * a.row_stride) m *= batch, batch = 1;
  int64_t down = ceil_div(m, most_tile_rows), across = ceil_div(n, most_tile_columns);
  // A piece's least work: multiplications, or numbers that are reordered.
  constexpr int64_t piece_work = int64_t{1} << 21, piece_numbers = int64_t{1} << 15;
  const int64_t work = m * n * k, numbers = (m + n) * k + m * n;
  const int64_t worth = std::max(batch * work / piece_work, batch * numbers / piece_numbers);
  const int64_t wanted = std::min<int64_t>(thread_count(), worth);
  while (batch * down * across < wanted) {
    const int64_t rows = m / down, columns = n / across;
    if (std::max(rows, columns) < 2 * TileShape::block) break;
    ++(rows > columns ? down : across);
  }
  const int64_t pieces = down * across, jobs = batch * pieces;
  const int64_t tasks = jobs <= 4 * wanted ? jobs : std::max<int64_t>(1, std::min(jobs, worth));
  parallel_for(tasks, [&](int64_t task) {
    for (int64_t job = jobs * task / tasks, end = jobs * (task + 1) / tasks; job < end; ++job) {
      const int64_t i = job / pieces, y = job % pieces / across, x = job % across;
      constexpr Dtype dtype = TileProduct<Tiles, T, Out>::dtype;
      const TileProduct<Tiles, T, Out> one{m, n, k, offset(a, i * a_batch_stride, dtype),
          offset(b, i * b_batch_stride, dtype), static_cast<Out*>(out) + i * m * n};
      auto [row, row_end] = piece_bounds(m, down, TileShape::block, y);
      auto [column, column_end] = piece_bounds(n, across, TileShape::block, x);
      one.piece(row, row_end - row, column, column_end - column);
    }
  });
}

} // namespace mlx::core::cpu
