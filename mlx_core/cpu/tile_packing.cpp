// Reordering for products by tiles: lines are copied, pairs of them interleaved, squares of pairs transposed.
#include "mlx_core/cpu/tile_packing.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

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

// What numbers are read as.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, float>, float, uint16_t>;

// How many terms after a number of type T the other one of its pair is: what is quickest to put beside it.
template <class T>
constexpr int64_t partner = tile_digits<T> == 1 ? 1 : side;
template <class T>
constexpr int64_t term_of_pair(int64_t pair) {
  return tile_digits<T> == 1 ? 2 * pair : pair;
}

// The digits of floats, whose lower halves are 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void split(D d, hn::Vec<hn::RebindToFloat<D>> x, V (&digit)[3]) {
  const hn::RebindToFloat<D> df;
  auto rounded = [&](auto v) HWY_ATTR {
    return hn::And(hn::Add(hn::BitCast(d, v), hn::Set(d, 0x8000u)), hn::Set(d, 0xffff0000u));
  };
  digit[0] = rounded(x);
  const auto rest = hn::Sub(x, hn::BitCast(df, digit[0]));
  digit[1] = rounded(rest);
  // The lowest digit of a smaller number may be subnormal. Doubled, bits have no sign; zeros and subnormals wrap
  // around.
  const auto bits = hn::BitCast(d, x);
  constexpr uint32_t least = 2 * std::bit_cast<uint32_t>(std::numeric_limits<float>::min()),
                     most = 2 * std::bit_cast<uint32_t>(tiny_number);
  const auto tiny = hn::Lt(hn::Sub(hn::Add(bits, bits), hn::Set(d, least)), hn::Set(d, most - least));
  const auto last = hn::BitCast(d, hn::Sub(rest, hn::BitCast(df, digit[1])));
  digit[2] = hn::IfThenElse(tiny, hn::Set(d, 0x7fc00000u), last);
}

// A row of pairs: element c of two lines side by side, for 16 elements; of each digit one, `plane` numbers apart.
template <class T>
HWY_INLINE void interleave(const Stored<T>* first, const Stored<T>* second, uint16_t* to, int64_t plane) {
  const hn::CappedTag<uint32_t, side> d;
  const hn::RebindToFloat<decltype(d)> df;
  using Bits = hn::Vec<decltype(d)>;
  auto store = [&](Bits low, Bits high, uint16_t* at)
                   HWY_ATTR { hn::StoreU(hn::Or(low, high), d, reinterpret_cast<uint32_t*>(at)); };
  for (int64_t c = 0; c < side; c += static_cast<int64_t>(hn::Lanes(d))) {
    if constexpr (tile_digits<T> == 1) {
      auto load = [&](const uint16_t* from)
                      HWY_ATTR { return hn::PromoteTo(d, hn::LoadU(hn::Rebind<uint16_t, decltype(d)>(), from + c)); };
      store(load(first), hn::ShiftLeft<16>(load(second)), to + 2 * c);
    } else {
      Bits digit[2][tile_digits<T>]; // float32 whose lower halves are 0
      for (int i = 0; i < 2; ++i) {
        const Stored<T>* from = (i == 0 ? first : second) + c;
        if constexpr (std::is_same_v<T, float>) {
          split(d, hn::LoadU(df, from), digit[i]);
        } else {
          HWY_ALIGN float wide[hn::MaxLanes(df)];
          bodies::HWY_NAMESPACE::widen(reinterpret_cast<const T*>(from), wide, static_cast<int64_t>(hn::Lanes(df)));
          const auto x = hn::Load(df, wide);
          digit[i][0] = hn::And(hn::Add(hn::BitCast(d, x), hn::Set(d, 0x20000u)), hn::Set(d, 0xfffc0000u));
          const auto high = hn::BitCast(df, digit[i][0]), low = hn::Sub(x, high);
          digit[i][1] = hn::BitCast(d, low);
          digit[i][2] = hn::BitCast(d, hn::Sub(hn::Mul(high, hn::Set(df, 1.0f / 32)), low));
        }
      }
      for (int i = 0; i < tile_digits<T>; ++i)
        store(hn::ShiftRight<16>(digit[0][i]), digit[1][i], to + i * plane + 2 * c);
    }
  }
}

// to[j][i] = from[i][j] for 16 x 16 pairs; rows of `from` are `line` 16-bit numbers apart.
HWY_INLINE void transpose(const uint16_t* from, int64_t line, uint16_t* to) {
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
}

// One tile of 16 lines of 32 consecutive terms, `line` apart.
template <bool right, class T>
HWY_INLINE void pack_lines(const Stored<T>* from, int64_t line, uint16_t* to, int64_t plane) {
  if constexpr (tile_digits<T> > 1 && right) {
    alignas(64) uint16_t squares[tile_digits<T> * numbers];
    pack_lines<false, T>(from, line, squares, numbers);
    for (int digit = 0; digit < tile_digits<T>; ++digit)
      transpose(squares + digit * numbers, terms, to + digit * plane);
  } else if constexpr (right) {
    transpose(from, line, to);
  } else {
    for (int64_t i = 0; i < side; ++i, from += line, to += terms) {
      if constexpr (tile_digits<T> > 1) {
        interleave<T>(from, from + partner<T>, to, plane);
      } else {
        std::memcpy(to, from, terms * sizeof(uint16_t));
      }
    }
  }
}

// A tile that is not full, or of elements none of which are neighbours.
template <bool right, class T>
HWY_NOINLINE void pack_part(
    int64_t lines, int64_t k, const Stored<T>* from, int64_t line, int64_t term, uint16_t* to, int64_t plane) {
  alignas(64) Stored<T> whole[numbers] = {};
  for (int64_t i = 0; i < lines; ++i) {
    if (term == 1) {
      std::memcpy(whole + i * terms, from + i * line, static_cast<size_t>(k) * sizeof(*from));
    } else {
      for (int64_t p = 0; p < k; ++p) whole[i * terms + p] = from[i * line + p * term];
    }
  }
  pack_lines<right, T>(whole, terms, to, plane);
}

template <bool right, class T>
void pack(int64_t lines, int64_t k, const T* from_lines, int64_t line, int64_t term, uint16_t* to) {
  auto* from = reinterpret_cast<const Stored<T>*>(from_lines);
  const int64_t step = digits_of_pass<T> * numbers, steps = (k + terms - 1) / terms, pitch = steps * step;
  const int64_t plane = tile_passes<T> > 1 ? packed_tiles(lines, k) : numbers, whole_steps = k / terms;
  const int64_t whole_lines = line == 1 || term == 1 ? lines / side * side : 0,
                whole_end = whole_lines ? whole_steps : 0;
  auto tile = [&](int64_t i, int64_t s) { return to + i / side * pitch + s * step; };
  if (line == 1 && term != 1) { // the rows of memory from one end to the other
    alignas(64) uint16_t squares[tile_digits<T> * numbers];
    for (int64_t s = 0; s < whole_end; ++s) {
      const Stored<T>* rows = from + s * terms * term;
      auto pair = [&](int64_t i, int64_t p, uint16_t* at, int64_t apart) HWY_ATTR {
        const Stored<T>* first = rows + term_of_pair<T>(p) * term + i;
        interleave<T>(first, first + partner<T> * term, at + p * terms, apart);
      };
      if constexpr (right) {
        for (int64_t p = 0; p < side; ++p) {
          for (int64_t i = 0; i < whole_lines; i += side) pair(i, p, tile(i, s), plane);
        }
      } else {
        for (int64_t i = 0; i < whole_lines; i += side) {
          for (int64_t p = 0; p < side; ++p) pair(i, p, squares, numbers);
          for (int digit = 0; digit < tile_digits<T>; ++digit) {
            transpose(squares + digit * numbers, terms, tile(i, s) + digit * plane);
          }
        }
      }
    }
  } else {
    for (int64_t i = 0; i < whole_lines; i += side) {
      for (int64_t s = 0; s < whole_end; ++s) {
        pack_lines<right, T>(from + i * line + s * terms, line, tile(i, s), plane);
      }
    }
  }
  for (int64_t i = 0; i < lines; i += side) {
    for (int64_t s = i < whole_lines ? whole_end : 0; s < steps; ++s) {
      pack_part<right, T>(std::min(side, lines - i), std::min(terms, k - s * terms), from + i * line + s * terms * term,
          line, term, tile(i, s), plane);
    }
  }
}

template <class T>
void split_lines(
    int64_t lines, int64_t count, const T* from_lines, int64_t line, bool halves, uint16_t* to, int64_t plane) {
  auto* from_line = reinterpret_cast<const Stored<T>*>(from_lines);
  for (int64_t l = 0; l < lines; ++l, from_line += line) {
    if constexpr (tile_digits<T> == 1) {
      std::memcpy(to, from_line, static_cast<size_t>(count) * sizeof(*from_line));
      to += count;
      continue;
    }
    alignas(64) Stored<T> pairs[terms], whole[terms] = {};
    alignas(64) uint16_t rest[tile_digits<T> * terms];
    for (int64_t i = 0; i < count; i += terms) {
      const int64_t here = std::min(terms, count - i);
      const Stored<T>* from = from_line + i;
      if (here < terms) {
        std::copy(from, from + here, whole);
        from = whole;
      }
      if (!halves) {
        for (int64_t p = 0; p < side; ++p) pairs[p] = from[2 * p], pairs[side + p] = from[2 * p + 1];
        from = pairs;
      }
      if (here == terms) {
        interleave<T>(from, from + side, to, plane);
      } else {
        interleave<T>(from, from + side, rest, terms);
        for (int64_t digit = 0; digit < tile_digits<T>; ++digit) {
          std::copy(rest + digit * terms, rest + digit * terms + here, to + digit * plane);
        }
      }
      to += here;
    }
  }
}

// Results that are computed without tiles.
template <class T, class D, class V>
HWY_INLINE hn::Mask<D> odd(D d, V x, int64_t k) {
  if constexpr (tile_passes<T> > 1) return hn::IsNaN(x);
  const auto size = hn::Abs(x);
  const auto tiny = hn::And(hn::Lt(size, hn::Set(d, static_cast<float>(k) * tiny_term)), hn::Ne(x, hn::Zero(d)));
  return hn::Or(hn::Not(hn::IsFinite(x)), tiny);
}

template <class T, class Out>
bool written(int64_t rows, int64_t columns, int64_t k, const float* sums, int64_t row, Out* out, int64_t out_row) {
  constexpr bool keeps = std::is_same_v<Out, float>;
  const hn::CappedTag<float, side> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto any = hn::FirstN(d, 0);
  for (int64_t i = 0; i < rows; ++i) {
    const float* from = sums + i * row;
    Out* to = out + i * out_row;
    if constexpr (!keeps) bodies::HWY_NAMESPACE::narrow(from, to, columns);
    if constexpr (keeps || tile_digits<T> > 1) {
      for (int64_t j = 0; j < columns; j += lanes) {
        const auto x = hn::LoadU(d, from + j);
        if constexpr (tile_digits<T> > 1) any = hn::Or(any, odd<T>(d, x, k));
        if constexpr (keeps) {
          j + lanes <= columns ? hn::StoreU(x, d, to + j)
                               : static_cast<void>(std::copy(from + j, from + columns, to + j));
        }
      }
    }
  }
  return !hn::AllFalse(d, any);
}

template <class T>
const TileBodies<T>& tile_bodies() {
  static constexpr TileBodies<T> all{
      &pack<false, T>, &pack<true, T>, &split_lines<T>, &written<T, T>, &written<T, float>};
  return all;
}
const TileBodies<float>& float_bodies() { return tile_bodies<float>(); }
const TileBodies<bfloat16_t>& bfloat16_bodies() { return tile_bodies<bfloat16_t>(); }
const TileBodies<float16_t>& float16_bodies() { return tile_bodies<float16_t>(); }

void add_sums(int64_t rows, int64_t columns, const float* part, float weight, bool first, float* sums, int64_t row) {
  const hn::CappedTag<float, side> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factor = hn::Set(d, weight);
  for (int64_t i = 0; i < rows; ++i) {
    const float* from = part + i * TileShape::block;
    float* to = sums + i * row;
    for (int64_t j = 0; j < columns; j += lanes) {
      const auto x = hn::LoadU(d, from + j);
      hn::StoreU(first ? hn::Mul(x, factor) : hn::MulAdd(x, factor, hn::LoadU(d, to + j)), d, to + j);
    }
  }
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(float_bodies);
HWY_EXPORT(bfloat16_bodies);
HWY_EXPORT(float16_bodies);
HWY_EXPORT(add_sums);

template <>
const TileBodies<float>& tile_bodies() {
  return HWY_DYNAMIC_DISPATCH(float_bodies)();
}
template <>
const TileBodies<bfloat16_t>& tile_bodies() {
  return HWY_DYNAMIC_DISPATCH(bfloat16_bodies)();
}
template <>
const TileBodies<float16_t>& tile_bodies() {
  return HWY_DYNAMIC_DISPATCH(float16_bodies)();
}
void add_sums(int64_t rows, int64_t columns, const float* part, float weight, bool first, float* sums, int64_t row) {
  HWY_DYNAMIC_DISPATCH(add_sums)(rows, columns, part, weight, first, sums, row);
}
} // namespace mlx::core::cpu
#endif
