// Threefry-2x32 over runs of counters, vectorised across counters.
//
// A key's output is w = ceil(bytes / 4) words, half = w / 2. Counters are (i, i + half + w % 2) for i < half; their two
// result words are word i and word i + half + w % 2. When w is odd, word `half` is the first result of (half, 0).
#include "mlx_core/cpu/random_bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/random_bits.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// `chains` vectors of counters side by side, as each step of one waits for the step before.
template <int r, int chains, typename V>
HWY_INLINE void mix(V* HWY_RESTRICT x0, V* HWY_RESTRICT x1) {
#pragma GCC unroll 8
  for (int c = 0; c < chains; ++c) x0[c] = hn::Add(x0[c], x1[c]);
#pragma GCC unroll 8
  for (int c = 0; c < chains; ++c)
    x1[c] = hn::Xor(hn::Or(hn::ShiftLeft<r>(x1[c]), hn::ShiftRight<32 - r>(x1[c])), x0[c]);
}

template <int chains, typename D, typename V>
HWY_INLINE void add_key(D d, uint32_t k0, uint32_t k1, V* HWY_RESTRICT x0, V* HWY_RESTRICT x1) {
  auto v0 = hn::Set(d, k0), v1 = hn::Set(d, k1);
#pragma GCC unroll 8
  for (int c = 0; c < chains; ++c) x0[c] = hn::Add(x0[c], v0), x1[c] = hn::Add(x1[c], v1);
}

// Five groups of four rounds, two words of the key schedule added after each group.
template <int chains, typename D, typename V>
HWY_INLINE void threefry(D d, const uint32_t* schedule, V* HWY_RESTRICT x0, V* HWY_RESTRICT x1) {
  add_key<chains>(d, schedule[0], schedule[1], x0, x1);
#pragma GCC unroll 5
  for (uint32_t group = 0; group < 5; ++group) {
    if (group % 2 == 0) {
      mix<13, chains>(x0, x1), mix<15, chains>(x0, x1), mix<26, chains>(x0, x1), mix<6, chains>(x0, x1);
    } else {
      mix<17, chains>(x0, x1), mix<29, chains>(x0, x1), mix<16, chains>(x0, x1), mix<24, chains>(x0, x1);
    }
    add_key<chains>(d, schedule[(group + 1) % 3], schedule[(group + 2) % 3] + group + 1, x0, x1);
  }
}

// out0[i], out1[i] = results of (first + i, second + i), bytes at any alignment.
void threefry_run(
    const uint32_t* key, uint32_t first, uint32_t second, int64_t n, unsigned char* out0, unsigned char* out1) {
  const uint32_t schedule[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
  const hn::ScalableTag<uint32_t> d;
  constexpr int64_t N = hn::MaxLanes(d);
  auto at = [](unsigned char* p, int64_t i) { return reinterpret_cast<uint32_t*>(p) + i; };
  using V = hn::Vec<decltype(d)>;
  const V lane = hn::Iota(d, 0);
  int64_t i = 0;
  constexpr int chains = 4;
  for (; i + chains * N <= n; i += chains * N) {
    V x0[chains], x1[chains];
#pragma GCC unroll 8
    for (int c = 0; c < chains; ++c) {
      auto skip = static_cast<uint32_t>(i + c * N);
      x0[c] = hn::Add(lane, hn::Set(d, first + skip));
      x1[c] = hn::Add(lane, hn::Set(d, second + skip));
    }
    threefry<chains>(d, schedule, x0, x1);
#pragma GCC unroll 8
    for (int c = 0; c < chains; ++c)
      hn::StoreU(x0[c], d, at(out0, i + c * N)), hn::StoreU(x1[c], d, at(out1, i + c * N));
  }
  HWY_ALIGN uint32_t last0[N], last1[N];
  for (; i < n; i += N) {
    auto skip = static_cast<uint32_t>(i);
    V x0[1] = {hn::Add(lane, hn::Set(d, first + skip))}, x1[1] = {hn::Add(lane, hn::Set(d, second + skip))};
    threefry<1>(d, schedule, x0, x1);
    hn::Store(x0[0], d, last0), hn::Store(x1[0], d, last1);
    size_t bytes = static_cast<size_t>(std::min(N, n - i)) * 4;
    std::memcpy(out0 + i * 4, last0, bytes);
    std::memcpy(out1 + i * 4, last1, bytes);
  }
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
namespace {

HWY_EXPORT(threefry_run);

constexpr int64_t task_counters = 8 << 10;
constexpr int64_t serial_counters = 16 << 10;

// Counters [begin, end) of one key's half + odd pairs. A word that is not whole, always the last, is cut off.
void run_counters(const uint32_t* key, int64_t begin, int64_t end, int64_t bytes, unsigned char* out) {
  auto run = HWY_DYNAMIC_DISPATCH(threefry_run);
  int64_t words = (bytes + 3) / 4, half = words / 2, odd = words % 2;
  int64_t pairs = std::min(end, half);
  if (pairs == half && half > 0 && bytes % 4 != 0) pairs -= 1;
  if (begin < pairs) {
    run(key, static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + half + odd), pairs - begin, out + begin * 4,
        out + (begin + half + odd) * 4);
  }
  unsigned char first[4], second[4];
  auto put = [&](const unsigned char* word, int64_t index) {
    std::memcpy(out + index * 4, word, static_cast<size_t>(std::min<int64_t>(4, bytes - index * 4)));
  };
  for (int64_t i = std::max(begin, pairs); i < std::min(end, half); ++i) {
    run(key, static_cast<uint32_t>(i), static_cast<uint32_t>(i + half + odd), 1, first, second);
    put(first, i);
    put(second, i + half + odd);
  }
  if (odd && end == half + 1) {
    run(key, static_cast<uint32_t>(half), 0, 1, first, second);
    put(first, half);
  }
}

} // namespace

void random_bits(const uint32_t* key, int64_t keys, int64_t key_stride, int64_t bytes, void* out_data) {
  if (keys == 0 || bytes == 0) return;
  auto* out = static_cast<unsigned char*>(out_data);
  int64_t counters = ((bytes + 3) / 4 + 1) / 2;
  bool serial = keys * counters <= serial_counters;
  int64_t pieces = serial ? 1 : (counters + task_counters - 1) / task_counters; // of one key
  int64_t keys_at_once = serial ? keys : std::max<int64_t>(1, task_counters / counters);
  parallel_for((keys + keys_at_once - 1) / keys_at_once * pieces, [&](int64_t task) {
    int64_t first = task / pieces * keys_at_once, begin = task % pieces * task_counters;
    for (int64_t i = first; i < std::min(keys, first + keys_at_once); ++i) {
      int64_t end = pieces == 1 ? counters : std::min(counters, begin + task_counters);
      run_counters(key + i * key_stride, begin, end, bytes, out + i * bytes);
    }
  });
}

} // namespace mlx::core::cpu
#endif
