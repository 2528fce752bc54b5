// a > b ? a : b and a < b ? a : b on vectors of floats, for every value. On x86 that is what its instructions do.
#if defined(MLX_CPU_EXTREMA_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_EXTREMA_INL_H_
#undef MLX_CPU_EXTREMA_INL_H_
#else
#define MLX_CPU_EXTREMA_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

template <class V>
HWY_INLINE V greater_or_second(V a, V b) {
#if HWY_ARCH_X86 // where Highway compares in the other order
  return hwy::HWY_NAMESPACE::Max(a, b);
#else
  return hwy::HWY_NAMESPACE::IfThenElse(hwy::HWY_NAMESPACE::Gt(a, b), a, b);
#endif
}

template <class V>
HWY_INLINE V less_or_second(V a, V b) {
#if HWY_ARCH_X86 // where Highway compares in the other order
  return hwy::HWY_NAMESPACE::Min(a, b);
#else
  return hwy::HWY_NAMESPACE::IfThenElse(hwy::HWY_NAMESPACE::Lt(a, b), a, b);
#endif
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // toggle
