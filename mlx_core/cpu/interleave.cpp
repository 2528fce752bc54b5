// Lines put together element by element: images whose channels come last, from one plane for each channel.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/interleave.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/interleave.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
int64_t interleave_of(int64_t count, void* to, const void* const* lines, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  T* out = static_cast<T*>(to);
  auto read = [&](int64_t line, int64_t i) HWY_ATTR { return hn::LoadU(d, static_cast<const T*>(lines[line]) + i); };
  int64_t i = 0;
  if (count == 2) {
    for (; i + lanes <= n; i += lanes) hn::StoreInterleaved2(read(0, i), read(1, i), d, out + 2 * i);
  } else if (count == 3) {
    for (; i + lanes <= n; i += lanes) hn::StoreInterleaved3(read(0, i), read(1, i), read(2, i), d, out + 3 * i);
  } else if (count == 4) {
    for (; i + lanes <= n; i += lanes) {
      hn::StoreInterleaved4(read(0, i), read(1, i), read(2, i), read(3, i), d, out + 4 * i);
    }
  }
  return i;
}

int64_t interleave(int64_t count, void* to, const void* const* lines, int64_t n, int item_size) {
  if (item_size > 8) {
    return 0;
  }
  return with_bits(item_size, [=]<class T>(std::type_identity<T>) { return interleave_of<T>(count, to, lines, n); });
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(interleave);

int64_t interleave(int64_t count, void* to, const void* const* lines, int64_t n, int item_size) {
  return HWY_DYNAMIC_DISPATCH(interleave)(count, to, lines, n, item_size);
}

} // namespace mlx::core::cpu
#endif
