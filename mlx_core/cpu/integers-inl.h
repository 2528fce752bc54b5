// Vectors of numbers from integers and bools in memory, and narrow integers from numbers.
#if defined(MLX_CPU_INTEGERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_INTEGERS_INL_H_
#undef MLX_CPU_INTEGERS_INL_H_
#else
#define MLX_CPU_INTEGERS_INL_H_
#endif

#include <limits>
#include <type_traits>

#include "mlx_core/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Of narrower integers: as integers, or as floats.
template <class D, class V>
HWY_INLINE hn::Vec<D> widened(D d, V x) {
  const hn::RebindToSigned<D> wide;
  if constexpr (hwy::IsFloat<hn::TFromD<D>>()) {
    return hn::ConvertTo(d, hn::PromoteTo(wide, x));
  } else {
    return hn::PromoteTo(wide, x);
  }
}

template <class D, class I>
HWY_INLINE hn::Vec<D> numbers_of(D d, const I* from) {
  const hn::Rebind<I, D> narrow;
  return widened(d, hn::LoadU(narrow, from));
}
template <class D>
HWY_INLINE hn::Vec<D> numbers_of(D d, const bool* from) {
  const hn::Rebind<uint8_t, D> narrow;
  const auto bytes = hn::LoadU(narrow, reinterpret_cast<const uint8_t*>(from));
  return widened(d, hn::Min(bytes, hn::Set(narrow, uint8_t{1})));
}

// The bits of integers of I, of 16 or 8 bits, from float32: toward zero, saturating, NaN to 0. A whole number of so few
// bits is the lower bits of its sum with one whose last digit is 1; the conversion would look for what is out of range.
template <class I, class D, class V>
HWY_INLINE auto narrowed(D d, V x) {
  using Limits = std::numeric_limits<I>;
  const hn::RebindToUnsigned<D> wide;
  const hn::Rebind<std::make_unsigned_t<I>, D> narrow;
  const V number = hn::IfThenElseZero(hn::Eq(x, x), x);
  const V clamped = hn::Min(hn::Max(number, hn::Set(d, Limits::lowest())), hn::Set(d, Limits::max()));
  return hn::TruncateTo(narrow, hn::BitCast(wide, hn::Add(hn::Trunc(clamped), hn::Set(d, 0x1.8p23f))));
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
