// Factorizations of one large matrix by all threads: panels by LAPACK, the columns beside them in strips, each by one
// thread and products. Strips are cut by shape, so bits do not depend on the number of threads. All matrices are
// column-major without gaps; small ones go to LAPACK as a whole.
#pragma once

#include "mlx_core/cpu/lapack.h"

namespace mlx::core::cpu::blocked {

using lapack::Int;

// As getrf: pivots count from 1; the result is the first pivot that is 0, counted from 1, or 0.
template <typename T>
Int lu(Int m, Int n, T* a, Int* pivots);

// As potrf. What is on the other side of the diagonal is overwritten.
template <typename T>
Int cholesky(bool upper, Int n, T* a);

// a becomes R, with anything below its diagonal; q the first q_columns columns, at least min(m, n) of m, of Q.
template <typename T>
Int qr(Int m, Int n, T* a, Int q_columns, T* q, lapack::Work<T>& work);

// The inverse into `out`; lu is the matrix' factors.
template <typename T>
void inverse(Int n, const T* lu, const Int* pivots, T* out);

} // namespace mlx::core::cpu::blocked
