// Parting lanes at an element. Whole buckets of keys go to either side of the one that holds the element, which is
// parted in turn: two passes over the lane, and then over a small part of it.
#include <bit>
#include <memory>

#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/sort.h"
#include "mlx_core/cpu/sort_keys.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t sorted_below = 24, by_comparison_below = 64, wide_digits_from = 8192;
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

// `count` neighbouring lanes from w on: what lies side by side in memory is read together.
template <typename T>
void part(const Lanes<2>& lanes, int64_t o, int64_t w, int64_t count, int64_t kth, const T* in, uint32_t* out) {
  auto [from, to] = lanes.offsets(o, w);
  const int64_t n = lanes.length;
  auto keys = std::make_unique_for_overwrite<Key<T>[]>(static_cast<size_t>(n * count));
  InterruptPoll poll(looks_after);
  for (int64_t i = 0; i < n; ++i) {
    poll(count);
    for (int64_t k = 0; k < count; ++k) {
      keys[static_cast<size_t>(k * n + i)] = key_of_equals(in[from + i * lanes.step[0] + k * lanes.pitch[0]]);
    }
  }
  Parting<Key<T>> parting;
  if (lanes.step[1] == 1) {
    for (int64_t k = 0; k < count; ++k) {
      parting.part(keys.get() + k * n, n, kth, out + to + k * lanes.pitch[1]);
    }
    return;
  }
  auto order = std::make_unique_for_overwrite<uint32_t[]>(static_cast<size_t>(n * count));
  for (int64_t k = 0; k < count; ++k) {
    parting.part(keys.get() + k * n, n, kth, order.get() + k * n);
  }
  for (int64_t i = 0; i < n; ++i) {
    poll(count);
    for (int64_t k = 0; k < count; ++k) {
      out[to + i * lanes.step[1] + k * lanes.pitch[1]] = order[static_cast<size_t>(k * n + i)];
    }
  }
}

} // namespace

void argpartition(Dtype dtype, const void* in, Ints shape, Ints strides, int axis, int64_t kth, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<2> lanes(shape, axis, false, {strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  // Together as many lanes as a cache line has elements, and a cache elements; of consecutive ones, some hundred
  // elements.
  bool adjacent = lanes.pitch[1] < lanes.step[1];
  int64_t group =
      adjacent ? std::clamp<int64_t>((64 << 10) / lanes.length, 1, 16) : std::clamp<int64_t>(512 / lanes.length, 1, 64);
  int64_t groups = (lanes.width + group - 1) / group;
  with_type(dtype, [&]<typename T>(std::type_identity<T>) {
    parallel_items(lanes.outer * groups, 4 * group * lanes.length, [&](int64_t i) {
      int64_t w = i % groups * group;
      part(lanes, i / groups, w, std::min(group, lanes.width - w), kth, static_cast<const T*>(in),
          static_cast<uint32_t*>(out));
    });
  });
}

} // namespace mlx::core::cpu
