// Parting lanes at an element. Items of key and index are parted by vectors, or where only the largest are wanted,
// these are picked as the lane is read. Of keys as wide as items, whole buckets go to either side of the one that holds
// the element, which is parted in turn: two passes over the lane, and then over a small part of it.
#include <array>
#include <bit>
#include <limits>
#include <memory>

#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/sort.h"
#include "mlx_core/cpu/sort_keys.h"
#include "mlx_core/cpu/sort_long.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t sorted_below = 24, by_comparison_below = 64, wide_digits_from = 8192;
// So many of a lane of 64-bit keys, and so small a part of it, are picked as the lane is read.
constexpr int64_t few = 16, few_of = 8;
constexpr int64_t looks_after = 1 << 17; // elements, for an interrupt

template <typename K>
class Parting {
 public:
  // order: the indices of the n keys, parted at kth.
  void part(const K* keys, int64_t n, int64_t kth, uint32_t* order) {
    first_ = 0;
    n_ = n;
    auto from_lane = [&](int64_t i) { return Numbered<K>{keys[i], static_cast<uint32_t>(i)}; };
    if (is_complex<K> || n < by_comparison_below) {
      middle_.resize(static_cast<size_t>(n));
      for (int64_t i = 0; i < n; ++i) {
        middle_[static_cast<size_t>(i)] = from_lane(i);
      }
      part_middle(kth, order);
    } else if constexpr (!is_complex<K>) {
      bool different = narrow(from_lane, kth, order);
      while (different && n_ >= by_comparison_below) {
        different = narrow([&](int64_t i) { return middle_[static_cast<size_t>(i)]; }, kth, order);
      }
      if (different) {
        part_middle(kth, order);
      }
    }
    if (kth == first_ && kth > 0) { // what comes just before kth is on the other side of the bucket's edge
      InterruptPoll poll(looks_after);
      auto less = [&](uint32_t a, uint32_t b) {
        poll();
        return before<K>(keys[a], keys[b]);
      };
      std::iter_swap(std::max_element(order, order + kth, less), order + kth - 1);
    }
  }

 private:
  // Of the n_ items, whose indices belong into order from first_ on: writes those of the buckets before and behind that
  // of kth, and keeps its items in middle_. False, with all indices written, when all keys are equal. Buckets are the
  // digits below the bits that all keys share; an item is written to all three places, and one of them moves on, so
  // that no branch has to be predicted; what is written too much falls where the items of kth's bucket will be.
  template <typename Item>
  bool narrow(Item item, int64_t kth, uint32_t* order) {
    K any = 0, all = static_cast<K>(~K(0));
    in_interruptible_pieces(n_, looks_after, [&](int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        any |= item(i).key;
        all &= item(i).key;
      }
    });
    const int bits = n_ < wide_digits_from ? 8 : 11;
    const int shift = std::max(0, static_cast<int>(std::bit_width(static_cast<K>(any ^ all))) - bits);
    const uint32_t mask = (1u << bits) - 1;
    auto digit_of = [&](K key) { return static_cast<uint32_t>(key >> shift) & mask; };
    uint32_t* low = order + first_;
    if (any == all) {
      for (int64_t i = 0; i < n_; ++i) {
        low[i] = item(i).index;
      }
      return false;
    }
    std::array<uint32_t, 1 << 11> counts;
    std::fill_n(counts.begin(), mask + 1, 0);
    in_interruptible_pieces(n_, looks_after, [&](int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        ++counts[digit_of(item(i).key)];
      }
    });
    uint32_t digit = 0;
    int64_t below = 0;
    while (below + counts[digit] <= kth - first_) {
      below += counts[digit++];
    }
    if (middle_.size() <= counts[digit]) {
      middle_.resize(counts[digit] + size_t{1});
    }
    Numbered<K>* middle = middle_.data();
    size_t lows = 0, highs = static_cast<size_t>(n_ - 1), middles = 0;
    in_interruptible_pieces(n_, looks_after, [&, low, middle, digit](int64_t first, int64_t end) {
      for (int64_t i = first; i < end; ++i) {
        const Numbered<K> one = item(i);
        const uint32_t d = digit_of(one.key);
        low[lows] = one.index;
        low[highs] = one.index;
        middle[middles] = one;
        lows += static_cast<size_t>(d < digit); // offsets: GCC makes branches of pointers that advance like this
        highs -= static_cast<size_t>(d > digit);
        middles += static_cast<size_t>(d == digit);
      }
    });
    first_ += below;
    n_ = counts[digit];
    return true;
  }

  void part_middle(int64_t kth, uint32_t* order) {
    InterruptPoll poll(looks_after);
    auto less = [&poll](const Numbered<K>& a, const Numbered<K>& b) {
      poll();
      return before<K>(a.key, b.key);
    };
    auto begin = middle_.begin(), at = begin + (kth - first_);
    if (n_ < sorted_below) {
      std::sort(begin, begin + n_, less);
    } else {
      std::nth_element(begin, at, begin + n_, less);
      if (at != begin) {
        std::iter_swap(std::max_element(begin, at, less), at - 1);
      }
    }
    for (int64_t i = 0; i < n_; ++i) {
      order[first_ + i] = middle_[static_cast<size_t>(i)].index;
    }
  }

  int64_t first_ = 0, n_ = 0; // where the bucket of kth stands in the order, and how many items it has
  std::vector<Numbered<K>> middle_;
};

// order: the indices of the `count` largest of the n keys, ascending; of equal ones the first. A key that is not
// above the least of those found so far is left out as it is read, which is what nearly all of a long lane are.
template <typename K>
void pick_largest(const K* keys, int64_t n, int64_t count, uint32_t* order) {
  std::array<Numbered<K>, few> found; // ascending
  for (int64_t i = 0; i < count; ++i) found[static_cast<size_t>(i)] = {keys[i], static_cast<uint32_t>(i)};
  std::sort(found.begin(), found.begin() + count, [](const auto& a, const auto& b) { return a.key < b.key; });
  in_interruptible_pieces(n - count, looks_after, [&](int64_t first, int64_t end) {
    for (int64_t i = count + first; i < count + end; ++i) {
      if (keys[i] <= found[0].key) [[likely]] {
        continue;
      }
      size_t at = 0;
      for (; at + 1 < static_cast<size_t>(count) && found[at + 1].key < keys[i]; ++at) found[at] = found[at + 1];
      found[at] = {keys[i], static_cast<uint32_t>(i)};
    }
  });
  for (int64_t i = 0; i < count; ++i) order[i] = found[static_cast<size_t>(i)].index;
}

// The last items of the lane in the order of sorting, from kth on: a key that is below those found so far is left out
// as it is read. Ascending.
template <typename Read>
void find_largest(int64_t first, int64_t end, int64_t count, Read read, std::vector<int64_t>& memory, int64_t* out) {
  constexpr int64_t most = 2048;
  const int64_t room = 2 * count + 512;
  memory.resize(static_cast<size_t>(3 * (room + sort_slack)));
  int64_t *items = memory.data(), *spare = items + room + sort_slack;
  auto* keys_found = reinterpret_cast<int32_t*>(spare + room + sort_slack);
  auto* indices_found = reinterpret_cast<uint32_t*>(keys_found) + room + sort_slack;
  int64_t kept = 0, found = 0; // items, ascending; and what was found since
  int32_t least = std::numeric_limits<int32_t>::min(), keys[most];
  auto take = [&] {
    for (int64_t i = 0; i < found; ++i) items[kept + i] = item_of(keys_found[i], indices_found[i]);
    kept += found;
    found = 0;
    sort_kernels_64().sort(items, kept, items, spare);
    if (kept > count) {
      std::copy_n(items + kept - count, count, items);
      kept = count;
    }
    if (kept == count) least = static_cast<int32_t>(items[0] >> 32);
  };
  InterruptPoll poll(looks_after);
  int64_t block = std::clamp<int64_t>(8 * count, 64, most); // short at first, when all of it is taken
  for (int64_t at = first; at < end; at += block) {
    block = std::min(block, end - at);
    poll(block);
    read(at, block, keys);
    for (int64_t i = 0; i < block;) {
      i += item_kernels().collect(
          keys + i, block - i, static_cast<uint32_t>(at + i), least, keys_found, indices_found, &found, room - kept);
      if (i < block || found >= std::max<int64_t>(count, 48)) take();
    }
  }
  take();
  std::copy_n(items, count, out);
}

// What is wanted of the order of a lane, and where it goes.
struct Wanted {
  int64_t kth, first, count;
};

constexpr int64_t shared_from = 1 << 18; // elements of a lane that several threads look through

// A long lane, parted at the kth, by all threads: two items of a sample between which the kth probably is part each
// piece into three, and of what is between them all the kth is selected. False where it is not between them.
template <typename Number>
bool part_long(int64_t n, const Wanted& wanted, Number number, uint32_t* order) {
  constexpr int64_t samples = 1024, around = 40; // of the sample, on either side: about three standard deviations
  std::array<int64_t, samples> sample;
  std::array<int64_t, samples + sort_slack> room;
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t step = n / samples;
    number(i * step + i * 40503 % step, 1, &sample[static_cast<size_t>(i)]);
  }
  sort_kernels_64().sort(sample.data(), samples, sample.data(), room.data());
  const auto rank = static_cast<int64_t>(static_cast<double>(wanted.kth) / static_cast<double>(n) * samples);
  const int64_t splitters[] = {
      rank < around ? std::numeric_limits<int64_t>::min() : sample[static_cast<size_t>(rank - around)],
      rank + around >= samples ? std::numeric_limits<int64_t>::max() : sample[static_cast<size_t>(rank + around)]};
  const int64_t pieces = (n + sorted_by_one - 1) / sorted_by_one;
  BufferRef held, between, scratch;
  int64_t* parted = keys_in<int64_t>(held, n);
  std::vector<std::array<int64_t, 3>> counts(static_cast<size_t>(pieces)), starts(static_cast<size_t>(pieces));
  parallel_for(pieces, [&](int64_t p) {
    const int64_t first = p * sorted_by_one, count = std::min(sorted_by_one, n - first);
    BufferRef own;
    number(first, count, parted + first);
    distribute(parted + first, count, parted + first, keys_in<int64_t>(own, count), splitters, size_t{0}, size_t{2},
        counts[static_cast<size_t>(p)].data());
  });
  int64_t at = 0, begin = 0, end = 0; // begin, end: of what is between the two
  for (size_t bucket = 0; bucket < 3; ++bucket) {
    begin = bucket == 1 ? at : begin;
    for (size_t p = 0; p < static_cast<size_t>(pieces); ++p) {
      starts[p][bucket] = at;
      at += counts[p][bucket];
    }
    end = bucket == 1 ? at : end;
  }
  // What comes just before the kth is to be there, too.
  if (wanted.kth >= end || wanted.kth < begin || (wanted.kth == begin && begin > 0)) return false;
  int64_t* middle = keys_in<int64_t>(between, end - begin);
  auto put = [&](int64_t place, const int64_t* items, int64_t count) {
    const int64_t from = std::max(place, wanted.first), to = std::min(place + count, wanted.first + wanted.count);
    for (int64_t i = from; i < to; ++i) order[i - wanted.first] = index_of(items[i - place]);
  };
  parallel_for(pieces, [&](int64_t piece) {
    const auto p = static_cast<size_t>(piece);
    const int64_t* items = parted + piece * sorted_by_one;
    put(starts[p][0], items, counts[p][0]);
    items += counts[p][0];
    std::copy_n(items, counts[p][1], middle + starts[p][1] - begin);
    items += counts[p][1];
    put(starts[p][2], items, counts[p][2]);
  });
  const int64_t kth = wanted.kth - begin;
  const int64_t first = item_kernels().select(middle, end - begin, kth, keys_in<int64_t>(scratch, end - begin));
  if (first == kth && kth > 0) std::iter_swap(std::max_element(middle, middle + kth), middle + kth - 1);
  put(begin, middle, end - begin);
  return true;
}

template <typename Read>
void part_items(int64_t n, const Wanted& wanted, Read read, std::vector<int64_t>& items, std::vector<int64_t>& spare,
    uint32_t* order) {
  const int64_t above = n - wanted.kth;
  if (wanted.first >= wanted.kth && above <= n / 4) {
    // Of pieces first, and then of what these have.
    const int64_t pieces =
        n < shared_from ? 1 : std::clamp<int64_t>(n / (shared_from / 4), 1, std::max<int64_t>(1, n / (8 * above)));
    items.resize(static_cast<size_t>(pieces * above + sort_slack));
    parallel_for(pieces, [&](int64_t p) {
      std::vector<int64_t> own;
      find_largest(
          n * p / pieces, n * (p + 1) / pieces, above, read, pieces > 1 ? own : spare, items.data() + p * above);
    });
    if (pieces > 1) {
      spare.resize(items.size());
      sort_kernels_64().sort(items.data(), pieces * above, items.data(), spare.data());
    }
    const int64_t* last = items.data() + (pieces - 1) * above + (wanted.first - wanted.kth);
    for (int64_t i = 0; i < wanted.count; ++i) order[i] = index_of(last[i]);
    return;
  }
  auto number = [&](int64_t at, int64_t count, int64_t* to) {
    constexpr int64_t block = 2048;
    int32_t keys[block];
    InterruptPoll poll(looks_after);
    for (int64_t i = 0; i < count; i += block) {
      poll(block);
      const int64_t some = std::min(block, count - i);
      read(at + i, some, keys);
      item_kernels().number(keys, some, static_cast<uint32_t>(at + i), to + i);
    }
  };
  if (n >= shared_from && part_long(n, wanted, number, order)) return;
  items.resize(static_cast<size_t>(n + sort_slack));
  spare.resize(static_cast<size_t>(n + sort_slack));
  number(0, n, items.data());
  const int64_t first = item_kernels().select(items.data(), n, wanted.kth, spare.data());
  if (first == wanted.kth && first > 0) { // what comes just before kth is on the other side of an edge
    std::iter_swap(std::max_element(items.data(), items.data() + first), items.data() + first - 1);
  }
  for (int64_t i = 0; i < wanted.count; ++i) order[i] = index_of(items[static_cast<size_t>(wanted.first + i)]);
}

// `count` neighbouring lanes from w on: what lies side by side in memory is read together.
template <typename T>
void part(
    const Lanes<2>& lanes, int64_t o, int64_t w, int64_t count, const Wanted& wanted, const T* in, uint32_t* out) {
  auto [from, to] = lanes.offsets(o, w);
  const int64_t n = lanes.length;
  InterruptPoll poll(looks_after);
  std::unique_ptr<uint32_t[]> strided;
  if (lanes.step[1] != 1) {
    strided = std::make_unique_for_overwrite<uint32_t[]>(static_cast<size_t>(wanted.count * count));
  }
  auto order_of = [&](int64_t k) { return strided ? strided.get() + k * wanted.count : out + to + k * lanes.pitch[1]; };
  const bool together = count > 1 && lanes.pitch[0] == 1 && lanes.step[0] != 1;
  if constexpr (is_complex<T> || sizeof(T) == 8) {
    auto keys = std::make_unique_for_overwrite<Key<T>[]>(static_cast<size_t>(n * count));
    auto read = [&](int64_t k, int64_t i) {
      keys[static_cast<size_t>(k * n + i)] = key_of_equals(in[from + i * lanes.step[0] + k * lanes.pitch[0]]);
    };
    if (together) {
      for (int64_t i = 0; i < n; ++i) {
        poll(count);
        for (int64_t k = 0; k < count; ++k) read(k, i);
      }
    } else {
      for (int64_t k = 0; k < count; ++k) {
        in_interruptible_pieces(n, looks_after, [&](int64_t first, int64_t end) {
          for (int64_t i = first; i < end; ++i) read(k, i);
        });
      }
    }
    Parting<Key<T>> parting;
    std::vector<uint32_t> order(static_cast<size_t>(n));
    const int64_t above = n - wanted.kth;
    const bool pick = !is_complex<T> && wanted.first >= wanted.kth && above <= std::min(few, n / few_of);
    const int64_t from_order = pick ? wanted.first - wanted.kth : wanted.first;
    for (int64_t k = 0; k < count; ++k) {
      if constexpr (!is_complex<T>) {
        if (pick) pick_largest(keys.get() + k * n, n, above, order.data());
      }
      if (!pick) parting.part(keys.get() + k * n, n, wanted.kth, order.data());
      std::copy_n(order.data() + from_order, wanted.count, order_of(k));
    }
  } else {
    std::unique_ptr<T[]> elements;
    if (together) {
      elements = std::make_unique_for_overwrite<T[]>(static_cast<size_t>(n * count));
      for (int64_t i = 0; i < n; ++i) {
        poll(count);
        for (int64_t k = 0; k < count; ++k) elements[static_cast<size_t>(k * n + i)] = in[from + i * lanes.step[0] + k];
      }
    }
    std::vector<int64_t> items, spare;
    for (int64_t k = 0; k < count; ++k) {
      const T* lane = together ? elements.get() + k * n : in + from + k * lanes.pitch[0];
      const int64_t step = together ? 1 : lanes.step[0];
      auto read = [&](int64_t at, int64_t m, int32_t* keys) { vector_keys(lane + at * step, step, m, true, keys); };
      part_items(n, wanted, read, items, spare, order_of(k));
    }
  }
  if (strided) {
    for (int64_t i = 0; i < wanted.count; ++i) {
      poll(count);
      for (int64_t k = 0; k < count; ++k) {
        out[to + i * lanes.step[1] + k * lanes.pitch[1]] = strided[static_cast<size_t>(k * wanted.count + i)];
      }
    }
  }
}

} // namespace

void argpartition(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, int64_t kth, int64_t first,
    int64_t count, void* out) {
  std::vector<int64_t> out_shape(shape.begin(), shape.end());
  out_shape[static_cast<size_t>(axis)] = count;
  std::vector<int64_t> out_strides = row_major(out_shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty() || count == 0) {
    return;
  }
  // Together as many lanes as a cache line has elements, and a cache elements; of consecutive ones, some hundred
  // elements.
  bool adjacent = lanes.pitch[1] < lanes.step[1];
  int64_t group =
      adjacent ? std::clamp<int64_t>((64 << 10) / lanes.length, 1, 16) : std::clamp<int64_t>(512 / lanes.length, 1, 64);
  int64_t groups = (lanes.width + group - 1) / group;
  const Wanted wanted{kth, first, count};
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    auto part_group = [&](int64_t i) {
      int64_t w = i % groups * group;
      part(lanes, i / groups, w, std::min(group, lanes.width - w), wanted, static_cast<const T*>(in),
          static_cast<uint32_t*>(out));
    };
    if (lanes.outer * lanes.width < 2 * thread_count() && lanes.length >= shared_from) {
      for (int64_t i = 0; i < lanes.outer * groups; ++i) part_group(i); // each by several threads
    } else {
      parallel_items(lanes.outer * groups, 4 * group * lanes.length, part_group);
    }
  });
}

} // namespace mlx::core::cpu
