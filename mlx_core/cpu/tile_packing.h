// Operands of products by tiles in the order that the tiles read, and the results back in theirs.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "mlx_core/half.h"

namespace mlx::core::cpu {

struct TileShape {
  static constexpr int64_t side = 16, terms = 32, numbers = side * terms;
  static constexpr int64_t block = 2 * side; // rows and columns of the sums that are in registers at once
};

// Numbers of a packed digit of `lines` rows (or columns) and k terms. Missing ones are 0.
inline int64_t packed_tiles(int64_t lines, int64_t k) {
  auto up = [](int64_t x, int64_t to) { return (x + to - 1) / to * to; };
  return up(lines, TileShape::block) * up(k, TileShape::terms);
}

// A product of bfloat16 is one product on tiles; numbers of more bits are written in digits, exactly.
//
// float32: x = h + m + l, of 8 bits each, the second at most 2^-8 of the first and the third 2^-8 of the second. Of the
// nine products of digits the three smallest are left out, together at most 2^-23 of the product and without a sign
// of their own, and the others join one sum, from the smallest on. As tiles add up 32 terms apart before these join the
// sum, that is rounded less often than it is by multiply-add. Tiles take subnormals for zeros, digits and their
// products as well: a number so small that its lowest digit may be one is written as NaN, and sums so small that such
// products may have counted are odd.
//
// float16, of 11 bits: x = h + l with h of 6 bits and l of 5, and m = h / 32 - l. The sum of x x' is 33 / 32 of that of
// h h' and 33 times that of l l' less 32 times that of m m'. The last two are small, so that it rounds no worse than
// one sum in float32.
template <class T>
inline constexpr int tile_digits = std::is_same_v<T, bfloat16_t> ? 1 : 3;

// How often the terms are gone through: once for each digit of float16.
template <class T>
inline constexpr int tile_passes = std::is_same_v<T, float16_t> ? 3 : 1;
template <class T>
constexpr float pass_weight(int pass) {
  return tile_passes<T> == 1 ? 1.0f : pass == 0 ? 33.0f / 32 : pass == 1 ? 33.0f : -32.0f;
}

// Of larger numbers all digits are normal, and of larger terms, at least that on average, all products of them that
// count.
inline constexpr float tiny_number = 0x1p-100f, tiny_term = 0x1p-98f;

// A sum of k terms that has to be computed without tiles, for what it was made of is not known from its digits;
// by vectors: odd() of tile_packing.cpp.
template <class T>
bool is_odd_sum(float sum, int64_t k) {
  if constexpr (tile_passes<T> > 1) return std::isnan(sum);
  const float size = std::abs(sum);
  return !std::isfinite(size) || (size < static_cast<float>(k) * tiny_term && size != 0);
}

// Digits that are multiplied in one pass: their tiles lie side by side.
template <class T>
inline constexpr int digits_of_pass = tile_digits<T> / tile_passes<T>;

template <class T>
struct TileBodies {
  // Lines are rows of the left operand or columns of the right one; strides count elements. For each 16 lines come the
  // tiles of all terms, one after another, each with its digits of a pass; after packed_tiles() numbers of each of
  // these, the same of the next pass. Of the left operand a row of a tile is 32 terms of a line, of the right one two
  // terms of each of the 16 lines. What is not finite has a NaN among its digits.
  void (*pack_left)(int64_t lines, int64_t k, const T* from, int64_t line, int64_t term, uint16_t* to);
  void (*pack_right)(int64_t lines, int64_t k, const T* from, int64_t line, int64_t term, uint16_t* to);

  // The digits of lines of numbers, one line after another, each digit `plane` numbers behind the one before. Rows of
  // left tiles may begin anywhere in them, and their pairs are neighbours; where `halves` they are those that
  // pack_right() makes, and rows begin at multiples of 32.
  void (*split)(int64_t lines, int64_t count, const T* from, int64_t line, bool halves, uint16_t* to, int64_t plane);

  // Of a block of sums of k terms, rows of at most 32 that are `row` apart. Says whether one is_odd_sum(); of bfloat16
  // none is.
  bool (*round)(int64_t rows, int64_t columns, int64_t k, const float* sums, int64_t row, T* out, int64_t out_row);
  // The same, but not rounded.
  bool (*keep)(int64_t rows, int64_t columns, int64_t k, const float* sums, int64_t row, float* out, int64_t out_row);
};
template <class T>
const TileBodies<T>& tile_bodies();
template <>
const TileBodies<float>& tile_bodies();
template <>
const TileBodies<bfloat16_t>& tile_bodies();
template <>
const TileBodies<float16_t>& tile_bodies();

// Such a block becomes `part`, whose rows are 32 long, times a weight; or that is added.
void add_sums(int64_t rows, int64_t columns, const float* part, float weight, bool first, float* sums, int64_t row);

} // namespace mlx::core::cpu
