// Bools as lanes of numbers, of all ones or none: comparisons, connectives, and numbers of them.
#if defined(MLX_CPU_MASKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_MASKS_INL_H_
#undef MLX_CPU_MASKS_INL_H_
#else
#define MLX_CPU_MASKS_INL_H_
#endif

#include "mlx_core/backend/body.h"
#include "mlx_core/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <Body comparison>
struct MaskOf {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    if constexpr (comparison == Body::equal) {
      return hn::VecFromMask(d, hn::Eq(x, y));
    } else if constexpr (comparison == Body::not_equal) {
      return hn::VecFromMask(d, hn::Not(hn::Eq(x, y))); // of NaN, too
    } else if constexpr (comparison == Body::less) {
      return hn::VecFromMask(d, hn::Lt(x, y));
    } else if constexpr (comparison == Body::less_equal) {
      return hn::VecFromMask(d, hn::Le(x, y));
    } else if constexpr (comparison == Body::greater) {
      return hn::VecFromMask(d, hn::Gt(x, y));
    } else {
      return hn::VecFromMask(d, hn::Ge(x, y));
    }
  }
};
struct BothMasks {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::And(x, y);
  }
};
struct EitherMask {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Or(x, y);
  }
};
struct OneMask {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V y) const {
    return hn::Xor(x, y);
  }
};
struct NoMask {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x) const {
    return hn::Not(x);
  }
};
struct OneOrZero {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::And(x, hn::Set(d, hn::TFromD<D>{1}));
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
