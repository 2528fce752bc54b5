// Sorting: each lane becomes consecutive unsigned keys whose order is that of the elements, which are sorted digit by
// digit (the least significant first, so that the sort is stable) and spread out again. Complex lanes are sorted by
// comparison.
#include "mlx_core/cpu/sort.h"

#include <cstring>
#include <utility>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/sort_keys.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

// --- one lane ---

constexpr int64_t by_comparison_below = 96;
constexpr int64_t looks_after = 1 << 17; // elements, for an interrupt

// Sorts n items by key; `other()` gives scratch for as many. They end where they were or in the scratch: the result
// says.
template <typename Item, typename Other>
Item* sort_items(Item* items, int64_t n, Other other) {
  using K = decltype(key_in(items[0]));
  auto by_key = [](const Item& a, const Item& b) { return before<K>(key_in(a), key_in(b)); };
  if constexpr (is_complex<K>) {
    InterruptPoll poll(looks_after);
    std::stable_sort(items, items + n, [&](const Item& a, const Item& b) {
      poll();
      return by_key(a, b);
    });
  } else {
    if (n < by_comparison_below) {
      std::stable_sort(items, items + n, by_key);
      return items;
    }
    std::array<std::array<size_t, 256>, sizeof(K)> counts{};
    in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        for (size_t digit = 0; digit < sizeof(K); ++digit) {
          ++counts[digit][key_in(items[i]) >> (8 * digit) & 255];
        }
      }
    });
    Item* to = other();
    for (size_t digit = 0; digit < sizeof(K); ++digit) {
      std::array<size_t, 256>& count = counts[digit];
      if (count[key_in(items[0]) >> (8 * digit) & 255] == static_cast<size_t>(n)) {
        continue; // the same digit everywhere
      }
      size_t first = 0;
      for (size_t& c : count) {
        first += std::exchange(c, first);
      }
      in_interruptible_pieces(n, looks_after, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          to[count[key_in(items[i]) >> (8 * digit) & 255]++] = items[i];
        }
      });
      std::swap(items, to);
    }
  }
  return items;
}

// Calls body(in offset, out offset, memory) for each lane, where memory(k) has room for the items of a lane: k is 0
// or 1. A task has enough lanes to be worth a thread.
template <typename Item, typename F>
void each_lane(const Lanes<2>& lanes, F body) {
  int64_t count = lanes.outer * lanes.width, per_task = std::max<int64_t>(1, 16384 / lanes.length);
  parallel_for((count + per_task - 1) / per_task, [&](int64_t task) {
    BufferRef held[2];
    auto memory = [&](int k) {
      if (!held[k]) {
        held[k] = allocate(static_cast<size_t>(lanes.length) * sizeof(Item));
      }
      return static_cast<Item*>(held[k]->data);
    };
    for (int64_t i = task * per_task, end = std::min(count, i + per_task); i < end; ++i) {
      auto [in, out] = lanes.offsets(i / lanes.width, i % lanes.width);
      body(in, out, memory);
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
  const int64_t n = lanes.length;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    using Item = Key<T>;
    // Keys as large as elements are sorted where the result is to be, in scratch only once. The two types share the
    // memory through memcpy alone.
    const bool in_place = sizeof(Item) == sizeof(T) && lanes.step[1] == 1;
    each_lane<Item>(lanes, [&](int64_t from, int64_t to, auto& memory) {
      T* target = static_cast<T*>(out) + to;
      Item* items = in_place ? reinterpret_cast<Item*>(target) : memory(0);
      in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
        for (int64_t i = first; i < end; ++i) {
          T element;
          std::memcpy(&element, static_cast<const T*>(in) + from + i * lanes.step[0], sizeof(T));
          Item item = key_of(element);
          std::memcpy(items + i, &item, sizeof(Item));
        }
      });
      const Item* sorted = sort_items(items, n, [&] { return memory(1); });
      in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
        for (int64_t i = first; i < end; ++i) {
          Item item;
          std::memcpy(&item, sorted + i, sizeof(Item));
          T element = from_key<T>(item);
          std::memcpy(target + i * lanes.step[1], &element, sizeof(T));
        }
      });
    });
  });
}

void argsort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  const int64_t n = lanes.length;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    using Item = Numbered<Key<T>>;
    each_lane<Item>(lanes, [&](int64_t from, int64_t to, auto& memory) {
      Item* items = memory(0);
      in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
        for (int64_t i = first; i < end; ++i) {
          items[i] = {key_of_equals(static_cast<const T*>(in)[from + i * lanes.step[0]]), static_cast<uint32_t>(i)};
        }
      });
      const Item* sorted = sort_items(items, n, [&] { return memory(1); });
      in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
        for (int64_t i = first; i < end; ++i) {
          static_cast<uint32_t*>(out)[to + i * lanes.step[1]] = sorted[i].index;
        }
      });
    });
  });
}

} // namespace mlx::core::cpu
