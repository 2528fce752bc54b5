// Arithmetic of integers: everything wraps, nothing divides by zero.
#pragma once

#include <metal_stdlib>

namespace integers {

// Unsigned and at least as wide as uint, so that neither wrapping nor promotion is signed.
template <typename T>
struct Wide {
  using type = uint;
};
template <>
struct Wide<long> {
  using type = ulong;
};
template <>
struct Wide<ulong> {
  using type = ulong;
};
template <typename T>
struct Unsigned {
  using type = T;
};
template <>
struct Unsigned<char> {
  using type = uchar;
};
template <>
struct Unsigned<short> {
  using type = ushort;
};
template <>
struct Unsigned<int> {
  using type = uint;
};
template <>
struct Unsigned<long> {
  using type = ulong;
};
template <typename T>
inline bool is_signed() {
  return T(-1) < T(1);
}

template <typename T>
inline T add(T a, T b) {
  using W = typename Wide<T>::type;
  return T(W(a) + W(b));
}
template <typename T>
inline T subtract(T a, T b) {
  using W = typename Wide<T>::type;
  return T(W(a) - W(b));
}
template <typename T>
inline T multiply(T a, T b) {
  using W = typename Wide<T>::type;
  return T(W(a) * W(b));
}
template <typename T>
inline T negative(T x) {
  return subtract(T(0), x);
}

// Toward zero; 0 for a zero divisor, and the dividend's negation for -1.
template <typename T>
inline T quotient(T a, T b) {
  if (b == T(0)) {
    return T(0);
  }
  if (is_signed<T>() && b == T(-1)) {
    return negative(a);
  }
  return T(a / b);
}
template <typename T>
inline T rest(T a, T b) {
  return subtract(a, multiply(quotient(a, b), b));
}
// Toward negative infinity, as Python's //
template <typename T>
inline T floor_divide(T a, T b) {
  const T q = quotient(a, b);
  const T r = subtract(a, multiply(q, b));
  const bool adjust = r != T(0) && ((r < T(0)) != (b < T(0))) && b != T(0);
  return adjust ? subtract(q, T(1)) : q;
}
// With the divisor's sign, as Python's %; 0 for a zero divisor
template <typename T>
inline T remainder(T a, T b) {
  if (b == T(0)) {
    return T(0);
  }
  const T r = rest(a, b);
  return r != T(0) && ((r < T(0)) != (b < T(0))) ? add(r, b) : r;
}
// By squaring; a negative exponent gives 1 of 1, 1 or -1 of -1, else 0
template <typename T>
inline T power(T base, T exponent) {
  if (exponent < T(0)) {
    return base == T(1) ? T(1) : base != T(-1) ? T(0) : (exponent & T(1)) != T(0) ? base : T(1);
  }
  using W = typename Wide<T>::type;
  W result = 1, factor = W(base);
  for (W e = W(exponent); e != 0; e >>= 1) {
    result *= (e & 1) != 0 ? factor : W(1);
    factor *= factor;
  }
  return T(result);
}

// By the width or more, or by a negative count: every bit is shifted out.
template <typename T>
inline T left_shift(T a, T count) {
  using U = typename Unsigned<T>::type;
  using W = typename Wide<T>::type;
  const U bits = U(8 * sizeof(T));
  return U(count) < bits ? T(W(U(a)) << (W(U(count)) & W(bits - 1))) : T(0);
}
template <typename T>
inline T right_shift(T a, T count) {
  using U = typename Unsigned<T>::type;
  const U bits = U(8 * sizeof(T)), by = U(count);
  if (is_signed<T>()) { // what is shifted in is the sign
    return T(a >> (by < bits ? by : U(bits - 1)));
  }
  return by < bits ? T(a >> by) : T(0);
}

} // namespace integers
