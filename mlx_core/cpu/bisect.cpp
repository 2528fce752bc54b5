// Bisection by vectors: every search takes the same number of steps, so those of a vector go side by side.
#include "mlx_core/cpu/bisect.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/bisect.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2

// Whether the place of a value is behind an element, in the order of order.h: NaNs last, and all equal.
template <bool right, class D, class V>
HWY_INLINE hn::Mask<D> is_behind(D, V element, V value) {
  if constexpr (!std::is_floating_point_v<hn::TFromD<D>>) {
    return right ? hn::Not(hn::Lt(value, element)) : hn::Lt(element, value);
  } else if constexpr (right) {
    return hn::Or(hn::Le(element, value), hn::IsNaN(value));
  } else {
    return hn::Or(hn::Lt(element, value), hn::AndNot(hn::IsNaN(element), hn::IsNaN(value)));
  }
}

template <class T, bool right>
void bisect(const void* row_data, int64_t length, const void* value_data, int64_t n, uint32_t* out) {
  const hn::ScalableTag<T> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::RebindToUnsigned<decltype(d)> places;
  const hn::Rebind<uint32_t, decltype(d)> narrow;
  using Index = hn::TFromD<decltype(di)>;
  constexpr int64_t lanes = hn::MaxLanes(d), together = 4 * lanes; // whose loads overlap
  const T *row = static_cast<const T*>(row_data), *values = static_cast<const T*>(value_data);
  const auto search = [&](const T* from, uint32_t* to) HWY_ATTR {
    const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + lanes);
    const auto c = hn::LoadU(d, from + 2 * lanes), e = hn::LoadU(d, from + 3 * lanes);
    auto at_a = hn::Zero(di), at_b = at_a, at_c = at_a, at_e = at_a;
    const auto step = [&](auto& at, auto value, int64_t half) HWY_ATTR {
      const auto size = hn::Set(di, static_cast<Index>(half)), last = hn::Set(di, static_cast<Index>(half - 1));
      const auto behind = is_behind<right>(d, hn::GatherIndex(d, row, hn::Add(at, last)), value);
      at = hn::Add(at, hn::IfThenElseZero(hn::RebindMask(di, behind), size));
    };
    for (int64_t left = length, half = 0; half = std::max<int64_t>(1, left / 2), left > 0; left -= half) {
      step(at_a, a, half), step(at_b, b, half), step(at_c, c, half), step(at_e, e, half);
    }
    const auto put = [&](auto at, uint32_t* place) HWY_ATTR {
      const auto found = hn::BitCast(places, at);
      if constexpr (sizeof(T) == 4) {
        hn::StoreU(found, places, place);
      } else {
        hn::StoreU(hn::TruncateTo(narrow, found), narrow, place);
      }
    };
    put(at_a, to), put(at_b, to + lanes), put(at_c, to + 2 * lanes), put(at_e, to + 3 * lanes);
  };
  int64_t i = 0;
  for (; i + together <= n; i += together) search(values + i, out + i);
  if (i < n) {
    T part[together];
    uint32_t found[together];
    std::copy(values + i, values + n, part);
    std::fill(part + (n - i), part + together, values[i]);
    search(part, found);
    std::copy(found, found + (n - i), out + i);
  }
}

template <bool right>
Bisect bisect_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float32: return &bisect<float, right>;
    case Dtype::Val::float64: return &bisect<double, right>;
    case Dtype::Val::int32: return &bisect<int32_t, right>;
    case Dtype::Val::int64: return &bisect<int64_t, right>;
    default: return nullptr;
  }
}
Bisect bisect_for(Dtype dtype, bool right) { return right ? bisect_of<true>(dtype) : bisect_of<false>(dtype); }

#else

Bisect bisect_for(Dtype, bool) { return nullptr; }

#endif

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(bisect_for);

Bisect find_bisect(Dtype dtype, bool right) { return HWY_DYNAMIC_DISPATCH(bisect_for)(dtype, right); }

} // namespace mlx::core::cpu
#endif
