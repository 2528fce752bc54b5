// The search for NaN and infinities: the largest magnitude of some elements, as bits, against that of infinity.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/nan_search.cpp"
#include "mlx_core/cpu/nan_search.h"

#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Whether the magnitude of any is larger than `most`: as signed numbers, the sign bit being gone.
template <typename T>
bool any_beyond(int64_t count, const void* data, T most) {
  const hn::ScalableTag<T> d;
  constexpr int64_t N = hn::MaxLanes(d), stretch = 32 * N; // elements between two looks
  const auto* x = static_cast<const T*>(data);
  const auto magnitude = hn::Set(d, hwy::LimitsMax<T>()), limit = hn::Set(d, most);
  int64_t i = 0;
  while (i + 4 * N <= count) {
    const int64_t end = std::min(count - 4 * N, i + stretch);
    auto any = hn::Zero(d), other = hn::Zero(d);
    for (; i <= end; i += 4 * N) {
      auto load = [&](int64_t v) HWY_ATTR { return hn::And(hn::LoadU(d, x + i + v * N), magnitude); };
      any = hn::Max(any, hn::Max(load(0), load(1)));
      other = hn::Max(other, hn::Max(load(2), load(3)));
    }
    if (!hn::AllFalse(d, hn::Gt(hn::Max(any, other), limit))) return true;
  }
  for (; i < count; ++i) {
    T bits;
    std::memcpy(&bits, x + i, sizeof(T));
    if (static_cast<T>(bits & hwy::LimitsMax<T>()) > most) return true;
  }
  return false;
}

bool any_larger(Dtype dtype, int64_t count, const void* data, bool infinity_too) {
  const int one = infinity_too ? 1 : 0;
  if (dtype.is_complex()) count *= 2;
  if (dtype == float16) return any_beyond<int16_t>(count, data, static_cast<int16_t>(0x7c00 - one));
  if (dtype == bfloat16) return any_beyond<int16_t>(count, data, static_cast<int16_t>(0x7f80 - one));
  if (dtype == float64 || dtype == complex128) {
    return any_beyond<int64_t>(count, data, int64_t{0x7ff0000000000000} - one);
  }
  return any_beyond<int32_t>(count, data, 0x7f800000 - one);
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(any_larger);
bool any_nan(Dtype dtype, int64_t count, const void* data) {
  return HWY_DYNAMIC_DISPATCH(any_larger)(dtype, count, data, false);
}
bool any_not_finite(Dtype dtype, int64_t count, const void* data) {
  return HWY_DYNAMIC_DISPATCH(any_larger)(dtype, count, data, true);
}
} // namespace mlx::core::cpu
#endif
