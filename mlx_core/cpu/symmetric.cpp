// Functions of real symmetric matrices through their eigenvectors, in float64.
#include "mlx_core/cpu/matrix_stack.h"
#include "mlx_core/cpu/matrix_work.h"

namespace mlx::core::cpu {

namespace {

// Eigenvalues, ascending; the eigenvectors take the matrix's place.
Int decompose(Int n, double* matrix, double* values, Workspace<double>& space) {
  return lapack::heevd('V', 'U', n, matrix, values, space.work);
}
double largest(const double* values, Int n) { return std::max(std::abs(values[0]), std::abs(values[n - 1])); }

// Eigenvalues that are not above rounding errors count as 0.
template <typename T>
void root(const kernel::MatrixWork& k) {
  Stack<T> a(k.inputs[0]), out(k.outputs[0]);
  Int n = a.rows();
  auto one = [&](int64_t i, Workspace<double>& space) -> int64_t {
    double *v = space.matrix(0, a.elements()), *product = space.matrix(1, a.elements()), *w = space.reals(0, n);
    if (!a.read(i, v)) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    if (Int info = decompose(n, v, w, space); info != 0) {
      return info;
    }
    double noise = static_cast<double>(n) * std::numeric_limits<double>::epsilon() * largest(w, n);
    for (int64_t j = 0; j < n; ++j) {
      double fourth = w[j] > noise ? std::sqrt(std::sqrt(w[j])) : 0;
      for (int64_t row = 0; row < n; ++row) v[j * n + row] *= fourth;
    }
    lapack::gemm(false, true, n, n, n, v, v, product);
    out.write(i, product);
    return 0;
  };
  for_each_matrix<double>(k.op, n == 0 ? 0 : a.count(), 10 * std::pow(n, 3), one, did_not_converge);
}

// In the eigenvectors of s, x(i, j) = b(i, j) / (s(i) + s(j)), and 0 where that sum vanishes.
template <typename T>
void sylvester(const kernel::MatrixWork& k) {
  Stack<T> s(k.inputs[0]), b(k.inputs[1]), out(k.outputs[0]);
  Int n = s.rows();
  auto one = [&](int64_t i, Workspace<double>& space) -> int64_t {
    double *v = space.matrix(0, s.elements()), *x = space.matrix(1, s.elements());
    double *product = space.matrix(2, s.elements()), *w = space.reals(0, n);
    if (!s.read(i, v)) {
      out.fill(i, not_a_number<T>());
      return 0;
    }
    b.read(i, x);
    if (Int info = decompose(n, v, w, space); info != 0) {
      return info;
    }
    lapack::gemm(true, false, n, n, n, v, x, product);
    lapack::gemm(false, false, n, n, n, product, v, x);
    // s was rounded to its dtype: what is left of a zero eigenvalue.
    double noise = 4 * static_cast<double>(n) * static_cast<double>(std::numeric_limits<T>::epsilon()) * largest(w, n);
    for (int64_t column = 0; column < n; ++column) {
      for (int64_t row = 0; row < n; ++row) {
        double sum = w[row] + w[column];
        double& element = x[column * n + row];
        element = sum > noise ? element / sum : 0;
      }
    }
    lapack::gemm(false, false, n, n, n, v, x, product);
    lapack::gemm(false, true, n, n, n, product, v, x);
    out.write(i, x);
    return 0;
  };
  for_each_matrix<double>(k.op, n == 0 ? 0 : s.count(), 14 * std::pow(n, 3), one, did_not_converge);
}

} // namespace

void run_symmetric(const kernel::MatrixWork& k) {
  bool wide = k.outputs[0].dtype == float64;
  if (k.task == MatrixTask::symmetric_root) {
    wide ? root<double>(k) : root<float>(k);
  } else {
    wide ? sylvester<double>(k) : sylvester<float>(k);
  }
}

} // namespace mlx::core::cpu
