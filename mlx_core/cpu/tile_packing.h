// Operands of products by tiles in the order that the tiles read, and the results back in theirs.
#pragma once

#include <cstdint>

#include "mlx_core/half.h"

namespace mlx::core::cpu {

struct TileShape {
  static constexpr int64_t side = 16, terms = 32, numbers = side * terms;
  static constexpr int64_t block = 2 * side; // rows and columns of the sums that are in registers at once
};

// Numbers of a packed operand of `lines` rows (or columns) and k terms. Missing ones are 0.
inline int64_t packed_tiles(int64_t lines, int64_t k) {
  auto up = [](int64_t x, int64_t to) { return (x + to - 1) / to * to; };
  return up(lines, TileShape::block) * up(k, TileShape::terms);
}

// Lines are rows of the left operand or columns of the right one; strides count elements. For each 16 lines come the
// tiles of all terms, one after another. Of the left operand a row of a tile is 32 terms of a line, of the right one
// two terms of each of the 16 lines.
void pack_left_tiles(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to);
void pack_right_tiles(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to);

// Of a block of sums, rows of at most 32 that are `row` apart: adds those of `part`, whose rows are 32 long; rounds.
void add_sums(int64_t rows, int64_t columns, const float* part, float* sums, int64_t row);
void round_sums(int64_t rows, int64_t columns, const float* sums, int64_t row, bfloat16_t* out, int64_t out_row);

} // namespace mlx::core::cpu
