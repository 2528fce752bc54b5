// Factors and systems of many small real matrices at once, one in each lane of the vectors. What a lane computes does
// not depend on the others. Elements lie lane by lane: (row, column) of matrix g at (row * columns + column) * lanes +
// g.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

inline constexpr int64_t largest_small = 16; // rows of a matrix, and columns of a right-hand side

template <typename T>
struct SmallKernels {
  int64_t lanes;
  // The lower factor in place of the lower triangle of a. info: where a matrix has none, the order of the leading minor
  // that is not positive, else 0.
  void (*cholesky)(int64_t n, T* a, T* info);
  // Both factors in place of a (n, n), the row that each row was swapped with, and the rows in their order.
  void (*lu)(int64_t n, T* a, T* swaps, T* order);
  // b (n, columns) becomes x with lu x = b, or its transpose. info: the first pivot that is 0, counted from 1, else 0.
  void (*solve)(bool transposed, int64_t n, int64_t columns, const T* lu, const T* swaps, T* b, T* info);
  // The same with a triangle of a, where info is about its diagonal.
  void (*solve_triangular)(bool upper, bool transposed, int64_t n, int64_t columns, const T* a, T* b, T* info);
  // a (m, n), of which the smaller is at most largest_small, becomes R, and q (m, q_columns) the first columns of Q.
  void (*qr)(int64_t m, int64_t n, int64_t q_columns, T* a, T* q);
};
template <typename T>
const SmallKernels<T>& small_kernels();

} // namespace mlx::core::cpu
