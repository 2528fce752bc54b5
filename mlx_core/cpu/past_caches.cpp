// Copies by stores that do not read the lines they write to.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/past_caches.cpp"
#include "mlx_core/cpu/past_caches.h"

#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void store_lines(uint8_t* HWY_RESTRICT to, const uint8_t* HWY_RESTRICT from, int64_t lines) {
  const hn::ScalableTag<uint8_t> d;
  constexpr int64_t N = hn::MaxLanes(d);
  for (int64_t i = 0; i < 64 * lines; i += N) hn::Stream(hn::LoadU(d, from + i), d, to + i);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(store_lines);

void store_lines_past_caches(void* to, const void* from, int64_t lines) {
  HWY_DYNAMIC_DISPATCH(store_lines)(static_cast<uint8_t*>(to), static_cast<const uint8_t*>(from), lines);
}

void store_past_caches(void* to, const void* from, int64_t bytes) {
  auto* target = static_cast<uint8_t*>(to);
  auto* source = static_cast<const uint8_t*>(from);
  const int64_t before = std::min<int64_t>(bytes, static_cast<int64_t>(-reinterpret_cast<uintptr_t>(to) % 64));
  const int64_t lines = (bytes - before) / 64 * 64, after = before + lines;
  std::memcpy(target, source, static_cast<size_t>(before));
  store_lines_past_caches(target + before, source + before, lines / 64);
  std::memcpy(target + after, source + after, static_cast<size_t>(bytes - after));
}

void flush_past_caches() { hwy::FlushStream(); }

} // namespace mlx::core::cpu
#endif
