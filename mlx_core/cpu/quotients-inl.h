// Quotients of four vectors, quicker where one divisor is that of all: a row's elements by its sum, anything by a
// number.
//
// With r = 1 / d correctly rounded, each q + (x - d q) r is nearer to x / d; from a q that is off by at most one unit
// in the last place it is x / d correctly rounded (Markstein 1990), as long as nothing overflows or loses bits below
// the normal numbers. x r is off by at most two, so it takes two of these. So the bits are those of a division, which
// is four times slower on vectors of 512 bits.
#if defined(MLX_CPU_QUOTIENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_QUOTIENTS_INL_H_
#undef MLX_CPU_QUOTIENTS_INL_H_
#else
#define MLX_CPU_QUOTIENTS_INL_H_
#endif

#include <cmath>

#include "mlx_core/cpu/arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3

template <class D, class V>
HWY_INLINE V quotient(V x, V divisor, V inverse) {
  const V first = hn::Mul(x, inverse);
  const V second = hn::MulAdd(hn::NegMulAdd(divisor, first, x), inverse, first);
  const V third = hn::MulAdd(hn::NegMulAdd(divisor, second, x), inverse, second);
  return hn::CopySign(third, first); // of a zero
}

// Whether all are dividends for which quotients by what is_moderate and their remainders are normal numbers; or 0. By
// their bits: of a zero those less one are the largest there are.
template <class D, class V>
HWY_INLINE bool are_in_reach(D d, V x0, V x1, V x2, V x3) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = [=](V x) { return hn::BitCast(du, hn::Abs(x)); };
  const auto y0 = bits(x0), y1 = bits(x1), y2 = bits(x2), y3 = bits(x3), one = hn::Set(du, 1);
  const auto most = hn::Max(hn::Max(y0, y1), hn::Max(y2, y3));
  const auto least = hn::Min(hn::Min(hn::Sub(y0, one), hn::Sub(y1, one)), hn::Min(hn::Sub(y2, one), hn::Sub(y3, one)));
  const auto low = hn::BitCast(du, constant(d, 0x1p-80f, 0x1p-600));
  const auto high = hn::BitCast(du, constant(d, 0x1p80f, 0x1p600));
  return hn::AllFalse(du, hn::Or(hn::Lt(least, hn::Sub(low, one)), hn::Gt(most, high)));
}
template <class T>
HWY_INLINE bool is_moderate(T divisor) {
  constexpr T most = sizeof(T) == 4 ? static_cast<T>(0x1p40) : static_cast<T>(0x1p200);
  return std::abs(divisor) <= most && std::abs(divisor) >= 1 / most;
}

// `short_ones`: all are numbers of eight bits, as bfloat16 has, and the quotient is rounded to as many. It is no nearer
// to a number halfway between two of those than 2^-17 of itself (a multiple of 1 / divisor, and of nine bits, which no
// such quotient is), so that x r is rounded as it is.
template <bool short_ones, class D, class V>
HWY_INLINE void divide_four_by(D d, V& x0, V& x1, V& x2, V& x3, V y) {
  const auto divisor = hn::GetLane(y);
  if (is_moderate(divisor) && are_in_reach(d, x0, x1, x2, x3)) {
    const V r = hn::Set(d, 1 / divisor);
    if constexpr (short_ones) {
      x0 = hn::Mul(x0, r), x1 = hn::Mul(x1, r), x2 = hn::Mul(x2, r), x3 = hn::Mul(x3, r);
      return;
    }
    x0 = quotient<D>(x0, y, r);
    x1 = quotient<D>(x1, y, r);
    x2 = quotient<D>(x2, y, r);
    x3 = quotient<D>(x3, y, r);
    return;
  }
  x0 = hn::Div(x0, y);
  x1 = hn::Div(x1, y);
  x2 = hn::Div(x2, y);
  x3 = hn::Div(x3, y);
}

template <bool short_ones = false, class D, class V>
HWY_INLINE void divide_four(D d, V& x0, V& x1, V& x2, V& x3, V y0, V y1, V y2, V y3) {
  const auto divisor = hn::GetLane(y0);
  const V y = hn::Set(d, divisor);
  const auto one_divisor = hn::And(hn::And(hn::Eq(y0, y), hn::Eq(y1, y)), hn::And(hn::Eq(y2, y), hn::Eq(y3, y)));
  if (hn::AllTrue(d, one_divisor) && is_moderate(divisor)) { // zeros of both signs are equal, and no one divisor
    return divide_four_by<short_ones>(d, x0, x1, x2, x3, y);
  }
  x0 = hn::Div(x0, y0);
  x1 = hn::Div(x1, y1);
  x2 = hn::Div(x2, y2);
  x3 = hn::Div(x3, y3);
}

#else

template <bool short_ones = false, class D, class V>
HWY_INLINE void divide_four(D d, V& x0, V& x1, V& x2, V& x3, V y0, V y1, V y2, V y3) {
  x0 = hn::Div(x0, y0);
  x1 = hn::Div(x1, y1);
  x2 = hn::Div(x2, y2);
  x3 = hn::Div(x3, y3);
}
template <bool, class D, class V>
HWY_INLINE void divide_four_by(D d, V& x0, V& x1, V& x2, V& x3, V y) {
  divide_four(d, x0, x1, x2, x3, y, y, y, y);
}

#endif

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
