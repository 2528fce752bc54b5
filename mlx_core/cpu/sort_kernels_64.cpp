// Sorting 64-bit keys, and items of a 32-bit key and an index, with vectors.
#include "mlx_core/cpu/sort_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/sort_kernels_64.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/sort-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

void number(const int32_t* keys, int64_t n, uint32_t first, int64_t* items) {
  int64_t i = 0;
  const hn::ScalableTag<int64_t> d;
  const hn::Rebind<int32_t, decltype(d)> of_keys;
  constexpr int64_t L = static_cast<int64_t>(hn::MaxLanes(d));
  auto index = hn::Iota(d, static_cast<int64_t>(first));
  for (; i + L <= n; i += L) {
    const auto key = hn::PromoteTo(d, hn::LoadU(of_keys, keys + i));
    hn::StoreU(hn::Or(hn::ShiftLeft<32>(key), index), d, items + i);
    index = hn::Add(index, hn::Set(d, L));
  }
  for (; i < n; ++i) items[i] = item_of(keys[i], first + static_cast<uint32_t>(i));
}

// What it does is the same for each instruction set, as the order in front and behind is to be.
int64_t select(int64_t* items, int64_t n, int64_t kth, int64_t* spare) {
  constexpr int64_t sorted_below = 32;
  int64_t first = 0, end = n;
  for (int depth = 2 * static_cast<int>(std::bit_width(static_cast<uint64_t>(n))) + 8; end - first > sorted_below;) {
    int64_t *here = items + first, count = end - first;
    if (count > sort_looks_after) throw_if_interrupted();
    if (depth-- == 0) { // the pivots were bad ones
      std::sort(here, here + count);
      return first;
    }
    const int64_t pivot = pivot_of(here, count);
    const int64_t low = part(here, count, pivot, here, spare);
    std::copy_n(spare, count - low, here + low);
    if (low == 0) { // the pivot is the least, and is wherever it was
      std::iter_swap(here, std::find(here, here + count, pivot));
      if (first == kth) return first;
      ++first;
    } else if (kth < first + low) {
      end = first + low;
    } else {
      first += low;
    }
  }
  sort_short(items + first, end - first, items + first);
  return first;
}

int64_t collect(const int32_t* keys, int64_t n, uint32_t first, int32_t least, int32_t* found_keys,
    uint32_t* found_indices, int64_t* found, int64_t room) {
  int64_t i = 0, count = *found;
  const hn::ScalableTag<int32_t> d;
  const hn::ScalableTag<uint32_t> of_indices;
  using V = hn::Vec<decltype(d)>;
  constexpr int64_t L = static_cast<int64_t>(hn::MaxLanes(d));
  const V at = hn::Set(d, least);
  for (; i + 4 * L <= n && count + 4 * L <= room; i += 4 * L) {
    V v[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) v[k] = hn::LoadU(d, keys + i + k * L);
    const V most = hn::Max(hn::Max(v[0], v[1]), hn::Max(v[2], v[3]));
    if (hn::AllTrue(d, hn::Lt(most, at))) continue;
    for (int k = 0; k < 4; ++k) {
      const auto kept = hn::Not(hn::Lt(v[k], at));
      const auto index = hn::Iota(of_indices, first + static_cast<uint32_t>(i + k * L));
      hn::StoreU(compressed(d, v[k], kept), d, found_keys + count);
      hn::StoreU(compressed(of_indices, index, hn::RebindMask(of_indices, kept)), of_indices, found_indices + count);
      count += static_cast<int64_t>(hn::CountTrue(d, kept));
    }
  }
  for (; i < n && count < room; ++i) {
    found_keys[count] = keys[i];
    found_indices[count] = first + static_cast<uint32_t>(i);
    count += keys[i] >= least ? 1 : 0;
  }
  *found = count;
  return i;
}

const ItemKernels& item_kernels_here() {
  static constexpr ItemKernels table{&number, &select, &collect};
  return table;
}
const SortKernels<int64_t>& long_kernels_here() { return sort_kernels_of<int64_t>(); }

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(long_kernels_here);
const SortKernels<int64_t>& sort_kernels_64() {
  static const SortKernels<int64_t>& table = HWY_DYNAMIC_DISPATCH(long_kernels_here)();
  return table;
}
HWY_EXPORT(item_kernels_here);
const ItemKernels& item_kernels() {
  static const ItemKernels& table = HWY_DYNAMIC_DISPATCH(item_kernels_here)();
  return table;
}
} // namespace mlx::core::cpu
#endif
