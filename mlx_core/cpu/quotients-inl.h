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

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

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
  const V r = hn::Set(d, 1 / hn::GetLane(y));
  if constexpr (short_ones) {
    x0 = hn::Mul(x0, r), x1 = hn::Mul(x1, r), x2 = hn::Mul(x2, r), x3 = hn::Mul(x3, r);
    return;
  }
  x0 = quotient<D>(x0, y, r);
  x1 = quotient<D>(x1, y, r);
  x2 = quotient<D>(x2, y, r);
  x3 = quotient<D>(x3, y, r);
}

template <bool short_ones = false, class D, class V>
HWY_INLINE void divide_four(D d, V& x0, V& x1, V& x2, V& x3, V y0, V y1, V y2, V y3) {
  const auto divisor = hn::GetLane(y0);
  const V y = hn::Set(d, divisor);
  const auto one_divisor = hn::And(hn::And(hn::Eq(y0, y), hn::Eq(y1, y)), hn::And(hn::Eq(y2, y), hn::Eq(y3, y)));
  // Zeros of both signs are equal, and no one divisor.
  if (hn::AllTrue(d, one_divisor) && is_moderate(divisor) && are_in_reach(d, x0, x1, x2, x3)) {
    return divide_four_by<short_ones>(d, x0, x1, x2, x3, y);
  }
  x0 = hn::Div(x0, y0);
  x1 = hn::Div(x1, y1);
  x2 = hn::Div(x2, y2);
  x3 = hn::Div(x3, y3);
}

// A divisor that many vectors are divided by. With h = 1 / d rounded and l = 1 / d - h rounded, x / d is x h + (x l
// rounded), rounded once: Brisebarre, Muller and Raina 2004. Of p digits, with x and d in [1, 2), the sum is off by
// less than 2^-2p before it is rounded. A quotient is off a number halfway between two by k 2^(1-2p) / d where x >= d,
// k a whole number and not 0, and by half of that where x < d: too near only there, with k = 1 or -1, and with the
// digits X, D of x and d as integers this is X 2^(p+1) = k modulo D. So D is odd, X one of two numbers, and these are
// tried.
template <class T>
struct Divisor {
  T value, inverse, rest;
  T least; // of the dividends, but for 0, so that no product is below the normal numbers
  bool is_easy;
};

// Whether the dividends come out that are hard for a divisor, which is positive and normal. Without branches: rows have
// a divisor each, and what follows need not wait for the answer.
template <class T>
HWY_INLINE bool hard_dividends_come_out(T divisor, T inverse, T rest) {
  using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  using Wide = std::conditional_t<sizeof(T) == 4, uint64_t, unsigned __int128>;
  constexpr int digits = std::numeric_limits<T>::digits;
  constexpr U top = U{1} << (digits - 1), modulus = U{1} << (digits + 1);
  const U bits = std::bit_cast<U>(divisor);
  const U d = (bits & (top - 1)) | top;
  U inverse_of_d = d; // modulo 2^3, then of twice as many digits each time
  for (int known = 3; known < digits + 1; known *= 2) {
    inverse_of_d *= 2 - d * inverse_of_d;
  }
  const Wide multiple = Wide{(U{0} - inverse_of_d) & (modulus - 1)} * d;
  const U first = static_cast<U>((multiple + 1) / modulus);
  const auto fails = [=](U x) {
    const T dividend = std::bit_cast<T>(static_cast<U>((bits & ~(top - 1)) | (x & (top - 1)))); // of d's exponent
    const T quotient = std::fma(dividend, inverse, dividend * rest);
    return (x >= top) & (std::bit_cast<U>(quotient) != std::bit_cast<U>(dividend / divisor));
  };
  return !((d & 1) & (fails(first) | fails(d - first)));
}

template <bool short_ones, class T>
HWY_INLINE Divisor<T> divisor_of(T value) {
  const T inverse = 1 / value, rest = std::fma(-value, inverse, T{1}) / value;
  const T least = value * static_cast<T>(sizeof(T) == 4 ? 0x1p-76 : 0x1p-600); // rest is at least 2^-2p of inverse
  constexpr T smallest = std::numeric_limits<T>::epsilon(); // then rest is 1 at most, and no product with it overflows
  const bool is_easy =
      value >= smallest && is_moderate(value) && (short_ones || hard_dividends_come_out(value, inverse, rest));
  return {value, inverse, rest, least, is_easy};
}

HWY_INLINE hn::Vec512<float> least_magnitude(hn::Vec512<float> a, hn::Vec512<float> b) {
  return {_mm512_range_ps(a.raw, b.raw, 0b1010)}; // the number where the other one is NaN
}
HWY_INLINE hn::Vec512<double> least_magnitude(hn::Vec512<double> a, hn::Vec512<double> b) {
  return {_mm512_range_pd(a.raw, b.raw, 0b1010)};
}

// x where it is 0 or infinite, else q.
HWY_INLINE hn::Vec512<float> unless_zero_or_infinite(hn::Vec512<float> q, hn::Vec512<float> x) {
  return {_mm512_fixupimm_ps(q.raw, x.raw, _mm512_set1_epi32(0x00110100), 0)};
}
HWY_INLINE hn::Vec512<double> unless_zero_or_infinite(hn::Vec512<double> q, hn::Vec512<double> x) {
  return {_mm512_fixupimm_pd(q.raw, x.raw, _mm512_set1_epi64(0x00110100), 0)};
}

template <bool short_ones, class D, class V>
HWY_INLINE void divide_four_by(D d, V& x0, V& x1, V& x2, V& x3, const Divisor<hn::TFromD<D>>& by) {
  const V least = hn::Set(d, by.least);
  const auto is_tiny = [&](V x) { return hn::And(hn::Lt(hn::Abs(x), least), hn::Ne(x, hn::Zero(d))); };
  const bool in_reach =
      hn::AllFalse(d, hn::Lt(least_magnitude(least_magnitude(x0, x1), least_magnitude(x2, x3)), least)) ||
      hn::AllFalse(d, hn::Or(hn::Or(is_tiny(x0), is_tiny(x1)), hn::Or(is_tiny(x2), is_tiny(x3))));
  if (HWY_UNLIKELY(!by.is_easy || !in_reach)) {
    const V y = hn::Set(d, by.value);
    x0 = hn::Div(x0, y), x1 = hn::Div(x1, y), x2 = hn::Div(x2, y), x3 = hn::Div(x3, y);
    return;
  }
  const V h = hn::Set(d, by.inverse), l = hn::Set(d, by.rest);
  if constexpr (short_ones) {
    x0 = hn::Mul(x0, h), x1 = hn::Mul(x1, h), x2 = hn::Mul(x2, h), x3 = hn::Mul(x3, h);
  } else { // zeros of both signs add up to one without, infinities to NaN
    const auto quotient = [&](V x) { return unless_zero_or_infinite(hn::MulAdd(x, h, hn::Mul(x, l)), x); };
    x0 = quotient(x0), x1 = quotient(x1), x2 = quotient(x2), x3 = quotient(x3);
  }
}

#else

template <bool short_ones = false, class D, class V>
HWY_INLINE void divide_four(D, V& x0, V& x1, V& x2, V& x3, V y0, V y1, V y2, V y3) {
  x0 = hn::Div(x0, y0);
  x1 = hn::Div(x1, y1);
  x2 = hn::Div(x2, y2);
  x3 = hn::Div(x3, y3);
}

template <class T>
struct Divisor {
  T value;
};
template <bool, class T>
HWY_INLINE Divisor<T> divisor_of(T value) {
  return {value};
}
template <bool, class D, class V>
HWY_INLINE void divide_four_by(D d, V& x0, V& x1, V& x2, V& x3, const Divisor<hn::TFromD<D>>& by) {
  const V y = hn::Set(d, by.value);
  divide_four(d, x0, x1, x2, x3, y, y, y, y);
}

#endif

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
