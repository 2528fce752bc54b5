// Inverses and linear systems with each matrix of a stack.
#include <algorithm>
#include <functional>
#include <utility>

#include "mlx_core/cpu/blocked_blas.h"
#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"
#include "mlx_core/cpu/small_stack.h"

namespace mlx::core::cpu {

namespace {

std::string singular(int64_t info) {
  return "is singular: it has no inverse (pivot " + std::to_string(info - 1) + " of its elimination is 0).";
}

template <typename T>
void small_inverse(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  const int64_t n = a.rows();
  auto group = [&](int64_t first, int64_t count, auto&& failed) {
    Group<T> m(n * n), swaps(n), order(n), x(n * n), info(1);
    m.read(a, first, count);
    const auto finite = m.finite_lanes();
    small_kernels<T>().lu(n, m.data(), swaps.data(), order.data());
    x.write_identity(n);
    small_kernels<T>().solve(false, n, n, m.data(), swaps.data(), x.data(), info.data());
    for (int64_t g = 0; g < count; ++g) {
      if (!finite[static_cast<size_t>(g)]) {
        x.fill(g, not_a_number<T>());
      } else if (info.at(0, g) != 0) {
        x.fill(g, not_a_number<T>());
        if (!k.lenient) failed(g, static_cast<int64_t>(info.at(0, g)));
      }
    }
    x.write(out, first, count);
  };
  for_each_group<T>(k.op, a.count(), 2 * std::pow(n, 3), group, singular);
}

// Right-hand sides that become solutions: in each group solved(first, count, found, info), which notes zeros.
template <typename T, typename Solved, typename Explain>
void small_systems(const kernel::MatrixWork& k, const Stack<T>& b, double cost, Solved&& solved, Explain&& explain) {
  Stack<T> x(k.outputs[0]);
  auto group = [&](int64_t first, int64_t count, auto&& failed) {
    Group<T> found(b.elements()), info(1);
    found.read(b, first, count);
    solved(first, count, found.data(), info.data());
    for (int64_t g = 0; g < count; ++g) {
      if (info.at(0, g) == 0) continue;
      found.fill(g, not_a_number<T>());
      if (!k.lenient) failed(g, static_cast<int64_t>(info.at(0, g)));
    }
    found.write(x, first, count);
  };
  for_each_group<T>(k.op, x.count(), cost, group, explain);
}

template <typename T>
void inverse(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  Int n = a.rows();
  if constexpr (!lapack::is_complex<T>) {
    if (is_small<T>(n)) return small_inverse<T>(k);
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* m = space.matrix(0, a.elements());
    Int* pivots = space.integers(n);
    if (!a.read(i, m)) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    Int info = blocked::lu(n, n, m, pivots);
    if (info == 0) {
      T* found = space.matrix(1, a.elements());
      blocked::inverse(n, m, pivots, found);
      out.write(i, found);
      return 0;
    }
    out.fill(i, not_a_number<T>());
    return k.lenient ? 0 : info;
  };
  for_each_matrix<T>(k.op, n == 0 ? 0 : a.count(), 2 * std::pow(n, 3), one, singular);
}

// The first place on the diagonal that is 0, counted from 1; 0 when none is.
template <typename T>
int64_t zero_on_diagonal(const T* m, Int n, int64_t apart) {
  for (int64_t j = 0; j < n; ++j) {
    if (m[j * apart] == T(0)) return j + 1;
  }
  return 0;
}

// A system with an adjoint is one with the transpose, between two of these.
template <typename T>
void conjugate(T* x, int64_t count) {
  if constexpr (lapack::is_complex<T>) std::transform(x, x + count, x, conj_of<T>);
}

// x (n, columns), row-major, becomes (triangle of a)^-1 x. A block of rows at a time: the product of what a has beside
// the block and of what is known of x is taken off, as gemm() has it.
template <typename T>
void divide_by_triangle(
    Dtype dtype, bool upper, bool unit, Int n, Int columns, const Matrix& a, T* x, Workspace<T>& space) {
  constexpr int64_t block = 64, strip = 128; // whatever the number of threads: bits may depend on them
  const int64_t blocks = (n + block - 1) / block;
  T *triangle = space.matrix(0, block * block), *product = space.matrix(1, block * columns);
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t first = (upper ? blocks - 1 - i : i) * block, count = std::min<int64_t>(block, n - first),
                  from = upper ? first + count : 0, known = upper ? n - from : first;
    T* rows = x + first * columns;
    if (known > 0) {
      const Matrix beside = offset(a, first * a.row_stride + from * a.column_stride, dtype);
      gemm(dtype, 1, count, columns, known, beside, 0, {x + from * columns, columns, 1}, 0, product);
      std::transform(rows, rows + count * columns, product, rows, std::minus<>());
    }
    const T* own = static_cast<const T*>(a.data) + first * (a.row_stride + a.column_stride);
    int64_t leading = a.row_stride;
    if (a.column_stride != 1 || leading < count) {
      const int64_t shape[] = {count, count}, strides[] = {a.row_stride, a.column_stride}, to[] = {count, 1};
      copy_strided(own, strides, triangle, to, shape, sizeof(T));
      own = triangle, leading = count;
    }
    // To BLAS these are the columns of the transposes: x' = x' (a')^-1.
    blocked::in_strips(0, columns, strip, [&](Int at, Int end) {
      blocked::divide(false, !upper, blocked::Op::none, unit, end - at, to_blas_int(count),
          blocked::Part<const T>{own, to_blas_int(leading)}, blocked::Part<T>{rows + at, columns});
    });
  }
}

template <typename T>
void solve_with_lu(const kernel::MatrixWork& k) {
  Stack<T> factors(k.inputs[0]), b(k.inputs[2]), x(k.outputs[0]);
  Stack<uint32_t> swaps(k.inputs[1], 1);
  Int n = factors.rows(), columns = b.columns();
  if constexpr (!lapack::is_complex<T>) {
    if (is_small<T>(n, columns)) {
      auto solved = [&](int64_t first, int64_t count, T* found, T* info) {
        Group<T> m(n * n), pivots(n);
        m.read(factors, first, count);
        pivots.read(swaps, first, count);
        small_kernels<T>().solve(k.adjoint, n, columns, m.data(), pivots.data(), found, info);
      };
      return small_systems<T>(k, b, 1.0 * n * n * columns, solved, singular);
    }
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    Int* pivots = space.integers(n);
    swaps.read(i, pivots);
    for (Int j = 0; j < n; ++j) {
      pivots[j] = std::clamp<Int>(pivots[j] + 1, 1, n); // they may come from a file
    }
    if (int64_t zero = zero_on_diagonal(factors.at(i), n, factors.down() + factors.across()); zero != 0) {
      if (!k.lenient) return zero;
      x.fill(i, not_a_number<T>());
      return 0;
    }
    Matrix both{factors.at(i), factors.down(), factors.across()};
    T* rows = x.at(i);
    const Dtype dtype = k.outputs[0].dtype;
    auto swap_rows = [&](int64_t j) {
      const int64_t other = pivots[j] - 1;
      if (other != j) std::swap_ranges(rows + j * columns, rows + (j + 1) * columns, rows + other * columns);
    };
    b.read_rows(i, rows);
    if (k.adjoint) {
      std::swap(both.row_stride, both.column_stride);
      conjugate(rows, x.elements());
    }
    for (int64_t j = 0; j < n && !k.adjoint; ++j) swap_rows(j);
    divide_by_triangle(dtype, false, !k.adjoint, n, columns, both, rows, space);
    divide_by_triangle(dtype, true, k.adjoint, n, columns, both, rows, space);
    for (int64_t j = n; j-- > 0 && k.adjoint;) swap_rows(j);
    if (k.adjoint) conjugate(rows, x.elements());
    return 0;
  };
  int64_t count = x.elements() == 0 ? 0 : x.count();
  for_each_matrix<T>(k.op, count, 1.0 * n * n * columns, one, [](int64_t info) {
    return "is singular, so the system has no unique solution (pivot " + std::to_string(info - 1) +
           " of its elimination is 0); lstsq finds the shortest one.";
  });
}

template <typename T>
void solve_triangular(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), b(k.inputs[1]), x(k.outputs[0]);
  Int n = a.rows(), columns = b.columns();
  auto explain = [](int64_t info) {
    return "is singular: element " + std::to_string(info - 1) + " of its diagonal is 0.";
  };
  if constexpr (!lapack::is_complex<T>) {
    if (is_small<T>(n, columns)) {
      auto solved = [&](int64_t first, int64_t count, T* found, T* info) {
        Group<T> m(n * n);
        m.read(a, first, count);
        small_kernels<T>().solve_triangular(k.upper, k.adjoint, n, columns, m.data(), found, info);
      };
      return small_systems<T>(k, b, 0.5 * n * n * columns, solved, explain);
    }
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    if (int64_t zero = zero_on_diagonal(a.at(i), n, a.down() + a.across()); zero != 0) {
      if (!k.lenient) return zero;
      x.fill(i, not_a_number<T>());
      return 0;
    }
    Matrix triangle{a.at(i), a.down(), a.across()};
    T* rows = x.at(i);
    b.read_rows(i, rows);
    if (k.adjoint) {
      std::swap(triangle.row_stride, triangle.column_stride);
      conjugate(rows, x.elements());
    }
    divide_by_triangle(k.outputs[0].dtype, k.upper != k.adjoint, false, n, columns, triangle, rows, space);
    if (k.adjoint) conjugate(rows, x.elements());
    return 0;
  };
  int64_t count = x.elements() == 0 ? 0 : x.count();
  for_each_matrix<T>(k.op, count, 0.5 * n * n * columns, one, explain);
}

} // namespace

void run_system(const kernel::MatrixWork& k) {
  with_matrix_type(k.outputs[0].dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (k.task) {
      case MatrixTask::inverse: return inverse<T>(k);
      case MatrixTask::solve_with_lu: return solve_with_lu<T>(k);
      default: return solve_triangular<T>(k);
    }
  });
}

} // namespace mlx::core::cpu
