// What kernels of users find: names of types, complex numbers, the place of an element in an array with strides.
#pragma once

#include <metal_stdlib>

using namespace metal;

typedef half float16_t;
typedef bfloat bfloat16_t;

struct complex64_t {
  float real, imag;
};
inline complex64_t make_complex64(float real, float imag) {
  complex64_t z;
  z.real = real;
  z.imag = imag;
  return z;
}
inline complex64_t operator+(complex64_t a, complex64_t b) { return make_complex64(a.real + b.real, a.imag + b.imag); }
inline complex64_t operator-(complex64_t a, complex64_t b) { return make_complex64(a.real - b.real, a.imag - b.imag); }
inline complex64_t operator-(complex64_t a) { return make_complex64(-a.real, -a.imag); }
inline complex64_t operator*(complex64_t a, complex64_t b) {
  return make_complex64(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real);
}
inline complex64_t operator*(float a, complex64_t b) { return make_complex64(a * b.real, a * b.imag); }
inline complex64_t operator*(complex64_t a, float b) { return make_complex64(a.real * b, a.imag * b); }
inline complex64_t operator/(complex64_t a, complex64_t b) {
  const float size = b.real * b.real + b.imag * b.imag;
  return make_complex64((a.real * b.real + a.imag * b.imag) / size, (a.imag * b.real - a.real * b.imag) / size);
}
inline bool operator==(complex64_t a, complex64_t b) { return a.real == b.real && a.imag == b.imag; }
inline bool operator!=(complex64_t a, complex64_t b) { return !(a == b); }

// Where element number `elem`, in row-major order, of an array lies.
template <typename I = int64_t>
inline I elem_to_loc(I elem, constant const int* shape, constant const int64_t* strides, int ndim) {
  I place = 0;
  for (int axis = ndim - 1; axis >= 0 && elem > 0; --axis) {
    const I size = I(shape[axis]);
    place += (elem % size) * I(strides[axis]);
    elem /= size;
  }
  return place;
}
// The same of element elem.x of the last axis, elem.y of the one before, and elem.z of all others.
template <typename I = int64_t>
inline I elem_to_loc(uint3 elem, constant const int* shape, constant const int64_t* strides, int ndim) {
  I place = I(elem.x) * I(strides[ndim - 1]);
  if (ndim > 1) {
    place += I(elem.y) * I(strides[ndim - 2]);
  }
  I rest = I(elem.z);
  for (int axis = ndim - 3; axis >= 0 && rest > 0; --axis) {
    const I size = I(shape[axis]);
    place += (rest % size) * I(strides[axis]);
    rest /= size;
  }
  return place;
}
