// Reordering for products by tiles: lines are copied, pairs of them interleaved, squares of pairs transposed.
#include "mlx_core/cpu/tile_packing.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/tile_packing.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t side = TileShape::side, terms = TileShape::terms, numbers = TileShape::numbers;

// A row of pairs: element c of two lines side by side, for 16 elements.
HWY_INLINE void interleave(const uint16_t* first, const uint16_t* second, uint16_t* to) {
  const hn::CappedTag<uint32_t, side> d;
  const hn::Rebind<uint16_t, decltype(d)> half;
  for (int64_t c = 0; c < side; c += static_cast<int64_t>(hn::Lanes(d))) {
    const auto low = hn::PromoteTo(d, hn::LoadU(half, first + c)), high = hn::PromoteTo(d, hn::LoadU(half, second + c));
    hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), d, reinterpret_cast<uint32_t*>(to + 2 * c));
  }
}

// to[j][i] = from[i][j] for 16 x 16 pairs; rows of `from` are `line` 16-bit numbers apart.
HWY_INLINE void transpose(const uint16_t* from, int64_t line, uint16_t* to) {
#if HWY_TARGET == HWY_SCALAR
  for (int64_t i = 0; i < side; ++i) {
    for (int64_t j = 0; j < side; ++j) std::memcpy(to + j * terms + 2 * i, from + i * line + 2 * j, 4);
  }
#else
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> pairs;
  for (int64_t i = 0; i < side; i += 4) {
    for (int64_t j = 0; j < side; j += 4) {
      auto load = [&](int64_t r) HWY_ATTR {
        return hn::LoadU(d, reinterpret_cast<const uint32_t*>(from + (i + r) * line + 2 * j));
      };
      auto store = [&](auto v, int64_t r) HWY_ATTR {
        hn::StoreU(hn::BitCast(d, v), d, reinterpret_cast<uint32_t*>(to + (j + r) * terms + 2 * i));
      };
      const auto r0 = load(0), r1 = load(1), r2 = load(2), r3 = load(3);
      const auto l01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
      const auto l23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
      const auto u01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
      const auto u23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
      store(hn::InterleaveLower(pairs, l01, l23), 0), store(hn::InterleaveUpper(pairs, l01, l23), 1);
      store(hn::InterleaveLower(pairs, u01, u23), 2), store(hn::InterleaveUpper(pairs, u01, u23), 3);
    }
  }
#endif
}

// One tile of 16 lines of 32 consecutive terms, `line` apart.
template <bool right>
HWY_INLINE void pack_lines(const uint16_t* from, int64_t line, uint16_t* to) {
  if constexpr (right) {
    transpose(from, line, to);
  } else {
    for (int64_t i = 0; i < side; ++i) std::memcpy(to + i * terms, from + i * line, terms * sizeof(uint16_t));
  }
}

// A tile that is not full, or of elements none of which are neighbours.
template <bool right>
HWY_NOINLINE void pack_part(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to) {
  alignas(64) uint16_t whole[numbers] = {};
  for (int64_t i = 0; i < lines; ++i) {
    if (term == 1) {
      std::memcpy(whole + i * terms, from + i * line, static_cast<size_t>(k) * sizeof(uint16_t));
    } else {
      for (int64_t p = 0; p < k; ++p) whole[i * terms + p] = from[i * line + p * term];
    }
  }
  pack_lines<right>(whole, terms, to);
}

template <bool right>
void pack(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to) {
  const int64_t steps = (k + terms - 1) / terms, pitch = steps * numbers, whole_steps = k / terms;
  const int64_t whole_lines = line == 1 || term == 1 ? lines / side * side : 0,
                whole_end = whole_lines ? whole_steps : 0;
  auto tile = [&](int64_t i, int64_t s) { return to + i / side * pitch + s * numbers; };
  if (line == 1 && term != 1) { // the rows of memory from one end to the other
    alignas(64) uint16_t square[numbers];
    for (int64_t s = 0; s < whole_end; ++s) {
      const uint16_t* rows = from + s * terms * term;
      if constexpr (right) {
        for (int64_t p = 0; p < terms; p += 2) {
          const uint16_t *first = rows + p * term, *second = first + term;
          for (int64_t i = 0; i < whole_lines; i += side) interleave(first + i, second + i, tile(i, s) + p * side);
        }
      } else {
        for (int64_t i = 0; i < whole_lines; i += side) {
          for (int64_t p = 0; p < terms; p += 2) {
            interleave(rows + p * term + i, rows + (p + 1) * term + i, square + p * side);
          }
          transpose(square, terms, tile(i, s));
        }
      }
    }
  } else {
    for (int64_t i = 0; i < whole_lines; i += side) {
      for (int64_t s = 0; s < whole_end; ++s) pack_lines<right>(from + i * line + s * terms, line, tile(i, s));
    }
  }
  for (int64_t i = 0; i < lines; i += side) {
    for (int64_t s = i < whole_lines ? whole_end : 0; s < steps; ++s) {
      pack_part<right>(std::min(side, lines - i), std::min(terms, k - s * terms), from + i * line + s * terms * term,
          line, term, tile(i, s));
    }
  }
}

void left_tiles(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to) {
  pack<false>(lines, k, from, line, term, to);
}
void right_tiles(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to) {
  pack<true>(lines, k, from, line, term, to);
}

void add_sums(int64_t rows, int64_t columns, const float* part, float* sums, int64_t row) {
  const hn::CappedTag<float, side> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < rows; ++i) {
    const float* from = part + i * TileShape::block;
    float* to = sums + i * row;
    for (int64_t j = 0; j < columns; j += lanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, to + j), hn::LoadU(d, from + j)), d, to + j);
    }
  }
}

void round_sums(int64_t rows, int64_t columns, const float* sums, int64_t row, bfloat16_t* out, int64_t out_row) {
  for (int64_t i = 0; i < rows; ++i) bodies::HWY_NAMESPACE::narrow(sums + i * row, out + i * out_row, columns);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(left_tiles);
HWY_EXPORT(right_tiles);
HWY_EXPORT(add_sums);
HWY_EXPORT(round_sums);
void pack_left_tiles(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to) {
  HWY_DYNAMIC_DISPATCH(left_tiles)(lines, k, from, line, term, to);
}
void pack_right_tiles(int64_t lines, int64_t k, const uint16_t* from, int64_t line, int64_t term, uint16_t* to) {
  HWY_DYNAMIC_DISPATCH(right_tiles)(lines, k, from, line, term, to);
}
void add_sums(int64_t rows, int64_t columns, const float* part, float* sums, int64_t row) {
  HWY_DYNAMIC_DISPATCH(add_sums)(rows, columns, part, sums, row);
}
void round_sums(int64_t rows, int64_t columns, const float* sums, int64_t row, bfloat16_t* out, int64_t out_row) {
  HWY_DYNAMIC_DISPATCH(round_sums)(rows, columns, sums, row, out, out_row);
}
} // namespace mlx::core::cpu
#endif
