// Determinants of each matrix of a stack, and their derivatives, which exist for matrices of every rank: polynomials in
// the elements. These are computed in float64.
#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"
#include "mlx_core/cpu/small_stack.h"

namespace mlx::core::cpu {

namespace {

template <typename T>
using Wide = std::conditional_t<lapack::is_complex<T>, std::complex<double>, double>;

// The determinant from the factors: the product of the pivots, negated for each swap.
template <typename T>
T product_of_pivots(const T* lu, const Int* pivots, Int n) {
  T product(1);
  for (Int j = 0; j < n; ++j) {
    product *= pivots[j] == j + 1 ? lu[j * static_cast<int64_t>(n) + j] : -lu[j * static_cast<int64_t>(n) + j];
  }
  return product;
}

// Of a matrix that it overwrites.
template <typename T>
T determinant_of(T* m, Int n, Int* pivots) {
  if (n == 0) {
    return T(1);
  }
  Int info = blocked::lu(n, n, m, pivots);
  return info > 0 ? T(0) : product_of_pivots(m, pivots, n);
}

// Calls put(first, count, pivots, finite) for each group of a stack. The pivots of its matrices are negated for a swap.
template <typename T, typename Put>
void each_small(const kernel::MatrixWork& k, Put&& put) {
  Stack<T> a(k.inputs[0]);
  const int64_t n = a.rows();
  auto group = [&](int64_t first, int64_t count, auto&&) {
    Group<T> m(n * n), swaps(n), order(n);
    m.read(a, first, count);
    const auto finite = m.finite_lanes();
    small_kernels<T>().lu(n, m.data(), swaps.data(), order.data());
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t g = 0; g < count; ++g) {
        const T pivot = m.at(j * n + j, g);
        swaps.at(j, g) = swaps.at(j, g) == static_cast<T>(j) ? pivot : -pivot;
      }
    }
    put(first, count, swaps, finite);
  };
  for_each_group<T>(k.op, a.count(), std::pow(n, 3), group, did_not_converge);
}

template <typename T>
void determinant(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0], 0);
  Int n = a.rows();
  if constexpr (!lapack::is_complex<T>) {
    if (is_small<T>(n)) {
      return each_small<T>(k, [&](int64_t first, int64_t count, Group<T>& pivots, const auto& finite) {
        Group<T> product(1);
        for (int64_t g = 0; g < count; ++g) product.at(0, g) = pivots.at(0, g);
        for (int64_t j = 1; j < n; ++j) {
          for (int64_t g = 0; g < count; ++g) product.at(0, g) *= pivots.at(j, g);
        }
        for (int64_t g = 0; g < count; ++g) {
          if (!finite[static_cast<size_t>(g)]) product.at(0, g) = not_a_number<T>();
        }
        product.write(out, first, count);
      });
    }
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* m = space.matrix(0, a.elements());
    out.fill(i, a.read(i, m) ? determinant_of(m, n, space.integers(n)) : not_a_number<T>());
    return 0;
  };
  for_each_matrix<T>(k.op, a.count(), std::pow(n, 3), one, did_not_converge);
}

template <typename T>
void slogdet(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), sign(k.outputs[0], 0);
  Stack<Real<T>> logarithm(k.outputs[1], 0);
  Int n = a.rows();
  if constexpr (!lapack::is_complex<T>) {
    if (is_small<T>(n)) {
      return each_small<T>(k, [&](int64_t first, int64_t count, Group<T>& pivots, const auto& finite) {
        for (int64_t g = 0; g < count; ++g) {
          T phase(1);
          double sum = 0;
          for (int64_t j = 0; j < n; ++j) {
            const T pivot = pivots.at(j, g);
            phase *= pivot == T(0) ? T(0) : pivot / std::abs(pivot);
            sum += std::log(std::abs(static_cast<double>(pivot)));
          }
          const bool is_finite = finite[static_cast<size_t>(g)];
          sign.fill(first + g, is_finite ? phase : not_a_number<T>());
          logarithm.fill(first + g, is_finite ? static_cast<T>(sum) : not_a_number<T>());
        }
      });
    }
  }
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* m = space.matrix(0, a.elements());
    Int* pivots = space.integers(n);
    if (!a.read(i, m)) {
      sign.fill(i, not_a_number<T>());
      logarithm.fill(i, not_a_number<Real<T>>());
      return 0;
    }
    T phase(1);
    double sum = 0;
    if (n > 0 && blocked::lu(n, n, m, pivots) > 0) {
      phase = T(0), sum = -std::numeric_limits<double>::infinity();
    } else {
      for (Int j = 0; j < n; ++j) {
        T pivot = m[j * static_cast<int64_t>(n) + j];
        auto size = std::abs(pivot);
        phase *= (pivots[j] == j + 1 ? pivot : -pivot) / size;
        sum += std::log(static_cast<double>(size));
      }
    }
    sign.fill(i, phase);
    logarithm.fill(i, static_cast<Real<T>>(sum));
    return 0;
  };
  for_each_matrix<T>(k.op, a.count(), std::pow(n, 3), one, did_not_converge);
}

// a = u diag(s) vh, and det(u) det(vh).
template <typename W>
struct Singular {
  W *u, *vh, phase;
  double* s;
};
template <typename W>
Int decompose(W* a, Int n, Workspace<W>& space, Singular<W>& out) {
  int64_t size = static_cast<int64_t>(n) * n;
  out.u = space.matrix(1, size), out.vh = space.matrix(2, size), out.s = space.reals(0, n);
  if (Int info = lapack::gesdd('A', n, n, a, out.s, out.u, out.vh, space.work); info != 0) {
    return info;
  }
  W* copy = space.matrix(3, size);
  std::copy_n(out.u, size, copy);
  out.phase = determinant_of(copy, n, space.integers(n));
  std::copy_n(out.vh, size, copy);
  out.phase *= determinant_of(copy, n, space.integers(n));
  return 0;
}

// For each j the product of all s but s[j], and leaving out s[i] too.
void products_without(const double* s, Int n, Int i, double* out) {
  double before = 1;
  for (Int j = 0; j < n; ++j) {
    out[j] = before;
    if (j != i) before *= s[j];
  }
  double behind = 1;
  for (Int j = n; j-- > 0;) {
    out[j] *= behind;
    if (j != i) behind *= s[j];
  }
}

// phase conj(u) g conj(vh), into slot 0.
template <typename W>
W* outside(const Singular<W>& of, W* g, Int n, Workspace<W>& space) {
  int64_t size = static_cast<int64_t>(n) * n;
  W *half = space.matrix(5, size), *whole = space.matrix(0, size);
  for (int64_t e = 0; e < size; ++e) g[e] = conj_of(g[e] * of.phase);
  lapack::gemm(false, false, n, n, n, of.u, g, half);
  lapack::gemm(false, false, n, n, n, half, of.vh, whole);
  for (int64_t e = 0; e < size; ++e) whole[e] = conj_of(whole[e]);
  return whole;
}

// Cofactors of a matrix of up to three rows as the polynomials that they are, of degree n - 1: of a constant, of
// `linear` or of products of two elements. Their derivatives have other ones.
template <typename W, typename Product>
void write_polynomials(int64_t n, W constant, const W* linear, Product product, W* out) {
  if (n == 1) {
    out[0] = constant;
  } else if (n == 2) {
    for (int64_t e = 0; e < 4; ++e) out[e] = e % 3 == 0 ? linear[3 - e] : W(0) - linear[3 - e];
  } else {
    const auto at = [](int64_t column, int64_t row) { return column % 3 * 3 + row % 3; };
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t r = 0; r < 3; ++r) {
        out[c * 3 + r] = product(at(c + 1, r + 1), at(c + 2, r + 2)) - product(at(c + 1, r + 2), at(c + 2, r + 1));
      }
    }
  }
}

// Reciprocal conditions down to this leave det(a) a^-T, computed in float64, more digits than the result has.
template <typename T>
constexpr double well_conditioned = sizeof(Real<T>) == 4 ? 1e-6 : 1e-3;

// Of small real matrices det(a) a^-T in lanes where that is accurate; otherwise(i, workspace) is called.
template <typename T, typename Otherwise>
void small_cofactors(const kernel::MatrixWork& k, Otherwise&& otherwise) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  const int64_t n = a.rows();
  use_one_blas_thread();
  auto group = [&](int64_t first, int64_t count, auto&& failed) {
    Group<double> m(n * n), swaps(n), order(n), x(n * n), info(1);
    m.read(a, first, count);
    const auto finite = m.finite_lanes();
    auto condition = m.largest_column_sums(n);
    small_kernels<double>().lu(n, m.data(), swaps.data(), order.data());
    x.write_identity(n);
    small_kernels<double>().solve(false, n, n, m.data(), swaps.data(), x.data(), info.data());
    const auto of_inverse = x.largest_column_sums(n);
    for (int64_t g = 0; g < count; ++g) {
      double det = 1;
      for (int64_t j = 0; j < n; ++j) {
        det *= swaps.at(j, g) == static_cast<double>(j) ? m.at(j * n + j, g) : -m.at(j * n + j, g);
      }
      for (int64_t e = 0; e < n * n; ++e) x.at(e, g) *= det;
      condition[static_cast<size_t>(g)] *= of_inverse[static_cast<size_t>(g)];
    }
    x.transpose(n);
    x.write(out, first, count);
    for (int64_t g = 0; g < count; ++g) {
      if (!finite[static_cast<size_t>(g)]) {
        out.fill(first + g, not_a_number<T>());
      } else if (info.at(0, g) != 0 || !(condition[static_cast<size_t>(g)] < 1 / well_conditioned<T>)) {
        Workspace<double> space;
        if (const int64_t fault = otherwise(first + g, space); fault != 0) failed(g, fault);
      }
    }
  };
  for_each_group<double>(k.op, a.count(), 3 * std::pow(n, 3), group, did_not_converge);
}

// det(a) a^-T where that is accurate. Elsewhere, with a = u s vh, phase conj(u) c conj(vh), where c holds on its
// diagonal the products of all other singular values.
template <typename T>
void cofactors(const kernel::MatrixWork& k) {
  using W = Wide<T>;
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  Int n = a.rows();
  auto by_singular_values = [&](int64_t i, Workspace<W>& space) -> int64_t {
    W* m = space.matrix(0, a.elements());
    a.read(i, m);
    Singular<W> of;
    if (Int info = decompose(m, n, space, of); info != 0) {
      return info;
    }
    double* others = space.reals(1, n);
    products_without(of.s, n, -1, others);
    W* c = space.matrix(4, a.elements());
    std::fill_n(c, a.elements(), W(0));
    for (int64_t j = 0; j < n; ++j) c[j * n + j] = others[j];
    out.write(i, outside(of, c, n, space));
    return 0;
  };
  if constexpr (!lapack::is_complex<T>) {
    if (n > 3 && is_small<T>(n)) return small_cofactors<T>(k, by_singular_values);
  }
  auto one = [&](int64_t i, Workspace<W>& space) -> int64_t {
    W* m = space.matrix(0, a.elements());
    if (!a.read(i, m)) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    if (n <= 3) {
      W* small = space.matrix(1, a.elements());
      write_polynomials(n, W(1), m, [m](int64_t x, int64_t y) { return m[x] * m[y]; }, small);
      out.write(i, small);
      return 0;
    }
    double norm = 0, reciprocal = 0;
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0;
      for (int64_t row = 0; row < n; ++row) sum += std::abs(m[column * n + row]);
      norm = std::max(norm, sum);
    }
    Int* pivots = space.integers(n);
    if (blocked::lu(n, n, m, pivots) == 0) lapack::gecon(n, m, norm, reciprocal, space.work);
    if (!(reciprocal > well_conditioned<T>)) return by_singular_values(i, space);
    W det = product_of_pivots(m, pivots, n);
    if (Int info = lapack::getri(n, m, pivots, space.work); info != 0) {
      return info;
    }
    W* turned = space.matrix(1, a.elements());
    for (int64_t column = 0; column < n; ++column) {
      for (int64_t row = 0; row < n; ++row) turned[row * n + column] = det * m[column * n + row];
    }
    out.write(i, turned);
    return 0;
  };
  for_each_matrix<W>(k.op, n == 0 ? 0 : a.count(), 20 * std::pow(n, 3), one, did_not_converge);
}

// With N = u^H e vh^H: the cofactors of s + N change by c(i, i) = sum over j != i of p(i, j) N(j, j) on the diagonal,
// and by c(i, j) = -p(i, j) N(j, i) beside it, where p(i, j) is the product of all singular values but i and j.
template <typename T>
void cofactor_derivative(const kernel::MatrixWork& k) {
  using W = Wide<T>;
  Stack<T> a(k.inputs[0]), e(k.inputs[1]), out(k.outputs[0]);
  Int n = a.rows();
  auto one = [&](int64_t i, Workspace<W>& space) -> int64_t {
    W *m = space.matrix(0, a.elements()), *moved = space.matrix(4, a.elements()), *half = space.matrix(5, a.elements());
    bool finite = a.read(i, m);
    if (!e.read(i, moved) || !finite) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    if (n <= 3) {
      const auto by_product = [=](int64_t x, int64_t y) { return m[x] * moved[y] + moved[x] * m[y]; };
      write_polynomials(n, W(0), moved, by_product, half);
      out.write(i, half);
      return 0;
    }
    Singular<W> of;
    if (Int info = decompose(m, n, space, of); info != 0) {
      return info;
    }
    lapack::gemm(true, false, n, n, n, of.u, moved, half);
    lapack::gemm(false, true, n, n, n, half, of.vh, moved);
    W* c = space.matrix(3, a.elements());
    double* others = space.reals(1, n);
    for (int64_t row = 0; row < n; ++row) {
      products_without(of.s, n, static_cast<Int>(row), others);
      W sum(0);
      for (int64_t column = 0; column < n; ++column) {
        if (column != row) {
          sum += others[column] * moved[column * n + column];
          c[column * n + row] = -others[column] * moved[row * n + column];
        }
      }
      c[row * n + row] = sum;
    }
    out.write(i, outside(of, c, n, space));
    return 0;
  };
  for_each_matrix<W>(k.op, n == 0 ? 0 : a.count(), 30 * std::pow(n, 3), one, did_not_converge);
}

} // namespace

void run_determinant(const kernel::MatrixWork& k) {
  with_matrix_type(k.inputs[0].dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (k.task) {
      case MatrixTask::determinant: return determinant<T>(k);
      case MatrixTask::slogdet: return slogdet<T>(k);
      case MatrixTask::cofactors: return cofactors<T>(k);
      default: return cofactor_derivative<T>(k);
    }
  });
}

} // namespace mlx::core::cpu
