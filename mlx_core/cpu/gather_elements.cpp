// Gathers of single elements: offsets of a vector of positions, checked before they are followed.
#include "mlx_core/cpu/gather_elements.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/gather_elements.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// T: of the elements' size.
template <class T, class V>
HWY_INLINE void follow(const T* from, V offsets, T* to) {
  const hn::ScalableTag<int32_t> d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  if constexpr (sizeof(T) == sizeof(int32_t)) {
    return hn::StoreU(hn::GatherIndex(hn::ScalableTag<T>(), from, offsets), hn::ScalableTag<T>(), to);
  } else if constexpr (sizeof(T) == sizeof(int64_t)) {
    const hn::ScalableTag<T> half;
    const hn::ScalableTag<int64_t> places;
    const hn::Half<decltype(d)> low;
    hn::StoreU(hn::GatherIndex(half, from, hn::PromoteTo(places, hn::LowerHalf(low, offsets))), half, to);
    return hn::StoreU(
        hn::GatherIndex(half, from, hn::PromoteTo(places, hn::UpperHalf(low, offsets))), half, to + hn::Lanes(half));
  }
#endif
  HWY_ALIGN int32_t each[hn::MaxLanes(hn::ScalableTag<int32_t>())];
  hn::Store(offsets, d, each);
  for (size_t k = 0; k < hn::Lanes(d); ++k) {
    std::memcpy(to + k, from + each[k], sizeof(T));
  }
}

// The indices from the i-th on. Those of 64 bits that 32 do not hold become the nearest that they hold, which are out
// of the bounds of any axis, too.
template <class D>
HWY_INLINE auto load_indices(D d, const ElementIndex& index, int64_t i) {
  if (index.dtype != int64) {
    return hn::LoadU(d, static_cast<const int32_t*>(index.data) + i);
  }
  const hn::RepartitionToWide<D> wide;
  const auto least = hn::Set(wide, INT32_MIN), most = hn::Set(wide, INT32_MAX);
  auto half = [&](int64_t from) HWY_ATTR {
    return hn::BitCast(
        d, hn::Min(most, hn::Max(least, hn::LoadU(wide, static_cast<const int64_t*>(index.data) + from))));
  };
  return hn::ConcatEven(d, half(i + static_cast<int64_t>(hn::Lanes(wide))), half(i));
}

template <class T>
int64_t gather_elements(const void* src, std::span<const ElementIndex> indices, int64_t n, void* out) {
  const hn::ScalableTag<int32_t> d;
  const hn::RebindToUnsigned<decltype(d)> bits;
  constexpr int64_t lanes = hn::MaxLanes(d);
  auto* from = static_cast<const T*>(src);
  auto* to = static_cast<T*>(out);
  for (int64_t i = 0; n >= lanes && i < n; i += lanes) {
    i = std::min(i, n - lanes); // the last ones again
    auto offset = hn::Zero(d);
    auto beyond = hn::Zero(bits);
    for (const ElementIndex& index : indices) {
      auto at = load_indices(d, index, i);
      if (index.dtype != uint32) {
        at = hn::Add(at, hn::IfThenElseZero(hn::Lt(at, hn::Zero(d)), hn::Set(d, index.length)));
      }
      const auto place = hn::BitCast(bits, at); // large where it is negative
      beyond = hn::Or(beyond, hn::Xor(place, hn::Min(place, hn::Set(bits, static_cast<uint32_t>(index.length - 1)))));
      offset = hn::Add(offset, hn::Mul(at, hn::Set(d, index.stride)));
    }
    if (HWY_UNLIKELY(!hn::AllTrue(bits, hn::Eq(beyond, hn::Zero(bits))))) {
      return i;
    }
    follow(from, offset, to + i);
  }
  return n >= lanes ? n : 0;
}

GatherElements gather_elements_of(int item_size) {
  switch (item_size) {
    case 1: return &gather_elements<uint8_t>;
    case 2: return &gather_elements<uint16_t>;
    case 4: return &gather_elements<int32_t>;
    case 8: return &gather_elements<int64_t>;
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(gather_elements_of);
GatherElements find_gather_elements(int item_size) { return HWY_DYNAMIC_DISPATCH(gather_elements_of)(item_size); }
} // namespace mlx::core::cpu
#endif
