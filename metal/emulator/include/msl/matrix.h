// metal_simdgroup_matrix: 8x8 matrices spread over the lanes of a simdgroup, two elements to a lane.
#pragma once

#include "simd.h"

namespace msl {
template <class T>
struct Pair {
  T first, second;
};
// The layout is not documented; kernels that rely on it go through thread_elements(), and see these positions.
MSL_TINY int matrix_row(unsigned lane) { return ((lane / 4) & 4) + (lane / 2) % 4; }
MSL_TINY int matrix_column(unsigned lane) { return ((lane / 4) & 2) * 2 + (lane % 2) * 2; }
MSL_TINY unsigned matrix_lane(int row, int column) {
  return (row & 3) * 2 + (column & 3) / 2 + ((column & 4) << 1) + ((row & 4) << 2);
}
template <class T>
MSL_RAW T element(const Exchange* all, int row, int column, int matrix) {
  T value;
  __builtin_memcpy(&value, all->slots[matrix_lane(row, column)] + matrix * 32 + (column & 1) * sizeof(T), sizeof(T));
  return value;
}
template <class T, class U>
struct alignas(64) Operands {
  alignas(32) Pair<T> a;
  alignas(32) Pair<U> b;
};
} // namespace msl

namespace metal {
template <class T, int Columns, int Rows>
struct simdgroup_matrix {
  static_assert(Columns == 8 && Rows == 8, "a simdgroup's matrices are 8x8");
  static_assert(__is_same(T, float) || __is_same(T, half) || __is_same(T, bfloat), "of float, half or bfloat");
  typedef vec<T, 2> storage_type;
  simdgroup_matrix() = default;
  // A diagonal matrix.
  MSL_TINY explicit simdgroup_matrix(T x) {
    int row = msl::matrix_row(msl::lane()), column = msl::matrix_column(msl::lane());
    elements = storage_type(row == column ? x : (T)0, row == column + 1 ? x : (T)0);
  }
  MSL_TINY storage_type& thread_elements() { return elements; }
  MSL_TINY const storage_type& thread_elements() const { return elements; }
  storage_type elements;

  // An operator has no place for a site among its parameters, so its operand brings it.
  struct Operand {
    const simdgroup_matrix& matrix;
    unsigned long site;
    MSL_TINY Operand(const simdgroup_matrix& m, MSL_SITE) : matrix(m), site(site) {}
  };
  MSL_TINY friend simdgroup_matrix operator*(const simdgroup_matrix& a, Operand b) {
    simdgroup_matrix d;
    simdgroup_multiply(d, a, b.matrix, b.site);
    return d;
  }
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <class T, int C = 8, int R = C>
MSL_TINY simdgroup_matrix<T, C, R> make_filled_simdgroup_matrix(T value) {
  simdgroup_matrix<T, C, R> m;
  m.elements = vec<T, 2>(value);
  return m;
}
template <class T, int C, int R>
MSL_TINY void simdgroup_load(simdgroup_matrix<T, C, R>& m, const T* from, ulong stride = 8, ulong2 origin = ulong2(0ul),
    bool transpose = false, MSL_SITE) {
  msl::exchange(0, site, msl::Wait::matrix);
  long row = msl::matrix_row(msl::lane()), column = msl::matrix_column(msl::lane());
  from += (long)origin.y * (long)stride + (long)origin.x;
  m.elements = transpose ? vec<T, 2>(from[column * (long)stride + row], from[(column + 1) * (long)stride + row])
                         : vec<T, 2>(from[row * (long)stride + column], from[row * (long)stride + column + 1]);
}
template <class T, int C, int R>
MSL_TINY void simdgroup_store(const simdgroup_matrix<T, C, R>& m, T* to, ulong stride = 8, ulong2 origin = ulong2(0ul),
    bool transpose = false, MSL_SITE) {
  msl::exchange(0, site, msl::Wait::matrix);
  long row = msl::matrix_row(msl::lane()), column = msl::matrix_column(msl::lane());
  to += (long)origin.y * (long)stride + (long)origin.x;
  to[transpose ? column * (long)stride + row : row * (long)stride + column] = m.elements.x;
  to[transpose ? (column + 1) * (long)stride + row : row * (long)stride + column + 1] = m.elements.y;
}
// d = a b + c; products and sums in float.
template <class D, class A, class B, class E>
MSL_RAW void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a,
    const simdgroup_matrix<B, 8, 8>& b, const simdgroup_matrix<E, 8, 8>& c, MSL_SITE) {
  msl::Operands<A, B> mine{{a.elements.v[0], a.elements.v[1]}, {b.elements.v[0], b.elements.v[1]}};
  const msl::Exchange* all = msl::exchange(mine, site, msl::Wait::matrix);
  int row = msl::matrix_row(msl::lane()), column = msl::matrix_column(msl::lane());
  float x = (float)c.elements.v[0], y = (float)c.elements.v[1];
  for (int k = 0; k < 8; ++k) {
    float left = (float)msl::element<A>(all, row, k, 0);
    x += left * (float)msl::element<B>(all, k, column, 1);
    y += left * (float)msl::element<B>(all, k, column + 1, 1);
  }
  d.elements.v[0] = (D)x;
  d.elements.v[1] = (D)y;
}
template <class D, class A, class B>
MSL_TINY void simdgroup_multiply(
    simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a, const simdgroup_matrix<B, 8, 8>& b, MSL_SITE) {
  simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<float, 8, 8>(0.0f), site);
}
} // namespace metal
