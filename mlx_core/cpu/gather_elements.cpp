// Gathers of single elements: offsets of a vector of positions, checked before they are followed.
#include "mlx_core/cpu/gather_elements.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/gather_elements.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2

// T: int32_t or int64_t, for the elements' size.
template <class T>
int64_t gather_elements(const void* src, std::span<const ElementIndex> indices, int64_t first, int64_t n, void* out) {
  const hn::ScalableTag<T> elements;
  const hn::Rebind<int32_t, decltype(elements)> d;
  const hn::Rebind<uint32_t, decltype(elements)> bits;
  constexpr int64_t lanes = hn::MaxLanes(elements);
  auto* from = static_cast<const T*>(src);
  auto* to = static_cast<T*>(out) + first;
  for (int64_t i = 0; n >= lanes && i < n; i += lanes) {
    i = std::min(i, n - lanes); // the last ones again
    auto offset = hn::Zero(d);
    auto beyond = hn::Zero(bits);
    for (const ElementIndex& index : indices) {
      auto at = hn::LoadU(d, static_cast<const int32_t*>(index.data) + first + i);
      if (index.is_signed) {
        at = hn::Add(at, hn::IfThenElseZero(hn::Lt(at, hn::Zero(d)), hn::Set(d, index.length)));
      }
      const auto place = hn::BitCast(bits, at); // large where it is negative
      beyond = hn::Or(beyond, hn::Xor(place, hn::Min(place, hn::Set(bits, static_cast<uint32_t>(index.length - 1)))));
      offset = hn::Add(offset, hn::Mul(at, hn::Set(d, index.stride)));
    }
    if (HWY_UNLIKELY(!hn::AllTrue(bits, hn::Eq(beyond, hn::Zero(bits))))) {
      return i;
    }
    if constexpr (sizeof(T) == 4) {
      hn::StoreU(hn::GatherIndex(elements, from, offset), elements, to + i);
    } else {
      hn::StoreU(hn::GatherIndex(elements, from, hn::PromoteTo(elements, offset)), elements, to + i);
    }
  }
  return n >= lanes ? n : 0;
}

GatherElements gather_elements_of(int item_size) {
  return item_size == 4 ? &gather_elements<int32_t> : item_size == 8 ? &gather_elements<int64_t> : nullptr;
}

#else

GatherElements gather_elements_of(int) { return nullptr; }

#endif

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(gather_elements_of);
GatherElements find_gather_elements(int item_size) { return HWY_DYNAMIC_DISPATCH(gather_elements_of)(item_size); }
} // namespace mlx::core::cpu
#endif
