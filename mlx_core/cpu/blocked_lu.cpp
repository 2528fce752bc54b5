// LU and Cholesky factors of one large matrix by all threads, and its inverse.
#include <numeric>
#include <vector>

#include "mlx_core/cpu/blocked.h"
#include "mlx_core/cpu/blocked_blas.h"

namespace mlx::core::cpu::blocked {

namespace {

// A side from which on a matrix is worth several threads; columns of a panel and of a strip.
constexpr Int large = 128, panel = 64, strip = 64;

// Swaps row k with row pivots[k] (from 1), k from first to end, in one column after another.
template <typename T>
void swap_rows(Part<T> a, int64_t first_column, int64_t end_column, const Int* pivots, int64_t first, int64_t end) {
  for (int64_t j = first_column; j < end_column; ++j) {
    T* column = a.column(j);
    for (int64_t k = first; k < end; ++k) std::swap(column[k], column[pivots[k] - 1]);
  }
}

// The inverses of blocks on a triangle's diagonal. BLAS solves such small systems by scalar code, for each column anew;
// a product with the inverse is several times as quick. The blocks are so small that they are about as accurate.
template <typename T>
class BlockInverses {
 public:
  static constexpr Int side = 16;

  BlockInverses(bool upper, Op op, bool unit, Int n, Part<const T> a)
      : blocks_(static_cast<size_t>((n + side - 1) / side) * side * side, T(0)) {
    for (Int first = 0; first < n; first += side) {
      invert(upper, op, unit, std::min(side, n - first), a.at(first, first), block(first));
    }
  }
  // b, `rows` from `first` on, becomes the inverse times b.
  void apply(Int first, Int rows, Int columns, Part<T> b) const {
    T found[side * together];
    const T* inverse = blocks_.data() + static_cast<int64_t>(first) * side;
    for (Int j = 0; j < columns; j += together) {
      const Int count = std::min(together, columns - j);
      multiply<T>(Op::none, Op::none, rows, count, rows, T(1), Part<const T>{inverse, side}, b.at(0, j), T(0),
          Part<T>{found, side});
      for (Int c = 0; c < count; ++c) std::copy_n(found + c * side, rows, b.column(j + c));
    }
  }

 private:
  static constexpr Int together = 64; // columns
  T* block(Int first) { return blocks_.data() + static_cast<int64_t>(first) * side; }
  // Column by column, by substitution.
  static void invert(bool upper, Op op, bool unit, Int n, Part<const T> a, T* out) {
    const bool down = upper == (op == Op::adjoint);
    auto element = [&](int64_t i, int64_t j) {
      return op == Op::none ? a.column(j)[i] : lapack::conj_of(a.column(i)[j]);
    };
    for (int64_t step = 0; step < n; ++step) {
      const int64_t j = down ? step : n - 1 - step; // the column; above it, or below, all is 0
      T* x = out + j * side;
      const int64_t count = n - step;
      for (int64_t k = 0; k < count; ++k) {
        const int64_t i = down ? j + k : j - k;
        T sum = k == 0 ? T(1) : T(0);
        for (int64_t l = 0; l < k; ++l) {
          const int64_t m = down ? j + l : j - l;
          sum -= element(i, m) * x[m];
        }
        x[i] = unit ? sum : sum / element(i, i);
      }
    }
  }
  std::vector<T> blocks_;
};

// b (n, columns) becomes op(triangle)^-1 b, one half of the rows after the other: all of it is products, which are
// quicker than systems. The first of the inverses is at row `at`.
template <typename T>
void divide_rows(
    bool upper, Op op, Int n, Int columns, Part<const T> a, Part<T> b, const BlockInverses<T>& inverses, Int at = 0) {
  constexpr Int least = BlockInverses<T>::side;
  if (n <= least) return inverses.apply(at, n, columns, b);
  const bool down = upper == (op == Op::adjoint);
  const Int half = (n / 2 + least - 1) / least * least, rest = n - half;
  const Int first = down ? 0 : half, second = down ? half : 0; // the rows that are found first, and then
  const Int found = down ? half : rest, left = n - found;
  divide_rows<T>(upper, op, found, columns, a.at(first, first), b.at(first, 0), inverses, at + first);
  multiply<T>(op, Op::none, left, columns, found, T(-1), op == Op::none ? a.at(second, first) : a.at(first, second),
      b.at(first, 0), T(1), b.at(second, 0));
  divide_rows<T>(upper, op, left, columns, a.at(second, second), b.at(second, 0), inverses, at + second);
}

} // namespace

template <typename T>
Int lu(Int m, Int n, T* data, Int* pivots) {
  const Int rank = std::min(m, n);
  if (rank < large) return lapack::getrf(m, n, data, pivots);
  const Part<T> a{data, m};
  Int info = 0;
  auto factor = [&](Int first) {
    const Int columns = std::min(panel, rank - first);
    Int failed = lapack::getrf(m - first, columns, a.at(first, first).data, pivots + first, m);
    if (failed > 0 && info == 0) info = first + failed;
    for (Int k = first; k < first + columns; ++k) pivots[k] += first;
  };
  factor(0);
  for (Int first = 0; first < rank; first += panel) {
    const Int columns = std::min(panel, rank - first), behind = first + columns;
    // The first strip is the next panel, which its thread factors while the others are at theirs.
    const Int next = std::min(n, behind + panel);
    if (behind >= n) break;
    const BlockInverses<T> inverses(false, Op::none, true, columns, a.at(first, first));
    parallel_for(1 + (n - next + strip - 1) / strip, [&](int64_t s) {
      const Int from = s == 0 ? behind : next + static_cast<Int>(s - 1) * strip;
      const Int to = s == 0 ? next : std::min(n, from + strip);
      swap_rows(a, from, to, pivots, first, behind);
      divide_rows<T>(false, Op::none, columns, to - from, a.at(first, first), a.at(first, from), inverses);
      multiply<T>(Op::none, Op::none, m - behind, to - from, columns, T(-1), a.at(behind, first), a.at(first, from),
          T(1), a.at(behind, from));
      if (s == 0 && behind < rank) factor(behind);
    });
  }
  in_strips(0, rank, panel, [&](Int from, Int to) { swap_rows(a, from, to, pivots, to, rank); });
  return info;
}

template <typename T>
Int cholesky(bool upper, Int n, T* data) {
  if (n < large) return lapack::potrf(upper ? 'U' : 'L', n, data);
  const Part<T> a{data, n};
  for (Int first = 0; first < n; first += panel) {
    const Int size = std::min(panel, n - first), behind = first + size;
    if (Int info = lapack::potrf(upper ? 'U' : 'L', size, a.at(first, first).data, n); info != 0) return first + info;
    if (behind >= n) break;
    const BlockInverses<T> inverses(upper, Op::adjoint, false, upper ? size : 0, a.at(first, first));
    in_strips(behind, n, strip, [&](Int from, Int to) {
      if (upper) {
        divide_rows<T>(true, Op::adjoint, size, to - from, a.at(first, first), a.at(first, from), inverses);
      } else {
        divide<T>(false, false, Op::adjoint, false, to - from, size, a.at(first, first), a.at(from, first));
      }
    });
    in_strips(behind, n, panel, [&](Int from, Int to) {
      if (upper) {
        multiply<T>(Op::adjoint, Op::none, to - behind, to - from, size, T(-1), a.at(first, behind), a.at(first, from),
            T(1), a.at(behind, from));
      } else {
        multiply<T>(Op::none, Op::adjoint, n - from, to - from, size, T(-1), a.at(from, first), a.at(from, first), T(1),
            a.at(from, from));
      }
    });
  }
  return 0;
}

// Small ones by LAPACK. Of a whose rows in `order` are l u, the inverse is u^-1 l^-1 with its columns in that order.
template <typename T>
void inverse(Int n, const T* lu, const Int* pivots, T* out) {
  if (n < large) {
    std::copy_n(lu, static_cast<int64_t>(n) * n, out);
    lapack::Work<T> work;
    lapack::getri(n, out, pivots, work);
    return;
  }
  std::vector<Int> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), Int(0));
  for (Int k = 0; k < n; ++k) std::swap(order[static_cast<size_t>(k)], order[static_cast<size_t>(pivots[k] - 1)]);
  const Part<const T> a{lu, n};
  const BlockInverses<T> below(false, Op::none, true, n, a), above(true, Op::none, false, n, a);
  in_strips(0, n, panel, [&](Int from, Int to) {
    std::vector<T> found(static_cast<size_t>(n) * static_cast<size_t>(to - from), T(0));
    const Part<T> mine{found.data(), n};
    for (Int j = from; j < to; ++j) mine.column(j - from)[j] = T(1);
    divide_rows<T>(false, Op::none, n - from, to - from, a.at(from, from), mine.at(from, 0), below, from);
    divide_rows<T>(true, Op::none, n, to - from, a, mine, above);
    for (Int j = from; j < to; ++j) {
      std::copy_n(mine.column(j - from), n, out + static_cast<int64_t>(order[static_cast<size_t>(j)]) * n);
    }
  });
}

#define MLX_DEFINE(T)                      \
  template Int lu<T>(Int, Int, T*, Int*);  \
  template Int cholesky<T>(bool, Int, T*); \
  template void inverse<T>(Int, const T*, const Int*, T*);
MLX_FOR_MATRIX_TYPES(MLX_DEFINE)
#undef MLX_DEFINE

} // namespace mlx::core::cpu::blocked
