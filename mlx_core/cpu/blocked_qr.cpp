// QR factors of one large matrix by all threads. The reflections of a panel are one matrix, I - V T V^H, and applying
// them is three products.
#include <vector>

#include "mlx_core/cpu/blocked.h"
#include "mlx_core/cpu/blocked_blas.h"

namespace mlx::core::cpu::blocked {

namespace {

constexpr Int panel = 32, strip = 128;

// The reflections that LAPACK left below the diagonal of a panel's (rows, columns).
template <typename T>
struct Reflections {
  Int first = 0, rows = 0, columns = 0; // first: of the rows, and of the columns, that they change
  std::vector<T> v, t;

  Reflections(Int at, Int m, Int n, Part<const T> a, const T* tau) : first(at), rows(m), columns(n) {
    v.resize(static_cast<size_t>(m) * static_cast<size_t>(n));
    t.resize(static_cast<size_t>(n) * static_cast<size_t>(n));
    for (Int j = 0; j < n; ++j) {
      T* column = v.data() + static_cast<int64_t>(j) * m;
      std::fill_n(column, j, T(0));
      column[j] = T(1);
      std::copy_n(a.column(j) + j + 1, m - j - 1, column + j + 1);
    }
    // t(0..j, j) = -tau_j t (V^H v_j)(0..j)
    std::vector<T> gram(t.size());
    multiply<T>(Op::adjoint, Op::none, n, n, m, T(1), vectors(), vectors(), T(0), Part<T>{gram.data(), n});
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < j; ++i) {
        T sum(0);
        for (int64_t k = i; k < j; ++k) sum += t[static_cast<size_t>(k * n + i)] * gram[static_cast<size_t>(j * n + k)];
        t[static_cast<size_t>(j * n + i)] = -tau[j] * sum;
      }
      t[static_cast<size_t>(j * n + j)] = tau[j];
    }
  }
  Part<const T> vectors() const { return {v.data(), rows}; }

  // c, those rows of some columns, becomes (I - V op(T) V^H) c.
  void apply(Op op, Part<T> c, Int count) const {
    std::vector<T> room(2 * static_cast<size_t>(columns) * static_cast<size_t>(count));
    Part<T> inner{room.data(), columns}, turned{room.data() + room.size() / 2, columns};
    Part<const T> upper{t.data(), columns};
    multiply<T>(Op::adjoint, Op::none, columns, count, rows, T(1), vectors(), c, T(0), inner);
    multiply<T>(op, Op::none, columns, count, columns, T(1), upper, inner, T(0), turned);
    multiply<T>(Op::none, Op::none, rows, count, columns, T(-1), vectors(), turned, T(1), c);
  }
};

} // namespace

template <typename T>
Int qr(Int m, Int n, T* data, Int q_columns, T* q_data, lapack::Work<T>& work) {
  const Int rank = std::min(m, n);
  const Part<T> a{data, m}, q{q_data, m};
  std::vector<T> tau(static_cast<size_t>(rank));
  if (static_cast<double>(m) * std::max(n, q_columns) * rank < 128.0 * 128 * 128) {
    if (Int info = lapack::geqrf(m, n, data, tau.data(), work); info != 0) return info;
    for (Int j = 0; j < rank; ++j) std::copy_n(a.column(j), m, q.column(j));
    return lapack::orgqr(m, q_columns, rank, q_data, tau.data(), work);
  }
  std::vector<Reflections<T>> all;
  all.reserve(static_cast<size_t>(rank / panel + 1));
  Int info = 0;
  auto factor = [&](Int first, lapack::Work<T>& space) {
    const Int columns = std::min(panel, rank - first);
    T* mine = tau.data() + first;
    Int failed = lapack::geqrf(m - first, columns, a.at(first, first).data, mine, space, m);
    if (failed != 0) info = failed;
    all.emplace_back(first, m - first, columns, a.at(first, first), mine);
  };
  factor(0, work);
  for (Int first = 0; first < rank; first += panel) {
    const Int behind = std::min(rank, first + panel), next = std::min(n, behind + panel);
    if (behind >= n) break;
    const Reflections<T>& turn = all.back();
    parallel_for(1 + (n - next + strip - 1) / strip, [&](int64_t s) {
      const Int from = s == 0 ? behind : next + static_cast<Int>(s - 1) * strip;
      const Int to = s == 0 ? next : std::min(n, from + strip);
      turn.apply(Op::adjoint, a.at(first, from), to - from);
      if (s == 0 && behind < rank) {
        lapack::Work<T> own;
        factor(behind, own);
      }
    });
  }
  // A column of Q is a column of ones on the diagonal, turned by those reflections that reach it.
  in_strips(0, q_columns, strip, [&](Int from, Int to) {
    for (Int j = from; j < to; ++j) {
      std::fill_n(q.column(j), m, T(0));
      q.column(j)[j] = T(1);
    }
    for (size_t i = all.size(); i-- > 0;) {
      const Int begin = std::max(from, all[i].first);
      if (begin < to) all[i].apply(Op::none, q.at(all[i].first, begin), to - begin);
    }
  });
  return info;
}

#define MLX_DEFINE(T) template Int qr<T>(Int, Int, T*, Int, T*, lapack::Work<T>&);
MLX_FOR_MATRIX_TYPES(MLX_DEFINE)
#undef MLX_DEFINE

} // namespace mlx::core::cpu::blocked
