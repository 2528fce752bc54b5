// Vectors of float32 rounded to a 16-bit float, and stored as such: bit for bit the conversions in half.h.
#if defined(MLX_CPU_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_ROUNDING_INL_H_
#undef MLX_CPU_ROUNDING_INL_H_
#else
#define MLX_CPU_ROUNDING_INL_H_
#endif

#include <cstdint>

#include "mlx_core/cpu/simd.h"
#include "mlx_core/half.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Highway's emulation of the instructions for float16 knows neither infinity nor NaN and truncates.
inline constexpr bool has_float16 = HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON;

// What arithmetic gives, of numbers of M: a NaN is one of theirs, or the processor's, whose lower half is zero. Nothing
// changes where M is wide.
template <class M, class V>
HWY_INLINE V round_result(V x) {
  if constexpr (sizeof(M) > 2) {
    return x;
  } else {
    const hn::DFromV<V> d;
    if constexpr (std::is_same_v<M, float16_t>) {
      const hn::Rebind<hwy::float16_t, decltype(d)> half;
      return hn::PromoteTo(d, hn::DemoteTo(half, x));
    } else {
      const hn::RebindToUnsigned<decltype(d)> du;
      const auto bits = hn::BitCast(du, x);
#if HWY_TARGET <= HWY_AVX3
      const auto odd = hn::TestBit(bits, hn::Set(du, 0x10000u)); // masked additions: four operations instead of five
      const auto sum = hn::IfThenElse(odd, hn::Add(bits, hn::Set(du, 0x8000u)), hn::Add(bits, hn::Set(du, 0x7fffu)));
#else
      const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
      const auto sum = hn::Add(hn::Add(bits, hn::Set(du, 0x7fffu)), odd);
#endif
      return hn::BitCast(d, hn::And(sum, hn::Set(du, 0xffff0000u)));
    }
  }
}

// Any float32.
template <class M, class V>
HWY_INLINE V round_any(V x) {
  const V rounded = round_result<M>(x);
  if constexpr (std::is_same_v<M, bfloat16_t>) {
    const hn::DFromV<V> d;
    const hn::RebindToUnsigned<decltype(d)> du;
    const auto quiet = hn::And(hn::Or(hn::BitCast(du, x), hn::Set(du, 0x400000u)), hn::Set(du, 0xffff0000u));
    return hn::IfThenElse(hn::IsNaN(x), hn::BitCast(d, quiet), rounded);
  } else {
    return rounded;
  }
}

// A number of M in each lane.
template <class D, class M>
HWY_INLINE hn::Vec<D> set_wide(D d, M x) {
  if constexpr (std::is_same_v<M, float16_t>) {
    const hn::Rebind<uint16_t, D> bits;
    const hn::Rebind<hwy::float16_t, D> half;
    return hn::PromoteTo(d, hn::BitCast(half, hn::Set(bits, x.bits)));
  } else {
    return hn::Set(d, static_cast<hn::TFromD<D>>(x));
  }
}

// What is a number of M.
template <class M, class V>
HWY_INLINE void store_rounded(V x, M* to) {
  const hn::DFromV<V> d;
  if constexpr (std::is_same_v<M, float16_t>) {
    const hn::Rebind<hwy::float16_t, decltype(d)> half;
    hn::StoreU(hn::DemoteTo(half, x), half, reinterpret_cast<hwy::float16_t*>(to));
  } else if constexpr (std::is_same_v<M, bfloat16_t>) {
    const hn::RebindToUnsigned<decltype(d)> du;
    const hn::Rebind<uint16_t, decltype(d)> half;
    const auto upper = hn::ShiftRight<16>(hn::BitCast(du, x));
    hn::StoreU(hn::TruncateTo(half, upper), half, reinterpret_cast<uint16_t*>(to));
  } else {
    hn::StoreU(x, d, to);
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
