// Cholesky, LU and QR factors of each matrix of a stack.
#include <numeric>

#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"

namespace mlx::core::cpu {

namespace {

template <typename T>
void cholesky(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  Int n = a.rows();
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* m = space.matrix(0, a.elements());
    a.read(i, m);
    bool finite = true;
    for (Int column = 0; column < n; ++column) {
      for (Int row = 0; row < n; ++row) {
        T& element = m[column * n + row];
        if (k.upper ? row > column : row < column) {
          element = T(0);
        } else {
          finite = finite && is_finite(element);
        }
      }
    }
    if (!finite) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    if (Int info = lapack::potrf(k.upper ? 'U' : 'L', n, m); info != 0) {
      return info;
    }
    out.write(i, m);
    return 0;
  };
  for_each_matrix<T>(k.op, n == 0 ? 0 : a.count(), std::pow(n, 3) / 3, one, [](int64_t info) {
    return "is not positive definite: its leading minor of order " + std::to_string(info) + " is not.";
  });
}

template <typename T>
void lu(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), factors(k.outputs[0]);
  Stack<uint32_t> swaps(k.outputs[1], 1), places(k.outputs[2], 1);
  Int m = a.rows(), n = a.columns(), rank = std::min(m, n);
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* both = space.matrix(0, a.elements());
    Int* pivots = space.integers(2 * static_cast<int64_t>(m) + rank);
    Int *order = pivots + rank, *place = order + m;
    std::iota(order, order + m, 0);
    if (!a.read(i, both)) {
      std::iota(pivots, pivots + rank, 0);
      std::fill_n(both, a.elements(), not_a_number<T>());
    } else if (rank > 0) {
      if (Int info = lapack::getrf(m, n, both, pivots); info < 0) { // a zero pivot is no failure of the factors
        return info;
      }
      for (Int j = 0; j < rank; ++j) std::swap(order[j], order[--pivots[j]]);
    }
    for (Int row = 0; row < m; ++row) place[order[row]] = row;
    factors.write(i, both);
    swaps.write(i, pivots);
    places.write(i, place);
    return 0;
  };
  for_each_matrix<T>(k.op, a.count(), static_cast<double>(m) * n * rank, one, did_not_converge);
}

template <typename T>
void qr(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), q(k.outputs[0]), r(k.outputs[1]);
  Int m = a.rows(), n = a.columns(), rank = std::min(m, n), of_q = q.columns();
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* both = space.matrix(0, static_cast<int64_t>(m) * std::max(n, of_q));
    T* upper = space.matrix(1, r.elements());
    T* tau = space.matrix(2, rank);
    if (rank == 0) {
      q.write_identity(i);
      r.fill(i, T(0));
      return 0;
    }
    if (!a.read(i, both)) {
      q.fill(i, not_a_number<T>());
      r.fill(i, not_a_number<T>());
      return 0;
    }
    if (Int info = lapack::geqrf(m, n, both, tau, space.work); info != 0) {
      return info;
    }
    int64_t rows = r.rows();
    for (int64_t column = 0; column < n; ++column) {
      for (int64_t row = 0; row < rows; ++row) {
        upper[column * rows + row] = row <= column ? both[column * m + row] : T(0);
      }
    }
    r.write(i, upper);
    if (Int info = lapack::orgqr(m, of_q, rank, both, tau, space.work); info != 0) {
      return info;
    }
    q.write(i, both);
    return 0;
  };
  for_each_matrix<T>(k.op, a.count(), 4.0 * m * n * rank, one, did_not_converge);
}

} // namespace

void run_factorization(const kernel::MatrixWork& k) {
  with_matrix_type(k.inputs[0].dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (k.task) {
      case MatrixTask::cholesky: return cholesky<T>(k);
      case MatrixTask::lu: return lu<T>(k);
      default: return qr<T>(k);
    }
  });
}

} // namespace mlx::core::cpu
