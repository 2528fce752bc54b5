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
    return hn::VecFromMask(d, mask(d, x, y));
  }
  template <class D, class V>
  static HWY_INLINE hn::Mask<D> mask([[maybe_unused]] D d, V x, V y) {
    constexpr bool has_nan = hwy::IsFloat<hn::TFromD<D>>();
    if constexpr (comparison == Body::equal) {
      return hn::Eq(x, y);
    } else if constexpr (comparison == Body::nan_equal) {
      if constexpr (has_nan) {
        return hn::Or(hn::Eq(x, y), hn::And(hn::IsNaN(x), hn::IsNaN(y)));
      } else {
        return hn::Eq(x, y);
      }
    } else if constexpr (comparison == Body::not_equal) {
      return hn::Not(hn::Eq(x, y)); // of NaN, too
    } else if constexpr (comparison == Body::less) {
      return hn::Lt(x, y);
    } else if constexpr (comparison == Body::greater) {
      return hn::Lt(y, x);
    } else if constexpr (comparison == Body::less_equal) {
      if constexpr (has_nan) {
        return hn::Le(x, y);
      } else {
        return hn::Not(hn::Lt(y, x));
      }
    } else {
      return MaskOf<Body::less_equal>::mask(d, y, x);
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
