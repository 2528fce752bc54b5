// Operands of products by tiles in the order that the tiles read, and the results back in theirs.
#pragma once

#include <cstdint>
#include <type_traits>

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

// A product of bfloat16 is one product on tiles. One of float16, whose 11 bits tiles do not take, is three: x = h + l
// with h of 6 bits and l of 5, and m = h / 32 - l, all of them exact. The sum of x x' is 33 / 32 of that of h h' and 33
// times that of l l' less 32 times that of m m'. The last two are small, so that it rounds no worse than one sum in
// float32.
template <class T>
inline constexpr int tile_digits = std::is_same_v<T, float16_t> ? 3 : 1;
template <class T>
constexpr float digit_weight(int digit) {
  return tile_digits<T> == 1 ? 1.0f : digit == 0 ? 33.0f / 32 : digit == 1 ? 33.0f : -32.0f;
}

template <class T>
struct TileBodies {
  // Lines are rows of the left operand or columns of the right one; strides count elements. For each 16 lines come the
  // tiles of all terms, one after another; after packed_tiles() numbers, the same of the next digit. Of the left
  // operand a row of a tile is 32 terms of a line, of the right one two terms of each of the 16 lines. What is not
  // finite has a NaN among its digits.
  void (*pack_left)(int64_t lines, int64_t k, const T* from, int64_t line, int64_t term, uint16_t* to);
  void (*pack_right)(int64_t lines, int64_t k, const T* from, int64_t line, int64_t term, uint16_t* to);

  // Of a block of sums, rows of at most 32 that are `row` apart. Says whether one of float16 is NaN.
  bool (*round)(int64_t rows, int64_t columns, const float* sums, int64_t row, T* out, int64_t out_row);
};
template <class T>
const TileBodies<T>& tile_bodies();
template <>
const TileBodies<bfloat16_t>& tile_bodies();
template <>
const TileBodies<float16_t>& tile_bodies();

// Such a block becomes `part`, whose rows are 32 long, times a weight; or that is added.
void add_sums(int64_t rows, int64_t columns, const float* part, float weight, bool first, float* sums, int64_t row);

} // namespace mlx::core::cpu
