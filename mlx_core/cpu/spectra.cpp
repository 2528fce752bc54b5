// Singular values and eigenvalues of each matrix of a stack, with their vectors, and what is made of them at once.
#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"

namespace mlx::core::cpu {

namespace {

double cubed(Int n) { return std::pow(static_cast<double>(n), 3); }

// Of a (m, n), tall: s, u (m, u_columns) and vh from its QR factors, as r's singular vectors are those of a but for a
// rotation.
template <typename T>
Int svd_of_tall(Int m, Int n, T* a, Int u_columns, Real<T>* s, T* u, T* vh, Workspace<T>& space) {
  if (Int info = blocked::qr(m, n, a, u_columns, u, space.work); info != 0) {
    return info;
  }
  const int64_t rows = m, side = n;
  T *r = space.matrix(3, side * side), *turn = space.matrix(4, side * side), *q = space.matrix(5, rows * side);
  for (int64_t j = 0; j < side; ++j) {
    std::copy_n(a + j * rows, j + 1, r + j * side);
    std::fill_n(r + j * side + j + 1, side - j - 1, T(0));
  }
  if (Int info = lapack::gesdd('S', n, n, r, s, turn, vh, space.work); info != 0) {
    return info;
  }
  std::copy_n(u, rows * side, q);
  lapack::gemm(false, false, m, n, n, q, turn, u);
  return 0;
}
// Where that is less work.
bool is_far_from_square(Int m, Int n) {
  return std::max(m, n) >= 1.5 * std::min(m, n) && static_cast<int64_t>(m) * n >= 1024;
}

template <typename T>
void svd(const kernel::MatrixWork& k) {
  bool vectors = k.task == MatrixTask::svd;
  const View& values = k.outputs[vectors ? 1 : 0];
  Stack<T> a(k.inputs[0]), u(k.outputs[0], vectors ? 2 : 1), vh(k.outputs[vectors ? 2 : 0], vectors ? 2 : 1);
  Stack<Real<T>> s(values, 1);
  Int m = a.rows(), n = a.columns(), rank = std::min(m, n);
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* matrix = space.matrix(0, a.elements());
    if (rank == 0) {
      if (vectors) u.write_identity(i), vh.write_identity(i);
      return 0;
    }
    if (!a.read(i, matrix)) {
      if (vectors) u.fill(i, not_a_number<T>()), vh.fill(i, not_a_number<T>());
      s.fill(i, not_a_number<Real<T>>());
      return 0;
    }
    if (vectors && is_far_from_square(m, n)) {
      const bool tall = m > n; // else its adjoint is, whose columns are the rows, conjugated
      const Int larger = std::max(m, n);
      const Int kept = k.full ? larger : rank;
      T* left = space.matrix(1, static_cast<int64_t>(larger) * kept);
      T* right = space.matrix(2, static_cast<int64_t>(rank) * rank);
      auto conjugate = [tall](T* x, int64_t count) {
        if constexpr (lapack::is_complex<T>) {
          if (!tall) {
            for (int64_t j = 0; j < count; ++j) x[j] = std::conj(x[j]);
          }
        }
      };
      if (!tall) {
        a.read_rows(i, matrix);
        conjugate(matrix, a.elements());
      }
      Real<T>* found = space.reals(0, rank);
      if (Int info = svd_of_tall(larger, rank, matrix, kept, found, left, right, space); info != 0) {
        return info;
      }
      s.write(i, found);
      if (tall) {
        u.write(i, left), vh.write(i, right);
      } else {
        conjugate(left, vh.elements()), conjugate(right, u.elements());
        vh.write_rows(i, left), u.write_rows(i, right);
      }
      return 0;
    }
    T* left = space.matrix(1, vectors ? u.elements() : 1);
    T* right = space.matrix(2, vectors ? vh.elements() : 1);
    Real<T>* found = space.reals(0, rank);
    char job = !vectors ? 'N' : k.full ? 'A' : 'S';
    if (Int info = lapack::gesdd(job, m, n, matrix, found, left, right, space.work); info != 0) {
      return info;
    }
    s.write(i, found);
    if (vectors) u.write(i, left), vh.write(i, right);
    return 0;
  };
  for_each_matrix<T>(k.op, a.count(), 10.0 * m * n * rank, one, did_not_converge);
}

// Of a (m, n), tall, whose singular values are all sure to be kept: r^-1 q^H, which is much less work. Whether it is.
template <typename T>
bool inverse_of_independent(Int m, Int n, T* a, Real<T> relative, T* out, Workspace<T>& space) {
  const int64_t rows = m, side = n;
  T *q = space.matrix(1, rows * side), *r = space.matrix(3, side * side), *inverse = space.matrix(4, side * side);
  if (blocked::qr(m, n, a, n, q, space.work) != 0) {
    return false;
  }
  std::fill_n(r, side * side, T(0));
  std::fill_n(inverse, side * side, T(0));
  for (int64_t j = 0; j < side; ++j) {
    std::copy_n(a + j * rows, j + 1, r + j * side);
    inverse[j * side + j] = T(1);
  }
  lapack::trsm(true, false, n, n, r, inverse);
  double largest = 0, of_inverse = 0; // the norms of Frobenius are no less than those of singular values
  for (int64_t e = 0; e < side * side; ++e) {
    largest += std::norm(std::complex<double>(r[e]));
    of_inverse += std::norm(std::complex<double>(inverse[e]));
  }
  if (!(relative * std::sqrt(largest) * std::sqrt(of_inverse) < 0.5)) {
    return false;
  }
  lapack::gemm(false, true, n, m, n, inverse, q, out);
  return true;
}

template <typename T>
void pseudo_inverse(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  Stack<Real<T>> least(k.inputs[1], 1);
  Int m = a.rows(), n = a.columns(), rank = std::min(m, n);
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* matrix = space.matrix(0, a.elements());
    if (!a.read(i, matrix)) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    Real<T> relative;
    least.read(i, &relative);
    T* found = space.matrix(5, a.elements());
    if (m < n) a.read_rows(i, matrix); // that of the transpose is the transpose
    if (inverse_of_independent(std::max(m, n), rank, matrix, relative, found, space)) {
      m < n ? out.write_rows(i, found) : out.write(i, found);
      return 0;
    }
    a.read(i, matrix);
    T *u = space.matrix(1, static_cast<int64_t>(m) * rank), *vh = space.matrix(2, static_cast<int64_t>(rank) * n);
    Real<T>* s = space.reals(0, rank);
    if (Int info = lapack::gesdd('S', m, n, matrix, s, u, vh, space.work); info != 0) {
      return info;
    }
    for (Int j = 0; j < rank; ++j) {
      Real<T> inverse = s[j] > relative * s[0] ? 1 / s[j] : 0;
      for (Int row = 0; row < m; ++row) u[j * static_cast<int64_t>(m) + row] *= inverse;
    }
    lapack::gemm(true, true, n, m, rank, vh, u, matrix);
    out.write(i, matrix);
    return 0;
  };
  for_each_matrix<T>(k.op, rank == 0 ? 0 : a.count(), 12.0 * m * n * rank, one, did_not_converge);
}

template <typename T>
void eigh(const kernel::MatrixWork& k) {
  bool vectors = k.task == MatrixTask::eigh;
  Stack<T> a(k.inputs[0]), v(k.outputs[vectors ? 1 : 0], vectors ? 2 : 1);
  Stack<Real<T>> w(k.outputs[0], 1);
  Int n = a.rows();
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* matrix = space.matrix(0, a.elements());
    a.read(i, matrix);
    bool finite = true;
    for (int64_t column = 0; column < n; ++column) {
      T* elements = matrix + column * n;
      const int64_t first = k.upper ? 0 : column, end = k.upper ? column + 1 : n;
      finite = finite && !any_not_finite(k.inputs[0].dtype, end - first, elements + first);
      std::fill(elements, elements + first, T(0));
      std::fill(elements + end, elements + n, T(0));
    }
    if (!finite) {
      w.fill(i, not_a_number<Real<T>>());
      if (vectors) v.fill(i, not_a_number<T>());
      return 0;
    }
    Real<T>* values = space.reals(0, n);
    if (Int info = lapack::heevd(vectors ? 'V' : 'N', k.upper ? 'U' : 'L', n, matrix, values, space.work); info != 0) {
      return info;
    }
    w.write(i, values);
    if (vectors) v.write(i, matrix);
    return 0;
  };
  for_each_matrix<T>(k.op, n == 0 ? 0 : a.count(), 9 * cubed(n), one, did_not_converge);
}

template <typename T>
void eig(const kernel::MatrixWork& k) {
  using Complex = std::complex<Real<T>>;
  bool vectors = k.task == MatrixTask::eig;
  Stack<T> a(k.inputs[0]);
  Stack<Complex> w(k.outputs[0], 1), v(k.outputs[vectors ? 1 : 0], vectors ? 2 : 1);
  Int n = a.rows();
  auto one = [&](int64_t i, Workspace<T>& space) -> int64_t {
    T* matrix = space.matrix(0, a.elements());
    if (!a.read(i, matrix)) {
      w.fill(i, not_a_number<Complex>());
      if (vectors) v.fill(i, not_a_number<Complex>());
      return 0;
    }
    std::vector<Complex> values(static_cast<size_t>(n));
    T* columns = vectors ? space.matrix(1, a.elements()) : nullptr;
    if (Int info = lapack::geev(n, matrix, values.data(), columns, space.reals(0, 2 * n), space.work); info != 0) {
      return info;
    }
    w.write(i, values.data());
    if (!vectors) {
      return 0;
    }
    if constexpr (lapack::is_complex<T>) {
      v.write(i, columns);
    } else {
      std::vector<Complex> whole(static_cast<size_t>(a.elements()));
      for (int64_t j = 0; j < n; ++j) {
        bool pair = values[static_cast<size_t>(j)].imag() != 0;
        for (int64_t row = 0; row < n; ++row) {
          T re = columns[j * n + row], im = pair ? columns[(j + 1) * n + row] : T(0);
          whole[static_cast<size_t>(j * n + row)] = Complex(re, im);
          if (pair) whole[static_cast<size_t>((j + 1) * n + row)] = Complex(re, -im);
        }
        j += pair ? 1 : 0;
      }
      v.write(i, whole.data());
    }
    return 0;
  };
  for_each_matrix<T>(k.op, n == 0 ? 0 : a.count(), 25 * cubed(n), one, did_not_converge);
}

} // namespace

void run_spectrum(const kernel::MatrixWork& k) {
  with_matrix_type(k.inputs[0].dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    switch (k.task) {
      case MatrixTask::svd:
      case MatrixTask::singular_values: return svd<T>(k);
      case MatrixTask::pseudo_inverse: return pseudo_inverse<T>(k);
      case MatrixTask::eigh:
      case MatrixTask::eigenvalues_of_hermitian: return eigh<T>(k);
      default: return eig<T>(k);
    }
  });
}

} // namespace mlx::core::cpu
