// Sorting many integers by several threads: pieces are parted into buckets, each by itself, and then the buckets
// sorted.
#pragma once

#include <algorithm>
#include <bit>
#include <vector>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/sort_kernels.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

inline constexpr int64_t sorted_by_one = 1 << 15; // elements; more are worth more than one thread

template <typename K>
K* keys_in(BufferRef& held, int64_t n) {
  held = allocate(static_cast<size_t>(n + sort_slack) * sizeof(K));
  return static_cast<K*>(held->data);
}

// Parts items at each of the splitters [first, end): bucket after bucket, whose sizes go into counts.
template <typename K>
void distribute(K* from, int64_t n, K* to, K* spare, const K* splitters, size_t first, size_t end, int64_t* counts) {
  if (first == end) {
    if (from != to) std::copy_n(from, n, to);
    counts[first] = n;
    return;
  }
  size_t middle = (first + end) / 2;
  int64_t low = sort_kernels<K>().part(from, n, splitters[middle], to, spare);
  distribute(spare, n - low, to + low, spare, splitters, middle + 1, end, counts);
  distribute(to, low, to, spare, splitters, first, middle, counts);
}

// Sorts n keys into `out`. read(first, end, keys) makes those of places [first, end); done(first, end) is called when
// out holds those that belong there. How the work is cut depends on n and the keys alone.
template <typename K, typename Read, typename Done>
void sort_long(int64_t n, K* out, Read read, Done done) {
  const SortKernels<K>& kernels = sort_kernels<K>();
  const int64_t piece = sorted_by_one, pieces = (n + piece - 1) / piece;
  const auto buckets = static_cast<size_t>(std::bit_ceil(static_cast<uint64_t>(std::clamp<int64_t>(pieces, 2, 64))));
  constexpr size_t samples = 32; // of each bucket
  std::vector<K> splitters(buckets * samples), spare(buckets * samples + sort_slack);
  for (size_t i = 0; i < splitters.size(); ++i) {
    auto count = static_cast<int64_t>(splitters.size()), k = static_cast<int64_t>(i), step = n / count;
    int64_t place = k * step + k * 40503 % std::max<int64_t>(1, step);
    read(place, place + 1, &splitters[i]);
  }
  kernels.sort(splitters.data(), static_cast<int64_t>(splitters.size()), splitters.data(), spare.data());
  for (size_t i = 0; i + 1 < buckets; ++i) splitters[i] = splitters[(i + 1) * samples];

  BufferRef held;
  K* parted = keys_in<K>(held, n);
  std::vector<int64_t> counts(static_cast<size_t>(pieces) * buckets);
  parallel_for(pieces, [&](int64_t p) {
    int64_t first = p * piece, end = std::min(n, first + piece);
    BufferRef scratch;
    K* room = keys_in<K>(scratch, piece);
    read(first, end, parted + first);
    distribute(parted + first, end - first, parted + first, room, splitters.data(), size_t{0}, buckets - 1,
        counts.data() + static_cast<size_t>(p) * buckets);
  });
  std::vector<int64_t> starts(buckets + 1, 0);
  for (size_t b = 0; b < buckets; ++b) {
    starts[b + 1] = starts[b];
    for (int64_t p = 0; p < pieces; ++p) starts[b + 1] += counts[static_cast<size_t>(p) * buckets + b];
  }
  parallel_for(static_cast<int64_t>(buckets), [&](int64_t bucket) {
    auto b = static_cast<size_t>(bucket);
    K *target = out + starts[b], *to = target;
    for (int64_t p = 0; p < pieces; ++p) {
      const int64_t* of_piece = counts.data() + static_cast<size_t>(p) * buckets;
      const K* from = parted + p * piece;
      for (size_t before = 0; before < b; ++before) from += of_piece[before];
      std::copy_n(from, of_piece[b], to);
      to += of_piece[b];
    }
    BufferRef scratch;
    const int64_t count = to - target;
    kernels.sort(target, count, target, keys_in<K>(scratch, count));
    done(starts[b], starts[b + 1]);
  });
}

} // namespace mlx::core::cpu
