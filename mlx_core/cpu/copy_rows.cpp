// Runs of a few bytes, for which a call of memcpy would take longer than the copy: in whole vectors, of which the last
// one overlaps the one before, or in one vector of which a part is written.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/copy_rows.cpp"
#include "mlx_core/cpu/copy_rows.h"

#include <cstring>

#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// At least one vector: the first one anywhere, those that follow where vectors begin in memory, and the last one again.
HWY_INLINE void run(const uint8_t* HWY_RESTRICT from, uint8_t* HWY_RESTRICT to, int64_t bytes) {
  const hn::ScalableTag<uint8_t> d;
  constexpr int64_t N = hn::MaxLanes(d);
  hn::StoreU(hn::LoadU(d, from), d, to);
  int64_t at = N - static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) % N);
  for (; at + 4 * N <= bytes; at += 4 * N) {
    const auto v0 = hn::LoadU(d, from + at), v1 = hn::LoadU(d, from + at + N);
    const auto v2 = hn::LoadU(d, from + at + 2 * N), v3 = hn::LoadU(d, from + at + 3 * N);
    hn::Store(v0, d, to + at), hn::Store(v1, d, to + at + N);
    hn::Store(v2, d, to + at + 2 * N), hn::Store(v3, d, to + at + 3 * N);
  }
  for (; at + N < bytes; at += N) {
    asm("" : "+r"(at)); // or the compiler sees a memcpy in it
    hn::Store(hn::LoadU(d, from + at), d, to + at);
  }
  hn::StoreU(hn::LoadU(d, from + bytes - N), d, to + bytes - N);
}
void long_run(void* to, const void* from, int64_t bytes) {
  run(static_cast<const uint8_t*>(from), static_cast<uint8_t*>(to), bytes);
}

// place(i): where row i begins.
template <class Place>
HWY_INLINE void rows_at(int64_t rows, int64_t bytes, Place place, uint8_t* HWY_RESTRICT to, int64_t pitch) {
  const uint8_t* HWY_RESTRICT from = nullptr;
  auto each = [&](auto copy) HWY_ATTR {
    for (int64_t i = 0; i < rows; ++i, to += pitch) {
      from = place(i);
      copy();
    }
  };
  constexpr int64_t longest = 1024;
  if (bytes > longest) return each([&]() HWY_ATTR { run(from, to, bytes); });
  auto vectors = [&](auto d) HWY_ATTR {
    constexpr int64_t N = hn::MaxLanes(d);
    each([&]() HWY_ATTR {
      for (int64_t at = 0; at + N < bytes; at += N) {
        asm("" : "+r"(at)); // or the compiler sees a memcpy in it
        hn::StoreU(hn::LoadU(d, from + at), d, to + at);
      }
      hn::StoreU(hn::LoadU(d, from + bytes - N), d, to + bytes - N);
    });
  };
  const hn::ScalableTag<uint8_t> d;
  constexpr int64_t N = hn::MaxLanes(d);
  if (bytes >= N) return vectors(d);
#if HWY_TARGET == HWY_AVX3
  const auto mask = hn::FirstN(d, static_cast<size_t>(bytes));
  each([&]() HWY_ATTR { hn::BlendedStore(hn::MaskedLoad(mask, d, from), mask, d, to); });
#else
  if (bytes >= 16) return vectors(hn::FixedTag<uint8_t, 16>());
  if (bytes == 4) return each([&] { std::memcpy(to, from, 4); });
  if (bytes == 8) return each([&] { std::memcpy(to, from, 8); });
  if (bytes == 12) return each([&] { std::memcpy(to, from, 12); });
  each([&] { std::memcpy(to, from, static_cast<size_t>(bytes)); });
#endif
}

void short_rows(int64_t rows, int64_t bytes, const uint8_t* from, int64_t step, uint8_t* to, int64_t pitch) {
  rows_at(rows, bytes, [=](int64_t i) { return from + i * step; }, to, pitch);
}

void short_rows_at(
    int64_t rows, int64_t bytes, const uint8_t* from, const int64_t* places, int64_t item_size, uint8_t* to) {
  rows_at(rows, bytes, [=](int64_t i) { return from + places[i] * item_size; }, to, bytes);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(long_run);
HWY_EXPORT(short_rows);
HWY_EXPORT(short_rows_at);
void copy_contiguous(void* to, const void* from, size_t bytes) {
  // Shorter ones memcpy copies by vectors, and longer ones past the caches.
  constexpr size_t shortest = 2048, longest = 8 << 20;
  if (bytes < shortest || bytes > longest) {
    std::memcpy(to, from, bytes);
  } else {
    HWY_DYNAMIC_DISPATCH(long_run)(to, from, static_cast<int64_t>(bytes));
  }
}
void copy_rows(int64_t rows, int64_t bytes, const void* from, int64_t step, void* to, int64_t pitch) {
  HWY_DYNAMIC_DISPATCH(short_rows)(
      rows, bytes, static_cast<const uint8_t*>(from), step, static_cast<uint8_t*>(to), pitch);
}
void copy_rows_at(int64_t rows, int64_t bytes, const void* from, const int64_t* places, int64_t item_size, void* to) {
  HWY_DYNAMIC_DISPATCH(short_rows_at)(
      rows, bytes, static_cast<const uint8_t*>(from), places, item_size, static_cast<uint8_t*>(to));
}
} // namespace mlx::core::cpu
#endif
