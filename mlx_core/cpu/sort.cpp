// Sorting lanes: the elements become integers in the same order, which are sorted by vectors and turned back; those of
// few different values are counted. For indices, the integers hold key and index. Complex lanes are sorted by
// comparison.
#include "mlx_core/cpu/sort.h"

#include <bit>
#include <cstring>
#include <utility>

#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/sort_keys.h"
#include "mlx_core/cpu/sort_long.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t looks_after = 1 << 17; // elements, for an interrupt

// Memory of one thread, for one lane after another.
template <typename K>
class Room {
 public:
  explicit Room(int64_t n) : n_(n) {}
  K* operator()(size_t slot) {
    if (!held_[slot]) keys_in<K>(held_[slot], n_);
    return static_cast<K*>(held_[slot]->data);
  }

 private:
  int64_t n_;
  BufferRef held_[3];
};

// A lane is shared out among threads where there are too few of them for each thread to have its own.
bool has_long_lanes(const Lanes<2>& lanes) {
  return thread_count() > 1 && lanes.length >= 2 * sorted_by_one && lanes.outer * lanes.width < 4 * thread_count();
}

// Calls body(task) for each lane (o, w) as (in offset, out offset, room), where a room holds `slots` lanes at once.
template <typename K, typename F>
void each_lane(const Lanes<2>& lanes, F body) {
  const int64_t count = lanes.outer * lanes.width;
  if (has_long_lanes(lanes)) {
    Room<K> room(lanes.length);
    for (int64_t i = 0; i < count; ++i) {
      auto [in, out] = lanes.offsets(i / lanes.width, i % lanes.width);
      body(in, out, room);
    }
    return;
  }
  const int64_t per_task = std::max<int64_t>(1, 16384 / lanes.length);
  parallel_for((count + per_task - 1) / per_task, [&](int64_t task) {
    Room<K> room(lanes.length);
    for (int64_t i = task * per_task, end = std::min(count, i + per_task); i < end; ++i) {
      auto [in, out] = lanes.offsets(i / lanes.width, i % lanes.width);
      body(in, out, room);
    }
  });
}

// --- by counting ---

// From how many elements of a type on: there are as many counters as values.
template <typename T>
constexpr int64_t counted_from = sizeof(T) == 1 ? 512 : 1 << 17;

// The same for indices, by digits of a byte. An index and a digit are one number of 32 bits.
template <typename T>
constexpr int64_t placed_from = sizeof(T) == 1 ? 512
                                : is_half<T>   ? 1 << 15
                                               : 1 << 13;
template <typename T>
constexpr int64_t most_placed = int64_t{1} << (sizeof(T) == 1 ? 32 : 24);

template <typename T>
void sort_by_counting(const T* in, int64_t step_in, int64_t n, T* out, int64_t step_out) {
  constexpr size_t values = size_t{1} << (8 * sizeof(T));
  const int64_t pieces = std::clamp<int64_t>(n / counted_from<uint16_t>, 1, 8);
  std::vector<int64_t> counts(values * static_cast<size_t>(pieces));
  parallel_for(pieces, [&](int64_t p) {
    int64_t* mine = counts.data() + values * static_cast<size_t>(p);
    int64_t from = n * p / pieces, to = n * (p + 1) / pieces;
    in_interruptible_pieces(to - from, looks_after, [&](int64_t first, int64_t end) {
      for (int64_t i = from + first; i < from + end; ++i) ++mine[key_of(in[i * step_in])];
    });
  });
  InterruptPoll poll(looks_after);
  for (size_t key = 0; key < values; ++key) {
    int64_t count = 0;
    for (size_t p = 0; p < static_cast<size_t>(pieces); ++p) count += counts[p * values + key];
    if (count == 0) continue;
    const T element = from_key<T>(static_cast<Key<T>>(key));
    if (step_out == 1) {
      out = std::fill_n(out, count, element);
    } else {
      for (int64_t i = 0; i < count; ++i, out += step_out) *out = element;
    }
    poll(count);
  }
}

// Places `count` things by their digit, things of the same digit in their order: put(i, place). Pieces count first, and
// so know where each of their things belongs.
template <typename Digit, typename Put>
void place_by_digit(int64_t count, Digit digit, Put put) {
  constexpr size_t digits = 256;
  const int64_t pieces = std::clamp<int64_t>(count >> 14, 1, thread_count());
  std::vector<uint32_t> places(digits * static_cast<size_t>(pieces));
  auto each_piece = [&](auto body) {
    parallel_for(pieces, [&](int64_t p) {
      uint32_t* of_piece = places.data() + digits * static_cast<size_t>(p);
      const int64_t from = count * p / pieces, to = count * (p + 1) / pieces;
      in_interruptible_pieces(to - from, looks_after, [&](int64_t first, int64_t end) {
        for (int64_t i = from + first; i < from + end; ++i) body(i, of_piece[digit(i)]++);
      });
    });
  };
  each_piece([](int64_t, uint32_t) {});
  uint32_t next = 0;
  for (size_t d = 0; d < digits; ++d) {
    for (size_t at = d; at < places.size(); at += digits) next += std::exchange(places[at], next);
  }
  each_piece(put);
}

template <typename T>
void argsort_by_counting(const T* in, int64_t step, int64_t n, uint32_t* out, int64_t step_out, Room<int64_t>& room) {
  auto key = [=](int64_t i) { return key_of_equals(in[i * step]); };
  auto low = [=](int64_t i) { return static_cast<uint8_t>(key(i)); };
  if constexpr (sizeof(T) == 1) {
    place_by_digit(n, low, [=](int64_t i, uint32_t place) { out[place * step_out] = static_cast<uint32_t>(i); });
  } else { // an index and the high digit, so that the second time what is read lies in order
    auto* by_low = reinterpret_cast<uint32_t*>(room(0));
    place_by_digit(n, low,
        [=](int64_t i, uint32_t place) { by_low[place] = uint32_t{key(i)} >> 8 << 24 | static_cast<uint32_t>(i); });
    place_by_digit(
        n, [=](int64_t i) { return by_low[i] >> 24; },
        [=](int64_t i, uint32_t place) { out[place * step_out] = by_low[i] & 0xffffff; });
  }
}

// --- by comparison ---

template <typename T, typename Item, typename Make, typename Put>
void sort_by_comparison(int64_t n, Item* items, Make make, Put put) {
  in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) items[i] = make(i);
  });
  InterruptPoll poll(looks_after);
  std::stable_sort(items, items + n, [&](const Item& a, const Item& b) {
    poll();
    return before<T>(key_in(a), key_in(b));
  });
  in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) put(i, items[i]);
  });
}

// --- by vectors ---

template <typename T>
void sort_lane(
    const T* in, int64_t step_in, int64_t n, T* out, int64_t step_out, Room<VectorKey<T>>& room, bool shared) {
  using K = VectorKey<T>;
  K* keys = sizeof(K) == sizeof(T) && step_out == 1 ? reinterpret_cast<K*>(out) : room(0);
  if (shared) {
    sort_long<K>(
        n, keys,
        [&](int64_t first, int64_t end, K* to) { vector_keys(in + first * step_in, step_in, end - first, false, to); },
        [&](int64_t first, int64_t end) {
          vector_elements(keys + first, end - first, out + first * step_out, step_out);
        });
  } else {
    vector_keys(in, step_in, n, false, keys);
    sort_kernels<K>().sort(keys, n, keys, room(1));
    vector_elements(keys, n, out, step_out);
  }
}

// Neighbouring lanes whose elements are neighbours in memory, together: what is in one cache line is read at once.
template <typename T>
void sort_adjacent(const Lanes<2>& lanes, const T* in, T* out) {
  using K = VectorKey<T>;
  const int64_t n = lanes.length, group = std::clamp<int64_t>((1 << 18) / n, 1, 64 / static_cast<int64_t>(sizeof(T)));
  const int64_t groups = (lanes.width + group - 1) / group;
  parallel_items(lanes.outer * groups, 4 * group * n, [&](int64_t task) {
    const int64_t w = task % groups * group, count = std::min(group, lanes.width - w);
    auto [from, to] = lanes.offsets(task / groups, w);
    BufferRef held[3];
    K *keys = keys_in<K>(held[0], n * count), *room = keys_in<K>(held[1], n);
    T* elements = sizeof(K) == sizeof(T) ? reinterpret_cast<T*>(keys) : keys_in<T>(held[2], n * count);
    InterruptPoll poll(looks_after);
    for (int64_t i = 0; i < n; ++i, poll(count)) {
      const T* row = in + from + i * lanes.step[0];
      for (int64_t k = 0; k < count; ++k) std::memcpy(elements + k * n + i, row + k * lanes.pitch[0], sizeof(T));
    }
    for (int64_t k = 0; k < count; ++k) {
      vector_keys(elements + k * n, 1, n, false, keys + k * n);
      sort_kernels<K>().sort(keys + k * n, n, keys + k * n, room);
      vector_elements(keys + k * n, n, elements + k * n, 1);
    }
    for (int64_t i = 0; i < n; ++i, poll(count)) {
      T* row = out + to + i * lanes.step[1];
      for (int64_t k = 0; k < count; ++k) std::memcpy(row + k * lanes.pitch[1], elements + k * n + i, sizeof(T));
    }
  });
}

// --- indices ---

// Items of keys that are as wide as items: the highest bits in which keys differ, and the index. What is equal in these
// is then sorted by the others, at most 32.
class WideItems {
 public:
  WideItems(const int64_t* keys, int64_t n) : keys_(keys) {
    int64_t most = keys[0];
    least_ = keys[0];
    for (int64_t i = 1; i < n; ++i) {
      least_ = std::min(least_, keys[i]);
      most = std::max(most, keys[i]);
    }
    shift_ = std::max(0, static_cast<int>(std::bit_width(above(most))) - 32);
  }
  void number(int64_t first, int64_t end, int64_t* items) const {
    for (int64_t i = first; i < end; ++i) {
      items[i - first] = item(above(keys_[i]) >> shift_, static_cast<uint32_t>(i));
    }
  }
  // Completes the order of those runs of equal high bits that begin in [first, end) of n items.
  void finish(int64_t* items, int64_t first, int64_t end, int64_t n, Room<int64_t>& room) const {
    if (shift_ == 0) return;
    auto high = [&](int64_t i) { return items[i] >> 32; };
    while (first > 0 && first < end && high(first) == high(first - 1)) ++first;
    while (first < end) {
      int64_t behind = first + 1;
      while (behind < n && high(behind) == high(first)) ++behind;
      if (behind - first > 1) {
        const uint64_t mask = (uint64_t{1} << shift_) - 1;
        for (int64_t i = first; i < behind; ++i) {
          uint32_t index = index_of(items[i]);
          items[i] = item(above(keys_[index]) & mask, index);
        }
        const int64_t count = behind - first;
        if (count <= 16) {
          std::sort(items + first, items + behind);
        } else {
          sort_kernels_64().sort(items + first, count, items + first, room(2));
        }
      }
      first = behind;
    }
  }

 private:
  uint64_t above(int64_t key) const { return static_cast<uint64_t>(key) - static_cast<uint64_t>(least_); }
  static int64_t item(uint64_t bits, uint32_t index) {
    return item_of(static_cast<int32_t>(static_cast<uint32_t>(bits) ^ 0x80000000u), index);
  }
  const int64_t* keys_;
  int64_t least_;
  int shift_;
};

template <typename T>
void argsort_lane(
    const T* in, int64_t step, int64_t n, uint32_t* out, int64_t step_out, Room<int64_t>& room, bool shared) {
  int64_t* items = room(0);
  auto put = [&](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) out[i * step_out] = index_of(items[i]);
  };
  if constexpr (sizeof(T) == 8) {
    int64_t* keys = room(1);
    vector_keys(in, step, n, true, keys);
    WideItems wide(keys, n);
    if (shared) {
      sort_long<int64_t>(
          n, items, [&](int64_t first, int64_t end, int64_t* to) { wide.number(first, end, to); },
          [](int64_t, int64_t) {});
    } else {
      wide.number(0, n, items);
      sort_kernels_64().sort(items, n, items, room(2));
    }
    in_interruptible_pieces(
        n, looks_after, [&](int64_t first, int64_t end) { wide.finish(items, first, end, n, room); });
    in_interruptible_pieces(n, looks_after, put);
  } else {
    auto number = [&](int64_t first, int64_t end, int64_t* to) {
      constexpr int64_t block = 1024;
      int32_t keys[block];
      for (; first < end; first += block) {
        int64_t count = std::min(block, end - first);
        vector_keys(in + first * step, step, count, true, keys);
        item_kernels().number(keys, count, static_cast<uint32_t>(first), to);
        to += count;
      }
    };
    if (shared) {
      sort_long<int64_t>(n, items, number, put);
    } else {
      in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) { number(first, end, items + first); });
      sort_kernels_64().sort(items, n, items, room(1));
      in_interruptible_pieces(n, looks_after, put);
    }
  }
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
    const T* from = static_cast<const T*>(in);
    T* to = static_cast<T*>(out);
    if constexpr (is_complex<T>) {
      each_lane<T>(lanes, [&](int64_t at, int64_t at_out, Room<T>& room) {
        auto make = [&](int64_t i) { return from[at + i * lanes.step[0]]; };
        sort_by_comparison<T>(n, room(0), make, [&](int64_t i, T x) { to[at_out + i * lanes.step[1]] = x; });
      });
    } else {
      if constexpr (sizeof(T) <= 2) {
        if (n >= counted_from<T>) {
          each_lane<T>(lanes, [&](int64_t at, int64_t at_out, auto&) {
            sort_by_counting(from + at, lanes.step[0], n, to + at_out, lanes.step[1]);
          });
          return;
        }
      }
      const bool shared = has_long_lanes(lanes);
      if (!shared && lanes.width > 1 && lanes.step[1] != 1 && lanes.pitch[1] == 1) {
        return sort_adjacent(lanes, from, to);
      }
      each_lane<VectorKey<T>>(lanes, [&](int64_t at, int64_t at_out, Room<VectorKey<T>>& room) {
        sort_lane(from + at, lanes.step[0], n, to + at_out, lanes.step[1], room, shared);
      });
    }
  });
}

void argsort(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  const int64_t n = lanes.length;
  auto* to = static_cast<uint32_t*>(out);
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    const T* from = static_cast<const T*>(in);
    if constexpr (is_complex<T>) {
      using Item = Numbered<T>;
      each_lane<Item>(lanes, [&](int64_t at, int64_t at_out, Room<Item>& room) {
        auto make = [&](int64_t i) { return Item{from[at + i * lanes.step[0]], static_cast<uint32_t>(i)}; };
        auto put = [&](int64_t i, const Item& item) { to[at_out + i * lanes.step[1]] = item.index; };
        sort_by_comparison<T>(n, room(0), make, put);
      });
    } else {
      const bool shared = has_long_lanes(lanes);
      each_lane<int64_t>(lanes, [&](int64_t at, int64_t at_out, Room<int64_t>& room) {
        if constexpr (sizeof(T) <= 2) {
          if (n >= placed_from<T> && n <= most_placed<T>) {
            return argsort_by_counting(from + at, lanes.step[0], n, to + at_out, lanes.step[1], room);
          }
        }
        argsort_lane(from + at, lanes.step[0], n, to + at_out, lanes.step[1], room, shared);
      });
    }
  });
}

} // namespace mlx::core::cpu
