// The operations of reductions, and loads of what they reduce. Included by files compiled once per instruction set.

// Per-target include guard
#if defined(MLX_CPU_REDUCE_OPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_REDUCE_OPS_INL_H
#undef MLX_CPU_REDUCE_OPS_INL_H
#else
#define MLX_CPU_REDUCE_OPS_INL_H
#endif

#include <hwy/highway.h>

#include <limits>
#include <type_traits>

#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/extrema-inl.h"
#include "mlx_core/half.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Keeps a product apart from the addition that follows: GCC fuses complex multiplications (vfmaddsub) where the
// instruction set can, -ffp-contract=off or not.
template <typename T>
HWY_INLINE T rounded(T x) {
#if HWY_ARCH_X86
  asm("" : "+x"(x));
#elif HWY_ARCH_ARM_A64
  asm("" : "+w"(x));
#endif
  return x;
}

// ---- operations: on vectors where `simd`, on scalars always. The first operand is what has been reduced so far. ----

struct Sum {
  template <typename P>
  static constexpr bool slow = false; // to join vectors
  template <typename P>
  static constexpr bool simd = std::is_arithmetic_v<P>;
  template <typename P>
  static P identity() {
    return P(0);
  }
  template <typename P>
  static P neutral() { // -0 + x is x to the bit, also where x is -0
    return static_cast<P>(-P(0));
  }
  template <typename P>
  static HWY_INLINE P scalar(P a, P b) {
    return static_cast<P>(a + b);
  }
  template <typename V>
  static HWY_INLINE V vector(V a, V b) {
    return hn::Add(a, b);
  }
};

struct Prod {
  template <typename P>
  static constexpr bool slow = false; // to join vectors
  // Highway multiplies no 8-bit and not everywhere 64-bit integers.
  template <typename P>
  static constexpr bool simd =
      std::is_floating_point_v<P> || (std::is_integral_v<P> && (sizeof(P) == 2 || sizeof(P) == 4));
  template <typename P>
  static P identity() {
    return P(1);
  }
  template <typename P>
  static P neutral() {
    return P(1);
  }
  template <typename P>
  static HWY_INLINE P scalar(P a, P b) {
    if constexpr (std::is_arithmetic_v<P>) {
      // Unsigned arithmetic at no less than int's width, where overflow is defined.
      if constexpr (std::is_integral_v<P>)
        return static_cast<P>(uint64_t{a} * uint64_t{b});
      else
        return a * b;
    } else { // the formula, without C's detours for infinities
      return P(rounded(a.real() * b.real()) - rounded(a.imag() * b.imag()),
          rounded(a.real() * b.imag()) + rounded(a.imag() * b.real()));
    }
  }
  template <typename V>
  static HWY_INLINE V vector(V a, V b) {
    return hn::Mul(a, b);
  }
};

template <typename P>
HWY_INLINE bool is_nan(P x) {
  return x != x;
}

// A NaN, once met, stays: the first one.
template <bool max>
struct Extremum {
  template <typename P>
  static constexpr bool slow = std::is_floating_point_v<P>;
  template <typename P>
  static constexpr bool simd = std::is_arithmetic_v<P>;
  template <typename P>
  static P identity() {
    if constexpr (std::is_integral_v<P>) {
      return max ? std::numeric_limits<P>::lowest() : std::numeric_limits<P>::max();
    } else if constexpr (std::is_floating_point_v<P>) {
      return max ? -std::numeric_limits<P>::infinity() : std::numeric_limits<P>::infinity();
    } else {
      return P(identity<typename P::value_type>(), identity<typename P::value_type>());
    }
  }
  template <typename P>
  static P neutral() {
    return identity<P>();
  }
  template <typename P>
  static HWY_INLINE bool before(P a, P b) { // lexicographic for complex
    if constexpr (std::is_arithmetic_v<P>)
      return max ? b < a : a < b;
    else
      return before(a.real(), b.real()) || (a.real() == b.real() && before(a.imag(), b.imag()));
  }
  template <typename P>
  static HWY_INLINE P scalar(P a, P b) {
    return (before(b, a) || is_nan(b)) && !is_nan(a) ? b : a;
  }
  template <typename V>
  static HWY_INLINE V vector(V a, V b) {
    if constexpr (std::is_integral_v<hn::TFromV<V>>) {
      return max ? hn::Max(a, b) : hn::Min(a, b);
    } else { // b where it is better or NaN; never where a is NaN, unless b is too
      return hn::IfThenElse(hn::IsNaN(b), b, max ? greater_or_second(b, a) : less_or_second(b, a));
    }
  }
};

// ---- elements and partials ----

// Highway converts infinities and NaNs of float16 only where there is an instruction for it.
template <typename D>
HWY_INLINE hn::Vec<D> load_float16(D d, const float16_t* p) {
#if HWY_TARGET == HWY_SSE4
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> bits;
  auto wide = hn::PromoteTo(du, hn::LoadU(bits, reinterpret_cast<const uint16_t*>(p)));
  auto magnitude = hn::ShiftLeft<13>(hn::And(wide, hn::Set(du, 0x7fffu)));
  auto sign = hn::ShiftLeft<16>(hn::And(wide, hn::Set(du, 0x8000u)));
  auto finite = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112f)); // exact, subnormals included
  auto special = hn::BitCast(d, hn::Or(magnitude, hn::Set(du, 0x7f800000u)));
  auto is_special = hn::Ge(hn::BitCast(d, magnitude), hn::BitCast(d, hn::Set(du, 0x7c00u << 13)));
  return hn::Or(hn::IfThenElse(is_special, special, finite), hn::BitCast(d, sign));
#else
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

template <typename D, typename T>
HWY_INLINE hn::Vec<D> load_partial(D d, const T* p) {
  if constexpr (std::is_same_v<T, float16_t>) {
    return load_float16(d, p);
  } else if constexpr (std::is_same_v<T, bfloat16_t>) {
    const hn::Rebind<hwy::bfloat16_t, D> half;
    return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::bfloat16_t*>(p)));
  } else {
    return hn::LoadU(d, p);
  }
}

// 16-bit floats of type T, as bits, which have instructions for it.
template <typename T, typename D, typename V>
HWY_INLINE hn::Vec<D> promoted(D d, V bits) {
  using Half = std::conditional_t<std::is_same_v<T, float16_t>, hwy::float16_t, hwy::bfloat16_t>;
  return hn::PromoteTo(d, hn::BitCast(hn::Rebind<Half, D>(), bits));
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
