// Quicksort of integers with vectors: parting by compressing, and sorting networks for what is short.
#if defined(MLX_CPU_SORT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_SORT_INL_H_
#undef MLX_CPU_SORT_INL_H_
#else
#define MLX_CPU_SORT_INL_H_
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "mlx_core/cpu/simd.h"
#include "mlx_core/cpu/sort_kernels.h"
#include "mlx_core/interrupt.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

inline constexpr int64_t sort_looks_after = 1 << 17; // elements, for an interrupt

// --- networks: rows of L lanes, whose columns are sorted first and then merged, twice as many each time ---
// In the order that is sorted, a column's elements follow one another, and then come those of the next column.

template <int R>
struct ColumnNetwork;
template <>
struct ColumnNetwork<1> {
  static constexpr int size = 0;
  static constexpr uint8_t steps[1][2] = {{0, 0}};
};
template <>
struct ColumnNetwork<2> {
  static constexpr int size = 1;
  static constexpr uint8_t steps[size][2] = {{0, 1}};
};
template <>
struct ColumnNetwork<4> {
  static constexpr int size = 5;
  static constexpr uint8_t steps[size][2] = {{0, 1}, {2, 3}, {0, 2}, {1, 3}, {1, 2}};
};
template <>
struct ColumnNetwork<8> { // the least number of steps there is
  static constexpr int size = 19;
  static constexpr uint8_t steps[size][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6}, {3, 7}, {0, 1},
      {2, 3}, {4, 5}, {6, 7}, {2, 4}, {3, 5}, {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
};
template <>
struct ColumnNetwork<16> { // 10 steps deep, one more than the fewest
  static constexpr int size = 61;
  static constexpr uint8_t steps[size][2] = {{0, 5}, {1, 4}, {2, 12}, {3, 13}, {6, 7}, {8, 9}, {10, 15}, {11, 14},
      {0, 2}, {1, 10}, {3, 6}, {4, 7}, {5, 14}, {8, 11}, {9, 12}, {13, 15}, {0, 8}, {1, 3}, {2, 11}, {4, 13}, {5, 9},
      {6, 10}, {7, 15}, {12, 14}, {0, 1}, {2, 4}, {3, 8}, {5, 6}, {7, 12}, {9, 10}, {11, 13}, {14, 15}, {1, 3}, {2, 5},
      {4, 8}, {6, 9}, {7, 11}, {10, 13}, {12, 14}, {1, 2}, {3, 5}, {4, 11}, {6, 8}, {7, 9}, {10, 12}, {13, 14}, {2, 3},
      {4, 5}, {6, 7}, {8, 9}, {10, 11}, {12, 13}, {4, 6}, {5, 7}, {8, 10}, {9, 11}, {3, 4}, {5, 6}, {7, 8}, {9, 10},
      {11, 12}};
};

template <class V>
HWY_INLINE void exchange(V& a, V& b) {
  V low = hn::Min(a, b);
  b = hn::Max(a, b);
  a = low;
}

template <int R, class V, size_t... i>
HWY_INLINE void sort_columns(V* rows, std::index_sequence<i...>) {
  (exchange(rows[ColumnNetwork<R>::steps[i][0]], rows[ColumnNetwork<R>::steps[i][1]]), ...);
}

// Lanes in reverse within blocks of `block`.
template <int block, class D, class V>
HWY_INLINE V reversed(D d, V v) {
  if constexpr (block == static_cast<int>(hn::MaxLanes(D()))) {
    return hn::Reverse(d, v);
  } else if constexpr (block == 2) {
    return hn::Reverse2(d, v);
  } else if constexpr (block == 4) {
    return hn::Reverse4(d, v);
  } else {
    return hn::Reverse8(d, v);
  }
}

// Each lane from `distance` away: up where that bit of its number is 0, else down.
template <int distance, class D, class V>
HWY_INLINE V swapped(D d, V v) {
  constexpr int bytes = distance * static_cast<int>(sizeof(hn::TFromD<D>));
  constexpr int whole = static_cast<int>(hn::MaxLanes(D()) * sizeof(hn::TFromD<D>));
  if constexpr (2 * bytes == whole && bytes > 8) {
    return hn::ConcatLowerUpper(d, v, v);
  } else if constexpr (bytes == 16) {
    return hn::SwapAdjacentBlocks(v);
  } else if constexpr (distance == 1) {
    return hn::Reverse2(d, v);
  } else {
    static_assert(bytes == 8 && distance == 2);
    return hn::Shuffle1032(v);
  }
}

// Where the bit of the lane's number is 0.
template <int bit, class D>
HWY_INLINE auto below_bit(D d) {
  using T = hn::TFromD<D>;
  return hn::Eq(hn::And(hn::Iota(d, T(0)), hn::Set(d, T(bit))), hn::Zero(d));
}

template <int distance, int R, class D, class V>
HWY_INLINE void half_clean_lanes(D d, V* rows) {
  if constexpr (distance >= 1) {
    const auto low = below_bit<distance>(d);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      V other = swapped<distance>(d, rows[r]);
      rows[r] = hn::IfThenElse(low, hn::Min(rows[r], other), hn::Max(rows[r], other));
    }
    half_clean_lanes<distance / 2, R>(d, rows);
  }
}

template <int distance, int R, class V>
HWY_INLINE void half_clean_rows(V* rows) {
  if constexpr (distance >= 1) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      if ((r & distance) == 0) exchange(rows[r], rows[r + distance]);
    }
    half_clean_rows<distance / 2, R>(rows);
  }
}

// Merges columns whose halves are sorted, in blocks of `block` and then of all lanes: the one half in reverse makes a
// bitonic sequence.
template <int block, int R, class D, class V>
HWY_INLINE void merge_columns(D d, V* rows) {
  if constexpr (block <= static_cast<int>(hn::MaxLanes(D()))) {
    const auto low = below_bit<block / 2>(d);
    if constexpr (R == 1) {
      V other = reversed<block>(d, rows[0]);
      rows[0] = hn::IfThenElse(low, hn::Min(rows[0], other), hn::Max(rows[0], other));
    } else {
#pragma GCC unroll 8
      for (int r = 0; r < R / 2; ++r) {
        V &a = rows[r], &b = rows[R - 1 - r];
        V other = reversed<block>(d, b), least = hn::Min(a, other), most = hn::Max(a, other);
        a = hn::IfThenElse(low, least, most);
        b = reversed<block>(d, hn::IfThenElse(low, most, least));
      }
    }
    half_clean_lanes<block / 4, R>(d, rows);
    half_clean_rows<R / 2, R>(rows);
    merge_columns<block * 2, R>(d, rows);
  }
}

// Columns one after another become rows: a perfect shuffle backwards for each bit of a lane's number.
template <int lanes, int R, class D, class V>
HWY_INLINE void columns_to_rows(D d, V* rows) {
  if constexpr (lanes > 1 && R > 1) {
    V out[R];
#pragma GCC unroll 8
    for (int r = 0; r < R / 2; ++r) {
      out[r] = hn::ConcatEven(d, rows[2 * r + 1], rows[2 * r]);
      out[r + R / 2] = hn::ConcatOdd(d, rows[2 * r + 1], rows[2 * r]);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) rows[r] = out[r];
    columns_to_rows<lanes / 2, R>(d, rows);
  }
}

// Sorts up to R rows.
template <int R, class K>
HWY_NOINLINE void sort_rows(const K* from, int64_t n, K* to) {
  const hn::ScalableTag<K> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int L = static_cast<int>(hn::MaxLanes(d));
  alignas(64) K padded[R * L];
  const bool full = n == R * L;
  if (!full) {
    std::memcpy(padded, from, static_cast<size_t>(n) * sizeof(K));
    std::fill(padded + n, padded + R * L, std::numeric_limits<K>::max());
    from = padded;
  }
  V rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) rows[r] = hn::LoadU(d, from + r * L);
  sort_columns<R>(rows, std::make_index_sequence<ColumnNetwork<R>::size>());
  merge_columns<2, R>(d, rows);
  columns_to_rows<L, R>(d, rows);
  K* target = full ? to : padded;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) hn::StoreU(rows[r], d, target + r * L);
  if (!full) std::memcpy(to, padded, static_cast<size_t>(n) * sizeof(K));
}

template <class K>
struct Network {
  static constexpr int64_t lanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<K>()));
  static constexpr int64_t most = 16 * lanes;
};

template <class K>
void sort_short(const K* from, int64_t n, K* to) {
  constexpr int64_t L = Network<K>::lanes;
  if (n <= L) return sort_rows<1>(from, n, to);
  if (n <= 2 * L) return sort_rows<2>(from, n, to);
  if (n <= 4 * L) return sort_rows<4>(from, n, to);
  if (n <= 8 * L) return sort_rows<8>(from, n, to);
  return sort_rows<16>(from, n, to);
}

// --- parting ---

// The kept lanes in front. Not Highway's Compress, of whose tables GCC 12 makes a copy on the stack at each call.
template <class D, class V, class M>
HWY_INLINE V compressed([[maybe_unused]] D d, V v, M kept) {
  constexpr size_t lanes = hn::MaxLanes(D()), size = sizeof(hn::TFromD<D>);
#if HWY_TARGET == HWY_AVX3
  if constexpr (size == 4) {
    return V{_mm512_maskz_compress_epi32(kept.raw, v.raw)};
  } else {
    return V{_mm512_maskz_compress_epi64(kept.raw, v.raw)};
  }
#elif HWY_TARGET == HWY_AVX2
  int bits;
  if constexpr (size == 4) {
    bits = _mm256_movemask_ps(_mm256_castsi256_ps(kept.raw));
  } else {
    bits = _mm256_movemask_pd(_mm256_castsi256_pd(kept.raw));
  }
  const uint8_t* places = places_of_kept<lanes, size / 4>[static_cast<size_t>(bits)].data();
  const __m256i from = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(places)));
  return V{_mm256_permutevar8x32_epi32(v.raw, from)};
#else
  uint8_t bits[8];
  hn::StoreMaskBits(d, kept, bits);
  const hn::Repartition<uint8_t, D> of_bytes;
  const auto from = hn::LoadU(of_bytes, places_of_kept<lanes, size>[bits[0]].data());
  return hn::BitCast(d, hn::TableLookupBytes(hn::BitCast(of_bytes, v), from));
#endif
}

template <class K>
int64_t part(const K* from, int64_t n, K pivot, K* lows, K* highs) {
  int64_t i = 0, low = 0, high = 0;
  const hn::ScalableTag<K> d;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t L = static_cast<int64_t>(hn::MaxLanes(d));
  const V at = hn::Set(d, pivot);
  constexpr int together = 4;
  for (; i + together * L <= n; i += together * L) {
    V v[together];
#pragma GCC unroll 4
    for (int k = 0; k < together; ++k) v[k] = hn::LoadU(d, from + i + k * L);
#pragma GCC unroll 4
    for (int k = 0; k < together; ++k) {
      const auto below = hn::Lt(v[k], at);
      const auto count = static_cast<int64_t>(hn::CountTrue(d, below));
      hn::StoreU(compressed(d, v[k], below), d, lows + low);
      hn::StoreU(compressed(d, v[k], hn::Not(below)), d, highs + high);
      low += count;
      high += L - count;
    }
  }
  for (; i + L <= n; i += L) {
    const V v = hn::LoadU(d, from + i);
    const auto below = hn::Lt(v, at);
    const auto count = static_cast<int64_t>(hn::CountTrue(d, below));
    hn::StoreU(compressed(d, v, below), d, lows + low);
    hn::StoreU(compressed(d, v, hn::Not(below)), d, highs + high);
    low += count;
    high += L - count;
  }
  for (; i < n; ++i) { // into both, and one of them moves on
    const K x = from[i];
    lows[low] = x;
    highs[high] = x;
    low += x < pivot ? 1 : 0;
    high += x < pivot ? 0 : 1;
  }
  return low;
}

template <class K>
void quicksort(K* from, int64_t n, K* to, K* spare, int depth);

// About the median: that of a sample, at places that are the same for each instruction set.
template <class K>
K pivot_of(const K* items, int64_t n) {
  constexpr int64_t most = 64;
  const int64_t count = n < 2048 ? 16 : most, step = n / count;
  K sample[most], sorted[most], spare[most + sort_slack];
  uint64_t mixed = static_cast<uint64_t>(n);
  for (int64_t i = 0; i < count; ++i) {
    mixed = mixed * 0x9E3779B97F4A7C15u + 1;
    sample[i] = items[i * step + static_cast<int64_t>((mixed >> 32) % static_cast<uint64_t>(step))];
  }
  quicksort(sample, count, sorted, spare, 32);
  return sorted[count / 2];
}

// Of n items at `from`, which is either `to` or `spare`. What is parted has its lows in `to` and its highs in `spare`,
// so the highs go first: all of `spare` is free again for the lows.
template <class K>
void quicksort(K* from, int64_t n, K* to, K* spare, int depth) {
  for (;;) {
    if (n <= Network<K>::most) {
      if (n > 0) sort_short(from, n, to);
      return;
    }
    if (n > sort_looks_after) throw_if_interrupted();
    if (depth-- == 0) { // the pivots were bad ones
      if (from != to) std::copy_n(from, n, to);
      std::sort(to, to + n);
      return;
    }
    const K pivot = pivot_of(from, n);
    const int64_t low = part(from, n, pivot, to, spare);
    if (low > 0) {
      quicksort(spare, n - low, to + low, spare, depth);
      n = low;
      from = to;
      continue;
    }
    // The pivot is the least of all, and all that equal it are in their place.
    if (pivot == std::numeric_limits<K>::max()) {
      std::copy_n(spare, n, to);
      return;
    }
    const int64_t equal = part(spare, n, static_cast<K>(pivot + 1), to, spare);
    from = spare;
    to += equal;
    n -= equal;
    ++depth;
  }
}

template <class K>
void sort_keys(K* from, int64_t n, K* to, K* spare) {
  quicksort(from, n, to, spare, 2 * static_cast<int>(std::bit_width(static_cast<uint64_t>(n))) + 8);
}

// --- keys ---

// Negative floats have all bits but the sign reversed, and so their order as integers.
template <class K>
K flipped(K bits) {
  return bits ^ (static_cast<K>(bits >> (8 * sizeof(K) - 1)) & std::numeric_limits<K>::max());
}

template <class K>
void to_keys(KeyKind kind, bool equal_zeros, const void* elements, int64_t n, K* keys) {
  constexpr K highest = std::numeric_limits<K>::max(), lowest = std::numeric_limits<K>::min();
  constexpr K infinity = sizeof(K) == 4 ? K(0x7f800000) : static_cast<K>(0x7ff0000000000000);
  const K* from = static_cast<const K*>(elements); // through memcpy and vectors alone
  int64_t i = 0;
  if (kind == KeyKind::is_signed) {
    if (elements != keys) std::memcpy(keys, elements, static_cast<size_t>(n) * sizeof(K));
    return;
  }
  const hn::ScalableTag<K> d;
  constexpr int64_t L = static_cast<int64_t>(hn::MaxLanes(d));
  const auto most = hn::Set(d, highest);
  if (kind == KeyKind::is_unsigned) {
    for (; i + L <= n; i += L) hn::StoreU(hn::Xor(hn::LoadU(d, from + i), hn::Set(d, lowest)), d, keys + i);
  } else {
    const auto zero = hn::Set(d, equal_zeros ? K(-1) : highest), to = equal_zeros ? hn::Zero(d) : most;
    for (; i + L <= n; i += L) {
      const auto bits = hn::LoadU(d, from + i);
      auto key = hn::Xor(bits, hn::And(hn::BroadcastSignBit(bits), most));
      key = hn::IfThenElse(hn::Eq(key, zero), to, key);
      const auto not_a_number = hn::Gt(hn::And(bits, most), hn::Set(d, infinity));
      hn::StoreU(hn::IfThenElse(not_a_number, most, key), d, keys + i);
    }
  }
  for (; i < n; ++i) {
    K bits;
    std::memcpy(&bits, from + i, sizeof bits);
    if (kind == KeyKind::is_unsigned) {
      keys[i] = bits ^ lowest;
    } else {
      K key = flipped(bits);
      if (equal_zeros && key == -1) key = 0;
      keys[i] = (bits & highest) > infinity ? highest : key;
    }
  }
}

template <class K>
void from_keys(KeyKind kind, const K* keys, int64_t n, void* elements) {
  K* to = static_cast<K*>(elements);
  int64_t i = 0;
  if (kind == KeyKind::is_signed) {
    if (elements != keys) std::memcpy(elements, keys, static_cast<size_t>(n) * sizeof(K));
    return;
  }
  const hn::ScalableTag<K> d;
  constexpr int64_t L = static_cast<int64_t>(hn::MaxLanes(d));
  const auto most = hn::Set(d, std::numeric_limits<K>::max()), least = hn::Set(d, std::numeric_limits<K>::min());
  for (; i + L <= n; i += L) {
    const auto key = hn::LoadU(d, keys + i);
    const auto flips = kind == KeyKind::is_unsigned ? least : hn::And(hn::BroadcastSignBit(key), most);
    hn::StoreU(hn::Xor(key, flips), d, to + i);
  }
  for (; i < n; ++i) {
    K key = keys[i];
    key = kind == KeyKind::is_unsigned ? key ^ std::numeric_limits<K>::min() : flipped(key);
    std::memcpy(to + i, &key, sizeof key);
  }
}

template <class K>
const SortKernels<K>& sort_kernels_of() {
  static constexpr SortKernels<K> table{&sort_keys<K>, &part<K>, &to_keys<K>, &from_keys<K>};
  return table;
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
