// What is called of LAPACK, declared once, and one overloaded name for each routine over the four types it has. All
// matrices are column-major. Each returns LAPACK's info: 0, or what the routine's caller has to say.
#pragma once

#include <algorithm>
#include <complex>
#include <vector>

#include "mlx_core/cpu/blas.h"

namespace mlx::core::cpu::lapack {

// The real type of a type's parts.
template <typename T>
struct Parts {
  using Real = T;
  static constexpr bool complex = false;
};
template <typename R>
struct Parts<std::complex<R>> {
  using Real = R;
  static constexpr bool complex = true;
};
template <typename T>
using Real = typename Parts<T>::Real;
template <typename T>
inline constexpr bool is_complex = Parts<T>::complex;

template <typename T>
T conj_of(T x) {
  if constexpr (is_complex<T>) {
    return std::conj(x);
  } else {
    return x;
  }
}

} // namespace mlx::core::cpu::lapack

#define MLX_INT const mlx::core::cpu::blas_int*
#define MLX_OUT mlx::core::cpu::blas_int*
#define MLX_DECLARE(letter, T)                                                                                        \
  void MLX_LAPACK(letter##potrf)(const char* uplo, MLX_INT n, T* a, MLX_INT lda, MLX_OUT info);                       \
  void MLX_LAPACK(letter##getrf)(MLX_INT m, MLX_INT n, T * a, MLX_INT lda, MLX_OUT ipiv, MLX_OUT info);               \
  void MLX_LAPACK(letter##getrs)(const char* trans, MLX_INT n, MLX_INT nrhs, const T* a, MLX_INT lda, MLX_INT ipiv,   \
      T* b, MLX_INT ldb, MLX_OUT info);                                                                               \
  void MLX_LAPACK(letter##getri)(MLX_INT n, T * a, MLX_INT lda, MLX_INT ipiv, T * work, MLX_INT lwork, MLX_OUT info); \
  void MLX_LAPACK(letter##geqrf)(                                                                                     \
      MLX_INT m, MLX_INT n, T * a, MLX_INT lda, T * tau, T * work, MLX_INT lwork, MLX_OUT info);
// Routines that have other names, or other arguments, for real and for complex numbers.
#define MLX_DECLARE_REAL(letter, T)                                                                                 \
  MLX_DECLARE(letter, T)                                                                                            \
  void MLX_LAPACK(letter##orgqr)(                                                                                   \
      MLX_INT m, MLX_INT n, MLX_INT k, T * a, MLX_INT lda, const T* tau, T* work, MLX_INT lwork, MLX_OUT info);     \
  void MLX_LAPACK(letter##gecon)(const char* norm, MLX_INT n, const T* a, MLX_INT lda, const T* anorm, T* rcond,    \
      T* work, MLX_OUT iwork, MLX_OUT info);                                                                        \
  void MLX_LAPACK(letter##gesdd)(const char* job, MLX_INT m, MLX_INT n, T* a, MLX_INT lda, T* s, T* u, MLX_INT ldu, \
      T* vt, MLX_INT ldvt, T* work, MLX_INT lwork, MLX_OUT iwork, MLX_OUT info);                                    \
  void MLX_LAPACK(letter##syevd)(const char* job, const char* uplo, MLX_INT n, T* a, MLX_INT lda, T* w, T* work,    \
      MLX_INT lwork, MLX_OUT iwork, MLX_INT liwork, MLX_OUT info);                                                  \
  void MLX_LAPACK(letter##geev)(const char* left, const char* right, MLX_INT n, T* a, MLX_INT lda, T* wr, T* wi,    \
      T* vl, MLX_INT ldvl, T* vr, MLX_INT ldvr, T* work, MLX_INT lwork, MLX_OUT info);
#define MLX_DECLARE_COMPLEX(letter, T, R)                                                                           \
  MLX_DECLARE(letter, T)                                                                                            \
  void MLX_LAPACK(letter##ungqr)(                                                                                   \
      MLX_INT m, MLX_INT n, MLX_INT k, T * a, MLX_INT lda, const T* tau, T* work, MLX_INT lwork, MLX_OUT info);     \
  void MLX_LAPACK(letter##gecon)(const char* norm, MLX_INT n, const T* a, MLX_INT lda, const R* anorm, R* rcond,    \
      T* work, R* rwork, MLX_OUT info);                                                                             \
  void MLX_LAPACK(letter##gesdd)(const char* job, MLX_INT m, MLX_INT n, T* a, MLX_INT lda, R* s, T* u, MLX_INT ldu, \
      T* vt, MLX_INT ldvt, T* work, MLX_INT lwork, R* rwork, MLX_OUT iwork, MLX_OUT info);                          \
  void MLX_LAPACK(letter##heevd)(const char* job, const char* uplo, MLX_INT n, T* a, MLX_INT lda, R* w, T* work,    \
      MLX_INT lwork, R* rwork, MLX_INT lrwork, MLX_OUT iwork, MLX_INT liwork, MLX_OUT info);                        \
  void MLX_LAPACK(letter##geev)(const char* left, const char* right, MLX_INT n, T* a, MLX_INT lda, T* w, T* vl,     \
      MLX_INT ldvl, T* vr, MLX_INT ldvr, T* work, MLX_INT lwork, R* rwork, MLX_OUT info);

extern "C" {
MLX_DECLARE_REAL(s, float)
MLX_DECLARE_REAL(d, double)
MLX_DECLARE_COMPLEX(c, std::complex<float>, float)
MLX_DECLARE_COMPLEX(z, std::complex<double>, double)
}
#undef MLX_DECLARE
#undef MLX_DECLARE_REAL
#undef MLX_DECLARE_COMPLEX
#undef MLX_INT
#undef MLX_OUT

namespace mlx::core::cpu::lapack {

using Int = blas_int;

// The routine of T among those of s, d, c and z.
#define MLX_OF_TYPE(T, name)                                       \
  [] {                                                             \
    if constexpr (std::is_same_v<T, float>) {                      \
      return MLX_LAPACK(s##name);                                  \
    } else if constexpr (std::is_same_v<T, double>) {              \
      return MLX_LAPACK(d##name);                                  \
    } else if constexpr (std::is_same_v<T, std::complex<float>>) { \
      return MLX_LAPACK(c##name);                                  \
    } else {                                                       \
      return MLX_LAPACK(z##name);                                  \
    }                                                              \
  }()
#define MLX_OF_REAL(T, of_real, of_complex)                        \
  [] {                                                             \
    if constexpr (std::is_same_v<T, float>) {                      \
      return MLX_LAPACK(s##of_real);                               \
    } else if constexpr (std::is_same_v<T, double>) {              \
      return MLX_LAPACK(d##of_real);                               \
    } else if constexpr (std::is_same_v<T, std::complex<float>>) { \
      return MLX_LAPACK(c##of_complex);                            \
    } else {                                                       \
      return MLX_LAPACK(z##of_complex);                            \
    }                                                              \
  }()

// Calls a routine twice: for the size of its work space, then with it.
template <typename T, typename Call>
Int with_work(std::vector<T>& work, Call&& call) {
  T least[1] = {T(1)};
  Int size = -1, info = call(least, &size);
  if (info != 0) return info;
  // A size is told as a floating number, which may have rounded it down.
  size = static_cast<Int>(std::real(least[0]) * (1 + std::numeric_limits<Real<T>>::epsilon())) + 1;
  if (work.size() < static_cast<size_t>(size)) work.resize(static_cast<size_t>(size));
  size = static_cast<Int>(work.size());
  return call(work.data(), &size);
}

// Work space that calls one after another share.
template <typename T>
struct Work {
  std::vector<T> numbers;
  std::vector<Real<T>> reals;
  std::vector<Int> integers;
};

// `leading`: elements from column to column, in some routines; 0: no gaps.
template <typename T>
Int potrf(char uplo, Int n, T* a, Int leading = 0) {
  Int info = 0;
  leading = std::max(n, leading);
  MLX_OF_TYPE(T, potrf)(&uplo, &n, a, &leading, &info);
  return info;
}
template <typename T>
Int getrf(Int m, Int n, T* a, Int* pivots, Int leading = 0) {
  Int info = 0;
  leading = std::max<Int>({1, m, leading});
  MLX_OF_TYPE(T, getrf)(&m, &n, a, &leading, pivots, &info);
  return info;
}
template <typename T>
Int getrs(char trans, Int n, Int columns, const T* lu, const Int* pivots, T* b) {
  Int info = 0;
  MLX_OF_TYPE(T, getrs)(&trans, &n, &columns, lu, &n, pivots, b, &n, &info);
  return info;
}
template <typename T>
Int getri(Int n, T* lu, const Int* pivots, Work<T>& work) {
  return with_work(work.numbers, [&](T* space, Int* size) {
    Int info = 0;
    MLX_OF_TYPE(T, getri)(&n, lu, &n, pivots, space, size, &info);
    return info;
  });
}
template <typename T>
Int geqrf(Int m, Int n, T* a, T* tau, Work<T>& work, Int leading = 0) {
  leading = std::max(m, leading);
  return with_work(work.numbers, [&](T* space, Int* size) {
    Int info = 0;
    MLX_OF_TYPE(T, geqrf)(&m, &n, a, &leading, tau, space, size, &info);
    return info;
  });
}
// The first n columns of the product of k reflections.
template <typename T>
Int orgqr(Int m, Int n, Int k, T* a, const T* tau, Work<T>& work) {
  return with_work(work.numbers, [&](T* space, Int* size) {
    Int info = 0;
    MLX_OF_REAL(T, orgqr, ungqr)(&m, &n, &k, a, &m, tau, space, size, &info);
    return info;
  });
}
// About 1 / (|a| |a^-1|) in the 1-norm, from the factors and |a|.
template <typename T>
Int gecon(Int n, const T* lu, Real<T> norm, Real<T>& reciprocal, Work<T>& work) {
  Int info = 0;
  auto size = static_cast<size_t>(n);
  if (work.numbers.size() < 4 * size) work.numbers.resize(4 * size);
  if constexpr (is_complex<T>) {
    work.reals.resize(std::max(work.reals.size(), 2 * size));
    MLX_OF_TYPE(T, gecon)("1", &n, lu, &n, &norm, &reciprocal, work.numbers.data(), work.reals.data(), &info);
  } else {
    work.integers.resize(std::max(work.integers.size(), size));
    MLX_OF_TYPE(T, gecon)("1", &n, lu, &n, &norm, &reciprocal, work.numbers.data(), work.integers.data(), &info);
  }
  return info;
}
// job: 'A' all columns, 'S' those that belong to singular values, 'N' none.
template <typename T>
Int gesdd(char job, Int m, Int n, T* a, Real<T>* s, T* u, T* vt, Work<T>& work) {
  Int k = std::min(m, n), rows = std::max<Int>(1, job == 'A' ? n : k), info = 0;
  work.integers.resize(std::max(work.integers.size(), static_cast<size_t>(8 * k)));
  if constexpr (is_complex<T>) {
    size_t larger = static_cast<size_t>(std::max(m, n)), smaller = static_cast<size_t>(k);
    size_t reals =
        std::max(5 * smaller * smaller + 5 * smaller, 2 * larger * smaller + 2 * smaller * smaller + smaller);
    work.reals.resize(std::max(work.reals.size(), reals + 7 * smaller));
    return with_work(work.numbers, [&](T* space, Int* size) {
      MLX_OF_TYPE(T, gesdd)
      (&job, &m, &n, a, &m, s, u, &m, vt, &rows, space, size, work.reals.data(), work.integers.data(), &info);
      return info;
    });
  } else {
    return with_work(work.numbers, [&](T* space, Int* size) {
      MLX_OF_TYPE(T, gesdd)
      (&job, &m, &n, a, &m, s, u, &m, vt, &rows, space, size, work.integers.data(), &info);
      return info;
    });
  }
}
// job: 'V' with eigenvectors, which overwrite a, 'N' without.
template <typename T>
Int heevd(char job, char uplo, Int n, T* a, Real<T>* w, Work<T>& work) {
  Int info = 0, query = -1, int_size = 0;
  T size(0);
  if constexpr (is_complex<T>) {
    Real<T> real_size = 0;
    MLX_OF_REAL(T, syevd, heevd)
    (&job, &uplo, &n, a, &n, w, &size, &query, &real_size, &query, &int_size, &query, &info);
    if (info != 0) return info;
    Int reals = static_cast<Int>(real_size * (1 + std::numeric_limits<Real<T>>::epsilon())) + 1;
    Int numbers = static_cast<Int>(std::real(size) * (1 + std::numeric_limits<Real<T>>::epsilon())) + 1;
    work.reals.resize(std::max(work.reals.size(), static_cast<size_t>(reals)));
    work.numbers.resize(std::max(work.numbers.size(), static_cast<size_t>(numbers)));
    work.integers.resize(std::max(work.integers.size(), static_cast<size_t>(int_size)));
    reals = static_cast<Int>(work.reals.size()), numbers = static_cast<Int>(work.numbers.size());
    int_size = static_cast<Int>(work.integers.size());
    MLX_OF_REAL(T, syevd, heevd)
    (&job, &uplo, &n, a, &n, w, work.numbers.data(), &numbers, work.reals.data(), &reals, work.integers.data(),
        &int_size, &info);
  } else {
    MLX_OF_REAL(T, syevd, heevd)(&job, &uplo, &n, a, &n, w, &size, &query, &int_size, &query, &info);
    if (info != 0) return info;
    Int numbers = static_cast<Int>(size * (1 + std::numeric_limits<T>::epsilon())) + 1;
    work.numbers.resize(std::max(work.numbers.size(), static_cast<size_t>(numbers)));
    work.integers.resize(std::max(work.integers.size(), static_cast<size_t>(int_size)));
    numbers = static_cast<Int>(work.numbers.size()), int_size = static_cast<Int>(work.integers.size());
    MLX_OF_REAL(T, syevd, heevd)
    (&job, &uplo, &n, a, &n, w, work.numbers.data(), &numbers, work.integers.data(), &int_size, &info);
  }
  return info;
}
// Right eigenvectors when v is not null. `parts` holds 2 n real numbers, and of a real matrix v is as LAPACK has it: a
// conjugate pair is two columns, real and imaginary part of the first.
template <typename T>
Int geev(Int n, T* a, std::complex<Real<T>>* w, T* v, Real<T>* parts, Work<T>& work) {
  Int info = 0, one = 1, rows = v ? n : 1;
  char right = v ? 'V' : 'N';
  if constexpr (is_complex<T>) {
    return with_work(work.numbers, [&](T* space, Int* size) {
      MLX_OF_TYPE(T, geev)("N", &right, &n, a, &n, w, nullptr, &one, v, &rows, space, size, parts, &info);
      return info;
    });
  } else {
    info = with_work(work.numbers, [&](T* space, Int* size) {
      MLX_OF_TYPE(T, geev)("N", &right, &n, a, &n, parts, parts + n, nullptr, &one, v, &rows, space, size, &info);
      return info;
    });
    for (Int i = 0; i < n; ++i) w[i] = {parts[i], parts[n + i]};
    return info;
  }
}

// out = op(a) op(b): (m, k) times (k, n), all without gaps.
template <typename T>
void gemm(bool adjoint_a, bool adjoint_b, Int m, Int n, Int k, const T* a, const T* b, T* out) {
  if (m == 0 || n == 0) return;
  CBLAS_TRANSPOSE of_a = adjoint_a ? CblasConjTrans : CblasNoTrans, of_b = adjoint_b ? CblasConjTrans : CblasNoTrans;
  Int lda = std::max<Int>(1, adjoint_a ? k : m), ldb = std::max<Int>(1, adjoint_b ? n : k);
  T one(1), zero(0);
  if constexpr (std::is_same_v<T, float>) {
    MLX_CBLAS(sgemm)(CblasColMajor, of_a, of_b, m, n, k, one, a, lda, b, ldb, zero, out, m);
  } else if constexpr (std::is_same_v<T, double>) {
    MLX_CBLAS(dgemm)(CblasColMajor, of_a, of_b, m, n, k, one, a, lda, b, ldb, zero, out, m);
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    MLX_CBLAS(cgemm)(CblasColMajor, of_a, of_b, m, n, k, &one, a, lda, b, ldb, &zero, out, m);
  } else {
    MLX_CBLAS(zgemm)(CblasColMajor, of_a, of_b, m, n, k, &one, a, lda, b, ldb, &zero, out, m);
  }
}
// b (n, columns) becomes op(triangle of a)^-1 b.
template <typename T>
void trsm(bool upper, bool adjoint, Int n, Int columns, const T* a, T* b) {
  CBLAS_UPLO uplo = upper ? CblasUpper : CblasLower;
  CBLAS_TRANSPOSE op = adjoint ? CblasConjTrans : CblasNoTrans;
  T one(1);
  if constexpr (std::is_same_v<T, float>) {
    MLX_CBLAS(strsm)(CblasColMajor, CblasLeft, uplo, op, CblasNonUnit, n, columns, one, a, n, b, n);
  } else if constexpr (std::is_same_v<T, double>) {
    MLX_CBLAS(dtrsm)(CblasColMajor, CblasLeft, uplo, op, CblasNonUnit, n, columns, one, a, n, b, n);
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    MLX_CBLAS(ctrsm)(CblasColMajor, CblasLeft, uplo, op, CblasNonUnit, n, columns, &one, a, n, b, n);
  } else {
    MLX_CBLAS(ztrsm)(CblasColMajor, CblasLeft, uplo, op, CblasNonUnit, n, columns, &one, a, n, b, n);
  }
}
#undef MLX_OF_TYPE
#undef MLX_OF_REAL

} // namespace mlx::core::cpu::lapack
