// A few elements brought to other places: from vectors in registers where these hold all that is read.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/rearrange.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/rearrange.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Way = void (*)(const Rearrangement&, const void*, void*);

template <class T>
void one_by_one(const Rearrangement& self, const void* in, void* out) {
  auto* from = static_cast<const T*>(in);
  auto* to = static_cast<T*>(out);
  for (uint32_t at : self.from) *to++ = from[at];
}

template <class D>
HWY_INLINE hn::Vec<D> load_table(D d, const uint32_t* from) {
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    return hn::LoadU(d, from);
  } else {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<uint32_t, D>(), from));
  }
}

// All that is read is in so many vectors.
template <class T, int vectors>
void look_up(const Rearrangement& self, const void* in, void* out) {
  const hn::ScalableTag<T> d;
  constexpr int64_t N = hn::MaxLanes(d);
  auto* source = static_cast<const T*>(in);
  auto* to = static_cast<T*>(out);
  hn::Vec<decltype(d)> v[vectors];
#pragma GCC unroll 4
  for (int k = 0; k < vectors; ++k) v[k] = hn::LoadU(d, source + k * N);
  const auto in_vector = hn::Set(d, T{N - 1});
  for (const uint32_t *from = self.from.data(), *end = from + self.from.size(); from < end; from += N, to += N) {
    const auto at = load_table(d, from);
    const auto index = hn::IndicesFromVec(d, hn::And(at, in_vector));
    auto found = hn::TableLookupLanes(v[0], index);
#pragma GCC unroll 4
    for (int k = 1; k < vectors; ++k) {
      found = hn::IfThenElse(hn::Lt(at, hn::Set(d, T{k * N})), found, hn::TableLookupLanes(v[k], index));
    }
    hn::StoreU(found, d, to);
  }
}

template <class T>
void gathered(const Rearrangement& self, const void* in, void* out) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> signed_d;
  constexpr int64_t N = hn::MaxLanes(d);
  auto* to = static_cast<T*>(out);
  for (const uint32_t *from = self.from.data(), *end = from + self.from.size(); from < end; from += N, to += N) {
    const auto index = hn::BitCast(signed_d, load_table(d, from));
    hn::StoreU(hn::GatherIndex(d, static_cast<const T*>(in), index), d, to);
  }
}

template <class T>
Way way_of(uint32_t last, bool whole) {
  constexpr uint32_t N = hn::MaxLanes(hn::ScalableTag<T>());
  static_assert(4 * N * sizeof(T) <= read_beyond && N <= rearranged_padding);
  if (whole && last < N) return look_up<T, 1>;
  if (whole && last < 2 * N) return look_up<T, 2>;
  if (whole && last < 4 * N) return look_up<T, 4>;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return gathered<T>;
#endif
  return one_by_one<T>;
}

Way find_way(int item_size, uint32_t last, bool whole) {
  return with_item(item_size, [=]<class T>(std::type_identity<T>) -> Way {
    if constexpr (sizeof(T) == 4 || sizeof(T) == 8) {
      return way_of<T>(last, whole);
    } else {
      return one_by_one<T>;
    }
  });
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_way);

std::vector<int64_t> offsets_of(Ints shape, Ints strides) {
  std::vector<int64_t> all{0};
  for (size_t i = 0; i < shape.size(); ++i) {
    std::vector<int64_t> longer;
    longer.reserve(all.size() * static_cast<size_t>(shape[i]));
    for (int64_t at : all) {
      for (int64_t k = 0; k < shape[i]; ++k) longer.push_back(at + k * strides[i]);
    }
    all = std::move(longer);
  }
  return all;
}

Rearrangement rearrangement(const std::vector<int64_t>& from, int item_size, bool whole) {
  auto [lowest, highest] = std::minmax_element(from.begin(), from.end());
  Rearrangement all{nullptr, {}, *lowest * item_size};
  for (int64_t at : from) all.from.push_back(static_cast<uint32_t>(at - *lowest));
  while (all.from.size() % rearranged_padding != 0) all.from.push_back(all.from.back());
  all.way = HWY_DYNAMIC_DISPATCH(find_way)(item_size, static_cast<uint32_t>(*highest - *lowest), whole);
  return all;
}

} // namespace mlx::core::cpu
#endif
