// Sorting and parting consecutive integers with vectors: what sort.cpp and partition.cpp are made of, for each
// instruction set. All of it gives the same on each of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mlx::core::cpu {

// What the bits of elements are, of which keys are made.
enum class KeyKind : uint8_t { floating, is_signed, is_unsigned };

// Writes go in whole vectors: behind the elements of `spare` and `highs` this many more may be overwritten.
inline constexpr int64_t sort_slack = 64;

template <typename K>
struct SortKernels {
  // Ascending into `to`, which is `from` or apart from it. `spare` has room for n, and may be `from`.
  void (*sort)(K* from, int64_t n, K* to, K* spare);
  // Those below the pivot, then the others, each in their order; the number of the former. One of the targets may be
  // `from`, and both have room for all.
  int64_t (*part)(const K* from, int64_t n, K pivot, K* lows, K* highs);
  // Keys whose order is that of the elements, NaNs last; with equal_zeros -0 is 0. They may take the elements' place.
  void (*to_keys)(KeyKind kind, bool equal_zeros, const void* elements, int64_t n, K* keys);
  void (*from_keys)(KeyKind kind, const K* keys, int64_t n, void* elements);
};
const SortKernels<int32_t>& sort_kernels_32();
const SortKernels<int64_t>& sort_kernels_64();
template <typename K>
const SortKernels<K>& sort_kernels() {
  if constexpr (sizeof(K) == 4) {
    return sort_kernels_32();
  } else {
    return sort_kernels_64();
  }
}

struct ItemKernels {
  // Items: a key above, its index below, of consecutive indices from `first` on.
  void (*number)(const int32_t* keys, int64_t n, uint32_t first, int64_t* items);
  // Places the kth of the n items, which all differ, where sorting would, those below in front of it and the others
  // behind. Returns from which place on, at most kth, those in front of kth are above all that come earlier.
  int64_t (*select)(int64_t* items, int64_t n, int64_t kth, int64_t* spare);
  // Appends the items whose keys are at least `least` to the `found` ones, until the keys are used up or `room` is
  // nearly: how many keys were looked at. Behind the room are sort_slack more.
  int64_t (*collect)(const int32_t* keys, int64_t n, uint32_t first, int32_t least, int32_t* found_keys,
      uint32_t* found_indices, int64_t* found, int64_t room);
};
const ItemKernels& item_kernels();

// For each set of lanes, where what moves to the front comes from: `units` numbers for each lane, those of its bytes,
// say.
template <size_t lanes, size_t units>
inline constexpr auto places_of_kept = [] {
  std::array<std::array<uint8_t, lanes * units>, (size_t{1} << lanes)> places{};
  for (size_t kept = 0; kept < places.size(); ++kept) {
    for (size_t lane = 0, to = 0; lane < lanes; ++lane) {
      if ((kept >> lane & 1) == 0) continue;
      for (size_t unit = 0; unit < units; ++unit) places[kept][to++] = static_cast<uint8_t>(lane * units + unit);
    }
  }
  return places;
}();

inline int64_t item_of(int32_t key, uint32_t index) {
  return static_cast<int64_t>(static_cast<uint64_t>(static_cast<uint32_t>(key)) << 32 | index);
}
inline uint32_t index_of(int64_t item) { return static_cast<uint32_t>(item); }

} // namespace mlx::core::cpu
