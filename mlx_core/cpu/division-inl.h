// Bodies of floor_divide and remainder on real floating numbers, exact and with Python's signs; with infinities the
// quotient is the floor of a / b. Both begin with the
// remainder of the magnitudes, which is a number of the dtype; float16 and bfloat16 pass through float32, whose digits
// are more than twice theirs, so that they too are rounded once.
#if defined(MLX_CPU_DIVISION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_DIVISION_INL_H_
#undef MLX_CPU_DIVISION_INL_H_
#else
#define MLX_CPU_DIVISION_INL_H_
#endif

#include <cmath>

#include "mlx_core/cpu/polynomial-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

// x - q m, rounded once. Where the processor has no fused product, float32 goes through float64, which holds the
// product, and float64 through the C library.
template <class D, class V>
HWY_INLINE V less_multiple(D d, V x, V q, V m) {
#if HWY_NATIVE_FMA
  (void)d;
  return hn::NegMulAdd(q, m, x);
#else
  using T = hn::TFromD<D>;
  HWY_ALIGN T xs[hn::MaxLanes(D())], qs[hn::MaxLanes(D())], ms[hn::MaxLanes(D())];
  hn::Store(x, d, xs);
  hn::Store(q, d, qs);
  hn::Store(m, d, ms);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    if constexpr (sizeof(T) == 4) {
      xs[i] = static_cast<T>(static_cast<double>(xs[i]) - static_cast<double>(qs[i]) * static_cast<double>(ms[i]));
    } else {
      xs[i] = std::fma(-qs[i], ms[i], xs[i]);
    }
  }
  return hn::Load(d, xs);
#endif
}

// From this quotient on, whole numbers are not all in the type.
template <class T>
inline constexpr T quotient_limit = sizeof(T) == 4 ? static_cast<T>(0x1p24) : static_cast<T>(0x1p53);

// Of the magnitudes x and m: floor(x / m), and x less that many m, which is in [0, m).
template <class V>
struct Division {
  V quotient, rest;
};

// The rounded quotient is too large by one at most, and what is left of x by any whole number of m below the limit is
// a multiple of the last digit of m, and no larger than m: no digit is lost.
template <class D, class V>
HWY_INLINE Division<V> divide_magnitudes(D d, V x, V m, V rounded) {
  const V zero = hn::Zero(d);
  V q = hn::Trunc(rounded);
  V r = hn::IfThenElse(hn::Eq(q, zero), x, less_multiple(d, x, q, m)); // 0 times an infinite m is no number
  const auto below = hn::Lt(r, zero);
  r = hn::IfThenElse(below, hn::Add(r, m), r);
  q = hn::IfThenElse(below, hn::Sub(q, constant(d, 1.0)), q);
  return {q, r};
}

// The rest by steps, each of which takes a quotient rounded to the digits there are away from x, exactly: what is left
// has as many digits less. A quotient that is infinite is made with both sides scaled towards each other.
template <class D, class V>
HWY_INLINE V rest_of_huge(D d, V x, V m) {
  using T = hn::TFromD<D>;
  constexpr double power = sizeof(T) == 4 ? 0x1p75 : 0x1p538;
  const V limit = hn::Mul(constant(d, static_cast<double>(quotient_limit<T>)), m);
  V r = x;
  for (;;) {
    const auto big = hn::Ge(hn::Abs(r), limit);
    if (hn::AllFalse(d, big)) {
      break;
    }
    const auto scaled = hn::Eq(hn::Abs(hn::Div(r, m)), infinity(d));
    const V from = hn::IfThenElse(scaled, hn::Mul(r, constant(d, 1 / power)), r);
    const V by = hn::IfThenElse(scaled, hn::Mul(m, constant(d, power)), m);
    const V left = less_multiple(d, from, hn::Div(from, by), by);
    r = hn::IfThenElse(big, hn::IfThenElse(scaled, hn::Mul(left, constant(d, power)), left), r);
  }
  const V zero = hn::Zero(d);
  const V q = hn::Trunc(hn::Div(r, m));
  r = hn::IfThenElse(hn::Eq(q, zero), r, less_multiple(d, r, q, m));
  return hn::IfThenElse(hn::Lt(r, zero), hn::Add(r, m), r);
}

// The huge quotient, a whole number rounded to nearest. The rounded quotient `rounded` is that of x / m, not of its
// floor (its ceiling where `up`): they differ where the whole number is half way between two of the type and x / m lies
// beyond; then the tie goes to the even one.
template <class D, class V, class M>
HWY_INLINE V huge_quotient(D d, V x, V m, V rounded, M up) {
  using T = hn::TFromD<D>;
  const hn::RebindToUnsigned<D> du;
  using U = hn::TFromD<decltype(du)>;
  constexpr U exponent = sizeof(T) == 4 ? static_cast<U>(0x7f800000u) : static_cast<U>(0x7ff0000000000000u);
  const auto bits = hn::BitCast(du, rounded);
  const auto odd = hn::RebindMask(d, hn::Eq(hn::And(bits, hn::Set(du, U{1})), hn::Set(du, U{1})));
  const V power = hn::BitCast(d, hn::And(bits, hn::Set(du, exponent)));
  const V half = hn::Mul(power, constant(d, 1 / static_cast<double>(quotient_limit<T>))); // of the gap to the next
  const V r = less_multiple(d, x, rounded, m);
  const V beyond =
      hn::IfThenElse(up, less_multiple(d, hn::Neg(r), hn::Neg(half), m), less_multiple(d, r, hn::Neg(half), m));
  const auto tie = hn::And(odd, hn::And(hn::Gt(beyond, hn::Zero(d)), hn::Lt(beyond, m)));
  const V gap = hn::Add(half, half);
  const V even = hn::IfThenElse(up, hn::Add(rounded, gap), hn::Sub(rounded, gap));
  // Below the limit, to which x / m was rounded up, every whole number is there.
  const V limit = constant(d, static_cast<double>(quotient_limit<T>));
  const auto at_limit = hn::And(hn::Eq(rounded, limit), hn::Lt(r, hn::Zero(d)));
  const V result = hn::IfThenElse(hn::And(tie, hn::Lt(rounded, infinity(d))), even, rounded);
  return hn::IfThenElse(hn::And(at_limit, hn::Not(up)), hn::Sub(rounded, constant(d, 1.0)), result);
}

// Lanes whose quotient is beyond the limit. By 0, and of infinity by a number: the quotient is that of the numbers, and
// nothing is left.
template <class D, class V, class M>
HWY_NOINLINE Division<V> divide_huge(D d, V x, V m, V rounded, M huge, M opposite, Division<V> common) {
  const V zero = hn::Zero(d);
  const V one = constant(d, 1.0);
  const auto by_zero = hn::And(huge, hn::Eq(m, zero));
  const auto of_infinity = hn::And(hn::And(huge, hn::Eq(x, infinity(d))), hn::Not(by_zero));
  const auto finite = hn::And(huge, hn::Not(hn::Or(by_zero, of_infinity)));
  const V numerator = hn::IfThenElse(finite, x, zero);
  const V denominator = hn::IfThenElse(finite, m, one);
  const V rest = rest_of_huge(d, numerator, denominator);
  V quotient = huge_quotient(d, numerator, denominator, hn::IfThenElse(finite, rounded, zero), opposite);
  return {hn::IfThenElse(huge, hn::IfThenElse(finite, quotient, rounded), common.quotient),
      hn::IfThenElse(huge, hn::IfThenElse(finite, rest, quiet_nan(d)), common.rest)};
}

template <class D, class V>
HWY_INLINE auto opposite_signs(D d, V a, V b) {
  const V one = constant(d, 1.0);
  return hn::Ne(hn::CopySign(one, a), hn::CopySign(one, b));
}

// The quotient of a number by infinity is 0, on either side: Python rounds it down to -1 below.
struct FloorDivide {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const V x = hn::Abs(a);
    const V m = hn::Abs(b);
    const V rounded = hn::Div(x, m);
    const auto opposite = opposite_signs(d, a, b);
    const auto huge = hn::Ge(rounded, constant(d, static_cast<double>(quotient_limit<hn::TFromD<D>>)));
    Division<V> z = divide_magnitudes(d, x, m, rounded);
    const auto inexact = hn::And(hn::Ne(z.rest, hn::Zero(d)), hn::Lt(m, infinity(d)));
    const auto up = hn::And(opposite, hn::AndNot(huge, inexact));
    z.quotient = hn::IfThenElse(up, hn::Add(z.quotient, constant(d, 1.0)), z.quotient);
    if (HWY_UNLIKELY(!hn::AllFalse(d, huge))) {
      z = divide_huge(d, x, m, rounded, huge, opposite, z);
    }
    return hn::IfThenElse(opposite, hn::Neg(z.quotient), z.quotient);
  }
};

// With the divisor's sign, which a remainder of 0 has, too
struct Remainder {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    const V x = hn::Abs(a);
    const V m = hn::Abs(b);
    const V rounded = hn::Div(x, m);
    const auto opposite = opposite_signs(d, a, b);
    const auto huge = hn::Ge(rounded, constant(d, static_cast<double>(quotient_limit<hn::TFromD<D>>)));
    Division<V> z = divide_magnitudes(d, x, m, rounded);
    if (HWY_UNLIKELY(!hn::AllFalse(d, huge))) {
      z = divide_huge(d, x, m, rounded, huge, opposite, z);
    }
    const auto up = hn::And(opposite, hn::Ne(z.rest, hn::Zero(d)));
    return hn::CopySign(hn::IfThenElse(up, hn::Sub(m, z.rest), z.rest), b);
  }
};

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
