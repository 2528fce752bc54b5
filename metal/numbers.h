// What holds of numbers of every type: complex ones, NaN, order, and the type that results are carried in.
#pragma once

struct Complex {
  float re;
  float im;
};

inline Complex operator+(Complex a, Complex b) { return Complex{a.re + b.re, a.im + b.im}; }
inline Complex operator*(Complex a, Complex b) {
  return Complex{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// What is carried: 16-bit floats in 32 bits.
template <typename T>
struct Carried {
  using type = T;
};
template <>
struct Carried<half> {
  using type = float;
};
template <>
struct Carried<bfloat> {
  using type = float;
};
template <typename T>
using Wide = typename Carried<T>::type;

template <typename T>
inline bool is_nan(T) {
  return false;
}
inline bool is_nan(float x) { return isnan(x); }
inline bool is_nan(half x) { return isnan(float(x)); }
inline bool is_nan(bfloat x) { return isnan(float(x)); }
inline bool is_nan(Complex x) { return isnan(x.re) || isnan(x.im); }

template <typename T>
inline bool is_zero(T x) {
  return x == T(0);
}
inline bool is_zero(Complex x) { return x.re == 0.0f && x.im == 0.0f; }

// a < b; of complex numbers by real, then imaginary part.
template <typename T>
inline bool is_less(T a, T b) {
  return a < b;
}
inline bool is_less(bfloat a, bfloat b) { return float(a) < float(b); }
inline bool is_less(Complex a, Complex b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }

// The order of sorting: NaNs come last, and are equal.
template <typename T>
inline bool comes_before(T a, T b) {
  bool nan_a = is_nan(a), nan_b = is_nan(b);
  return nan_a || nan_b ? !nan_a && nan_b : is_less(a, b);
}

// The value of a whole number.
template <typename T>
inline T whole(int value) {
  return T(value);
}
template <>
inline Complex whole<Complex>(int value) {
  return Complex{float(value), 0.0f};
}

// What is below, or above, every number.
template <typename T>
struct Ends {
  static T lowest() { return numeric_limits<T>::lowest(); }
  static T highest() { return numeric_limits<T>::max(); }
};
template <>
struct Ends<float> {
  static float lowest() { return -INFINITY; }
  static float highest() { return INFINITY; }
};
template <>
struct Ends<Complex> {
  static Complex lowest() { return Complex{-INFINITY, -INFINITY}; }
  static Complex highest() { return Complex{INFINITY, INFINITY}; }
};
