// Sorting: each lane becomes consecutive unsigned keys whose order is that of the elements, which are sorted digit by
// digit (the least significant first, so that the sort is stable) and spread out again. Complex lanes are sorted by
// comparison.
#include "mlx_core/cpu/sort.h"

#include <memory>
#include <utility>

#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/sort_keys.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// --- one lane ---

constexpr int64_t by_comparison_below = 96;
constexpr int64_t looks_after = 1 << 17; // elements, for an interrupt

// A lane's items, and scratch as large. Not cleared: that would take as long as sorting does, in one go.
template <typename Item>
struct Items {
  explicit Items(int64_t n) : count(n), now(std::make_unique_for_overwrite<Item[]>(static_cast<size_t>(n))) {}
  int64_t count;
  std::unique_ptr<Item[]> now, other;
};

template <typename Item>
void sort_by_comparison(Items<Item>& items) {
  using K = decltype(key_in(items.now[0]));
  InterruptPoll poll(looks_after);
  std::stable_sort(items.now.get(), items.now.get() + items.count, [&](const Item& a, const Item& b) {
    poll();
    return before<K>(key_in(a), key_in(b));
  });
}

// Sorts items by key.
template <typename Item>
void sort_items(Items<Item>& items) {
  using K = decltype(key_in(items.now[0]));
  if constexpr (is_complex<K>) {
    sort_by_comparison(items);
  } else {
    int64_t n = items.count;
    if (n < by_comparison_below) {
      std::stable_sort(items.now.get(), items.now.get() + n,
          [](const Item& a, const Item& b) { return before<K>(key_in(a), key_in(b)); });
      return;
    }
    std::array<std::array<uint32_t, 256>, sizeof(K)> counts{};
    in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        for (size_t digit = 0; digit < sizeof(K); ++digit) {
          ++counts[digit][key_in(items.now[static_cast<size_t>(i)]) >> (8 * digit) & 255];
        }
      }
    });
    if (!items.other) {
      items.other = std::make_unique_for_overwrite<Item[]>(static_cast<size_t>(n));
    }
    for (size_t digit = 0; digit < sizeof(K); ++digit) {
      std::array<uint32_t, 256>& count = counts[digit];
      if (count[key_in(items.now[0]) >> (8 * digit) & 255] == n) {
        continue; // the same digit everywhere
      }
      uint32_t before = 0;
      for (uint32_t& c : count) {
        before += std::exchange(c, before);
      }
      const Item* from = items.now.get();
      Item* to = items.other.get();
      in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
        for (int64_t i = first; i < end; ++i) {
          to[count[key_in(from[i]) >> (8 * digit) & 255]++] = from[i];
        }
      });
      items.now.swap(items.other);
    }
  }
}

// Calls body(in offset, out offset, items) for each lane; a task has enough lanes to be worth a thread.
template <typename Item, typename F>
void each_lane(const Lanes<2>& lanes, F body) {
  int64_t count = lanes.outer * lanes.width, per_task = std::max<int64_t>(1, 16384 / lanes.length);
  parallel_for((count + per_task - 1) / per_task, [&](int64_t task) {
    Items<Item> items(lanes.length);
    for (int64_t i = task * per_task, end = std::min(count, i + per_task); i < end; ++i) {
      auto [in, out] = lanes.offsets(i / lanes.width, i % lanes.width);
      body(in, out, items);
    }
  });
}

// Reads a lane's items, sorts them, writes them.
template <typename Item, typename Read, typename Write>
void sort_lane(Items<Item>& items, Read read, Write write) {
  in_interruptible_pieces(items.count, looks_after, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      items.now[static_cast<size_t>(i)] = read(i);
    }
  });
  sort_items(items);
  in_interruptible_pieces(items.count, looks_after, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      write(i, items.now[static_cast<size_t>(i)]);
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
    each_lane<Key<T>>(lanes, [&](int64_t in_at, int64_t out_at, auto& items) {
      const T* from = static_cast<const T*>(in) + in_at;
      T* to = static_cast<T*>(out) + out_at;
      sort_lane(
          items, [&](int64_t i) { return key_of(from[i * lanes.step[0]]); },
          [&](int64_t i, Key<T> key) { to[i * lanes.step[1]] = from_key<T>(key); });
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
    using Item = Numbered<Key<T>>;
    each_lane<Item>(lanes, [&](int64_t in_at, int64_t out_at, auto& items) {
      const T* from = static_cast<const T*>(in) + in_at;
      uint32_t* to = static_cast<uint32_t*>(out) + out_at;
      auto numbered = [&](int64_t i) { return Item{key_of_equals(from[i * lanes.step[0]]), static_cast<uint32_t>(i)}; };
      sort_lane(items, numbered, [&](int64_t i, const Item& item) { to[i * lanes.step[1]] = item.index; });
    });
  });
}

} // namespace mlx::core::cpu
