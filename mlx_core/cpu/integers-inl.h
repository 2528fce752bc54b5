// Vectors of float32 from integers and bools in memory.
#if defined(MLX_CPU_INTEGERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_INTEGERS_INL_H_
#undef MLX_CPU_INTEGERS_INL_H_
#else
#define MLX_CPU_INTEGERS_INL_H_
#endif

#include "mlx_core/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class I>
HWY_INLINE hn::Vec<D> numbers_of(D d, const I* from) {
  const hn::RebindToSigned<D> wide;
  if constexpr (sizeof(I) == sizeof(hn::TFromD<D>)) {
    return hn::ConvertTo(d, hn::LoadU(wide, from));
  } else {
    const hn::Rebind<I, D> narrow;
    return hn::ConvertTo(d, hn::PromoteTo(wide, hn::LoadU(narrow, from)));
  }
}
template <class D>
HWY_INLINE hn::Vec<D> numbers_of(D d, const bool* from) {
  const hn::Rebind<uint8_t, D> narrow;
  const auto bytes = hn::LoadU(narrow, reinterpret_cast<const uint8_t*>(from));
  const hn::RebindToSigned<D> wide;
  return hn::ConvertTo(d, hn::PromoteTo(wide, hn::Min(bytes, hn::Set(narrow, uint8_t{1}))));
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
