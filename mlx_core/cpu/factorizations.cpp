// Cholesky, LU and QR factors of each matrix of a stack.
#include <array>
#include <numeric>

#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"
#include "mlx_core/cpu/small_stack.h"

namespace mlx::core::cpu {

namespace {

std::string not_positive_definite(int64_t info) {
  return "is not positive definite: its leading minor of order " + std::to_string(info) + " is not.";
}

// Of the upper triangle, its transpose is factored.
template <typename T>
void small_cholesky(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  const int64_t n = a.rows();
  auto group = [&](int64_t first, int64_t count, auto&& failed) {
    Group<T> m(n * n), info(1);
    m.read(a, first, count);
    auto place = [&](int64_t row, int64_t column) { return k.upper ? column * n + row : row * n + column; };
    std::array<bool, 64> finite;
    for (int64_t g = 0; g < count; ++g) {
      T sum(0);
      for (int64_t row = 0; row < n; ++row) {
        for (int64_t column = 0; column <= row; ++column) sum += m.at(place(row, column), g) * T(0);
      }
      finite[static_cast<size_t>(g)] = sum == T(0);
    }
    if (k.upper) m.transpose(n);
    small_kernels<T>().cholesky(n, m.data(), info.data());
    m.clear_above_diagonal(n);
    if (k.upper) m.transpose(n);
    for (int64_t g = 0; g < count; ++g) {
      if (!finite[static_cast<size_t>(g)]) {
        m.fill(g, not_a_number<T>());
      } else if (info.at(0, g) != 0) {
        failed(g, static_cast<int64_t>(info.at(0, g)));
      }
    }
    m.write(out, first, count);
  };
  for_each_group<T>(k.op, a.count(), std::pow(n, 3) / 3, group, not_positive_definite);
}

template <typename T>
void small_lu(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), factors(k.outputs[0]);
  Stack<uint32_t> swaps(k.outputs[1], 1), places(k.outputs[2], 1);
  const int64_t n = a.rows();
  auto group = [&](int64_t first, int64_t count, auto&&) {
    Group<T> m(n * n), pivots(n), order(n), place(n);
    m.read(a, first, count);
    const auto finite = m.finite_lanes();
    small_kernels<T>().lu(n, m.data(), pivots.data(), order.data());
    for (int64_t g = 0; g < count; ++g) {
      if (!finite[static_cast<size_t>(g)]) {
        m.fill(g, not_a_number<T>());
        for (int64_t i = 0; i < n; ++i) pivots.at(i, g) = order.at(i, g) = static_cast<T>(i);
      }
      for (int64_t i = 0; i < n; ++i) place.at(static_cast<int64_t>(order.at(i, g)), g) = static_cast<T>(i);
    }
    m.write(factors, first, count);
    pivots.write(swaps, first, count);
    place.write(places, first, count);
  };
  for_each_group<T>(k.op, a.count(), std::pow(n, 3), group, did_not_converge);
}

template <typename T>
void cholesky(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  Int n = a.rows();
  if constexpr (!lapack::is_complex<T>) {
    if (is_small<T>(n)) return small_cholesky<T>(k);
  }
  // In the place of the result, whose rows are LAPACK's columns: of the lower triangle it sees the upper one.
  auto one = [&](int64_t i, Workspace<T>&) -> int64_t {
    T* m = out.at(i);
    a.read_rows(i, m);
    bool finite = true;
    for (int64_t row = 0; row < n; ++row) {
      const int64_t first = k.upper ? row : 0, end = k.upper ? n : row + 1;
      finite = finite && !any_not_finite(k.outputs[0].dtype, end - first, m + row * n + first);
    }
    if (!finite) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    if (Int info = blocked::cholesky(!k.upper, n, m); info != 0) {
      return info;
    }
    for (int64_t row = 0; row < n; ++row) {
      const int64_t first = k.upper ? 0 : row + 1, end = k.upper ? row : n;
      std::fill_n(m + row * n + first, end - first, T(0));
    }
    return 0;
  };
  for_each_matrix<T>(k.op, n == 0 ? 0 : a.count(), std::pow(n, 3) / 3, one, not_positive_definite);
}

template <typename T>
void lu(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), factors(k.outputs[0]);
  Stack<uint32_t> swaps(k.outputs[1], 1), places(k.outputs[2], 1);
  Int m = a.rows(), n = a.columns(), rank = std::min(m, n);
  if constexpr (!lapack::is_complex<T>) {
    if (m == n && is_small<T>(n)) return small_lu<T>(k);
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* both = space.matrix(0, a.elements());
    Int* pivots = space.integers(2 * static_cast<int64_t>(m) + rank);
    Int *order = pivots + rank, *place = order + m;
    std::iota(order, order + m, 0);
    if (!a.read(i, both)) {
      std::iota(pivots, pivots + rank, 0);
      std::fill_n(both, a.elements(), not_a_number<T>());
    } else if (rank > 0) {
      if (Int info = blocked::lu(m, n, both, pivots); info < 0) { // a zero pivot is no failure of the factors
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
void small_qr(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), q(k.outputs[0]), r(k.outputs[1]);
  const int64_t m = a.rows(), n = a.columns(), of_q = q.columns();
  auto group = [&](int64_t first, int64_t count, auto&&) {
    Group<T> upper(m * n), of_columns(m * of_q);
    upper.read(a, first, count);
    const auto finite = upper.finite_lanes();
    small_kernels<T>().qr(m, n, of_q, upper.data(), of_columns.data());
    upper.cut(r.elements());
    for (int64_t g = 0; g < count; ++g) {
      if (finite[static_cast<size_t>(g)]) continue;
      upper.fill(g, not_a_number<T>());
      of_columns.fill(g, not_a_number<T>());
    }
    of_columns.write(q, first, count);
    upper.write(r, first, count);
  };
  for_each_group<T>(k.op, a.count(), 4.0 * m * n * std::min(m, n), group, did_not_converge);
}

template <typename T>
void qr(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), q(k.outputs[0]), r(k.outputs[1]);
  Int m = a.rows(), n = a.columns(), rank = std::min(m, n), of_q = q.columns();
  if constexpr (!lapack::is_complex<T>) {
    if (rank > 0 && static_cast<int64_t>(m) * std::max(n, of_q) <= most_small_elements) return small_qr<T>(k);
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    if (rank == 0) {
      q.write_identity(i);
      r.fill(i, T(0));
      return 0;
    }
    T *upper = space.matrix(0, a.elements()), *of_columns = space.matrix(1, q.elements());
    if (!a.read(i, upper)) {
      q.fill(i, not_a_number<T>());
      r.fill(i, not_a_number<T>());
      return 0;
    }
    if (Int info = blocked::qr(m, n, upper, of_q, of_columns, space.work); info != 0) {
      return info;
    }
    for (int64_t column = 0; column + 1 < m && column < n; ++column) {
      std::fill_n(upper + column * m + column + 1, m - column - 1, T(0));
    }
    r.write(i, upper, m);
    q.write(i, of_columns);
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
