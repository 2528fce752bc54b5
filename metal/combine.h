// How two values become one: sums, products, extrema, truth. C below is the type they are carried in (Wide).
#pragma once

#include "numbers.h"

struct Sum {
  template <typename C>
  static C identity() {
    return whole<C>(0);
  }
  template <typename C>
  static C combine(C a, C b) {
    return C(a + b);
  }
  template <typename C, typename T>
  static C lift(T x) {
    return C(x);
  }
};

struct Prod {
  template <typename C>
  static C identity() {
    return whole<C>(1);
  }
  template <typename C>
  static C combine(C a, C b) {
    return C(a * b);
  }
  template <typename C, typename T>
  static C lift(T x) {
    return C(x);
  }
};

// Once met, a NaN stays.
struct Max {
  template <typename C>
  static C identity() {
    return Ends<C>::lowest();
  }
  template <typename C>
  static C combine(C a, C b) {
    return !is_nan(a) && (is_nan(b) || is_less(a, b)) ? b : a;
  }
  template <typename C, typename T>
  static C lift(T x) {
    return C(x);
  }
};

struct Min {
  template <typename C>
  static C identity() {
    return Ends<C>::highest();
  }
  template <typename C>
  static C combine(C a, C b) {
    return !is_nan(a) && (is_nan(b) || is_less(b, a)) ? b : a;
  }
  template <typename C, typename T>
  static C lift(T x) {
    return C(x);
  }
};

// Truth is 0 or 1.
struct All {
  template <typename C>
  static C identity() {
    return C(1);
  }
  template <typename C>
  static C combine(C a, C b) {
    return C(a & b);
  }
  template <typename C, typename T>
  static C lift(T x) {
    return C(is_zero(x) ? 0 : 1);
  }
};

struct Any {
  template <typename C>
  static C identity() {
    return C(0);
  }
  template <typename C>
  static C combine(C a, C b) {
    return C(a | b);
  }
  template <typename C, typename T>
  static C lift(T x) {
    return C(is_zero(x) ? 0 : 1);
  }
};
