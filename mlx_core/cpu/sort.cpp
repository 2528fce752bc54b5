// Sorting: each lane becomes consecutive unsigned keys whose order is that of the elements, which are sorted digit by
// digit (the least significant first, so that the sort is stable) and spread out again. Complex lanes are sorted by
// comparison.
#include "mlx_core/cpu/sort.h"

#include <utility>

#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/sort_keys.h"

namespace mlx::core::cpu {

namespace {

// --- one lane ---

constexpr size_t by_comparison_below = 96;

// Sorts items by key; `other` is scratch.
template <typename Item>
void sort_items(std::vector<Item>& items, std::vector<Item>& other) {
  using K = decltype(key_in(items[0]));
  auto by_key = [](const Item& a, const Item& b) { return before<K>(key_in(a), key_in(b)); };
  if constexpr (is_complex<K>) {
    std::stable_sort(items.begin(), items.end(), by_key);
  } else {
    if (items.size() < by_comparison_below) {
      std::stable_sort(items.begin(), items.end(), by_key);
      return;
    }
    std::array<std::array<uint32_t, 256>, sizeof(K)> counts{};
    for (const Item& item : items) {
      for (size_t digit = 0; digit < sizeof(K); ++digit) {
        ++counts[digit][key_in(item) >> (8 * digit) & 255];
      }
    }
    other.resize(items.size());
    for (size_t digit = 0; digit < sizeof(K); ++digit) {
      std::array<uint32_t, 256>& count = counts[digit];
      if (count[key_in(items[0]) >> (8 * digit) & 255] == items.size()) {
        continue; // the same digit everywhere
      }
      uint32_t first = 0;
      for (uint32_t& c : count) {
        first += std::exchange(c, first);
      }
      for (const Item& item : items) {
        other[count[key_in(item) >> (8 * digit) & 255]++] = item;
      }
      items.swap(other);
    }
  }
}

// Calls body(in offset, out offset, items, scratch) for each lane; a task has enough lanes to be worth a thread.
template <typename Item, typename F>
void each_lane(const Lanes<2>& lanes, F body) {
  int64_t count = lanes.outer * lanes.width, per_task = std::max<int64_t>(1, 16384 / lanes.length);
  parallel_for((count + per_task - 1) / per_task, [&](int64_t task) {
    std::vector<Item> items(static_cast<size_t>(lanes.length)), scratch;
    for (int64_t i = task * per_task, end = std::min(count, i + per_task); i < end; ++i) {
      auto [in, out] = lanes.offsets(i / lanes.width, i % lanes.width);
      body(in, out, items, scratch);
    }
  });
}

} // namespace

void sort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    each_lane<Key<T>>(lanes, [&](int64_t from, int64_t to, auto& items, auto& scratch) {
      for (auto& item : items) {
        item = key_of(static_cast<const T*>(in)[from]);
        from += lanes.step[0];
      }
      sort_items(items, scratch);
      for (const auto& item : items) {
        static_cast<T*>(out)[to] = from_key<T>(item);
        to += lanes.step[1];
      }
    });
  });
}

void argsort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    each_lane<Numbered<Key<T>>>(lanes, [&](int64_t from, int64_t to, auto& items, auto& scratch) {
      for (uint32_t i = 0; auto& item : items) {
        item = {key_of_equals(static_cast<const T*>(in)[from]), i++};
        from += lanes.step[0];
      }
      sort_items(items, scratch);
      for (const auto& item : items) {
        static_cast<uint32_t*>(out)[to] = item.index;
        to += lanes.step[1];
      }
    });
  });
}

} // namespace mlx::core::cpu
