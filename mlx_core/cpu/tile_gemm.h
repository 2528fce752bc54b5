// Products of bfloat16 matrices by instructions on tiles: 16 x 16 sums of float32 to which 16 x 32 numbers times 32 x
// 16 are added. What the instructions are is up to `Tiles`, so that the blocking runs on machines without them, too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/half.h"

// What functions that hold instructions on tiles are declared with.
#ifndef MLX_TILE_TARGET
#define MLX_TILE_TARGET
#endif

namespace mlx::core::cpu {

// Of a Tiles: start(), stop(): around all other calls of a thread; clear(): the sums are 0; left<i>(p), right<j>(p):
// tile i and j, i, j < 2, from 64-byte rows; multiply(): sums(i, j) += left(i) right(j); sums<i, j>(to): as rows of 16
// floats, `row` apart.
struct TileShape {
  static constexpr int64_t side = 16, terms = 32, numbers = side * terms;
  static constexpr int64_t block = 2 * side; // rows and columns of the sums that are in registers at once
};

// Numbers of a packed operand of `lines` rows (or columns) and k terms. Missing ones are 0.
inline int64_t packed_tiles(int64_t lines, int64_t k) {
  auto up = [](int64_t x, int64_t to) { return (x + to - 1) / to * to; };
  return up(lines, TileShape::block) * up(k, TileShape::terms);
}

// For each 16 rows the tiles of all terms, one after another.
inline void pack_left_tiles(int64_t rows, int64_t k, const uint16_t* a, int64_t row, int64_t column, uint16_t* to) {
  constexpr int64_t side = TileShape::side, terms = TileShape::terms;
  std::memset(to, 0, static_cast<size_t>(packed_tiles(rows, k)) * sizeof(uint16_t));
  const int64_t steps = (k + terms - 1) / terms;
  for (int64_t i = 0; i < rows; ++i) {
    uint16_t* line = to + (i / side * steps * side + i % side) * terms;
    const uint16_t* from = a + i * row;
    for (int64_t p = 0; p < k; p += terms, line += side * terms, from += terms * column) {
      const int64_t count = std::min(terms, k - p);
      if (column == 1) {
        std::memcpy(line, from, static_cast<size_t>(count) * sizeof(uint16_t));
      } else {
        for (int64_t q = 0; q < count; ++q) line[q] = from[q * column];
      }
    }
  }
}

// For each 16 columns the tiles of all terms, a row of which holds two terms of each column.
inline void pack_right_tiles(int64_t columns, int64_t k, const uint16_t* b, int64_t row, int64_t column, uint16_t* to) {
  constexpr int64_t side = TileShape::side, terms = TileShape::terms;
  std::memset(to, 0, static_cast<size_t>(packed_tiles(columns, k)) * sizeof(uint16_t));
  const int64_t steps = (k + terms - 1) / terms;
  for (int64_t j = 0; j < columns; j += side) {
    const int64_t count = std::min(side, columns - j);
    uint16_t* tiles = to + j * steps * terms;
    const uint16_t* from = b + j * column;
    if (column == 1) {
      for (int64_t p = 0; p < k; ++p) {
        uint16_t* line = tiles + p / 2 * (2 * side) + p % 2;
        const uint16_t* source = from + p * row;
        for (int64_t c = 0; c < count; ++c) line[2 * c] = source[c];
      }
    } else {
      for (int64_t c = 0; c < count; ++c) {
        for (int64_t p = 0; p < k; ++p) tiles[p / 2 * (2 * side) + 2 * c + p % 2] = from[p * row + c * column];
      }
    }
  }
}

// Terms added up before they join the sum.
inline constexpr int64_t tile_sum_terms = 2048;

// sums[32 x 32] = the block of 32 rows and 32 columns that begin in `a` and `b`.
template <class Tiles>
MLX_TILE_TARGET void tile_block(Tiles& tiles, int64_t k, const uint16_t* a, const uint16_t* b, float* sums) {
  constexpr int64_t numbers = TileShape::numbers, block = TileShape::block, side = TileShape::side;
  const int64_t steps = (k + TileShape::terms - 1) / TileShape::terms, most = tile_sum_terms / TileShape::terms;
  const uint16_t *a2 = a + steps * numbers, *b2 = b + steps * numbers;
  alignas(64) float part[block * block];
  for (int64_t first = 0; first < steps; first += most) {
    tiles.clear();
    for (int64_t s = first, end = std::min(steps, first + most); s < end; ++s) {
      tiles.template left<0>(a + s * numbers);
      tiles.template left<1>(a2 + s * numbers);
      tiles.template right<0>(b + s * numbers);
      tiles.template right<1>(b2 + s * numbers);
      tiles.multiply();
    }
    float* to = first == 0 ? sums : part;
    tiles.template sums<0, 0>(to, block);
    tiles.template sums<0, 1>(to + side, block);
    tiles.template sums<1, 0>(to + side * block, block);
    tiles.template sums<1, 1>(to + side * block + side, block);
    if (first > 0) {
      for (int64_t i = 0; i < block * block; ++i) sums[i] += part[i];
    }
  }
}

// Rows and columns of packed operands; `store(row, column, rows, columns, sums)` gets each block, of `sums` rows of 32.
template <class Tiles, class Store>
MLX_TILE_TARGET void tile_blocks(
    Tiles& tiles, int64_t rows, int64_t columns, int64_t k, const uint16_t* a, const uint16_t* b, Store store) {
  constexpr int64_t block = TileShape::block;
  const int64_t pitch = packed_tiles(1, k); // of a block of rows or columns
  alignas(64) float sums[block * block];
  tiles.start();
  for (int64_t j = 0; j < columns; j += block) {
    for (int64_t i = 0; i < rows; i += block) {
      tile_block(tiles, k, a + i / block * pitch, b + j / block * pitch, sums);
      store(i, j, std::min(block, rows - i), std::min(block, columns - j), sums);
    }
  }
  tiles.stop();
}

inline constexpr int64_t most_tile_rows = 128, most_tile_columns = 512; // of a task

template <class Tiles>
struct TileProduct {
  int64_t m, n, k;
  Matrix a, b;
  bfloat16_t* out;

  void pack_right(int64_t first, int64_t count, uint16_t* to) const {
    pack_right_tiles(
        count, k, static_cast<const uint16_t*>(b.data) + first * b.column_stride, b.row_stride, b.column_stride, to);
  }
  // Rows and columns from (row, column) on, whose right operand is packed.
  void piece(int64_t row, int64_t rows, int64_t column, int64_t columns, const uint16_t* right) const {
    auto* left = static_cast<uint16_t*>(product_memory(0, packed_tiles(rows, k) * int64_t{sizeof(uint16_t)}));
    pack_left_tiles(
        rows, k, static_cast<const uint16_t*>(a.data) + row * a.row_stride, a.row_stride, a.column_stride, left);
    static const Kernel narrow = find_cast(float32, bfloat16);
    Tiles tiles;
    tile_blocks(tiles, rows, columns, k, left, right,
        [&](int64_t i, int64_t j, int64_t block_rows, int64_t block_columns, const float* sums) {
          for (int64_t r = 0; r < block_rows; ++r) {
            const void* from = sums + r * TileShape::block;
            narrow(&from, out + (row + i + r) * n + column + j, block_columns);
          }
        });
  }
};

// As gemm().
template <class Tiles>
void tile_gemm(int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out) {
  auto ceil_div = [](int64_t x, int64_t y) { return (x + y - 1) / y; };
  auto product = [&](int64_t i) {
    return TileProduct<Tiles>{m, n, k, offset(a, i * a_batch_stride, bfloat16), offset(b, i * b_batch_stride, bfloat16),
        static_cast<bfloat16_t*>(out) + i * m * n};
  };
  if (m <= most_tile_rows && n <= most_tile_columns && (batch > 1 || m * n * k < int64_t{1} << 22)) { // a task each
    return parallel_for(batch, [&](int64_t i) {
      TileProduct<Tiles> one = product(i);
      auto* right = static_cast<uint16_t*>(product_memory(1, packed_tiles(n, k) * int64_t{sizeof(uint16_t)}));
      one.pack_right(0, n, right);
      one.piece(0, m, 0, n, right);
    });
  }
  // Otherwise the right operand is packed once, and then shared.
  const int64_t rows = std::min(most_tile_rows, ceil_div(ceil_div(m, 2), TileShape::block) * TileShape::block);
  const int64_t down = ceil_div(m, rows), across = ceil_div(n, most_tile_columns);
  const int64_t strip = packed_tiles(1, k), strips = ceil_div(n, TileShape::block);
  BufferRef packed = allocate(static_cast<size_t>(strip * strips) * sizeof(uint16_t));
  auto* right = static_cast<uint16_t*>(packed->data);
  for (int64_t i = 0; i < batch; ++i) {
    TileProduct<Tiles> one = product(i);
    if (i == 0 || b_batch_stride != 0) {
      parallel_for(strips, [&](int64_t s) {
        const int64_t first = s * TileShape::block;
        one.pack_right(first, std::min(TileShape::block, n - first), right + s * strip);
      });
    }
    parallel_for(down * across, [&](int64_t task) {
      const int64_t row = task / across * rows, column = task % across * most_tile_columns;
      one.piece(row, std::min(rows, m - row), column, std::min(most_tile_columns, n - column),
          right + column / TileShape::block * strip);
    });
  }
}

} // namespace mlx::core::cpu
