// What is done to each matrix of a stack (kernel::MatrixWork in request.h says what goes in and comes out), and the
// error of a matrix that has no result.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace mlx::core {

enum class MatrixTask : uint8_t {
  cholesky,
  lu,
  qr,
  singular_values,
  svd,
  eigenvalues_of_hermitian,
  eigh,
  eigenvalues,
  eig,
  inverse,
  pseudo_inverse,
  solve_with_lu,
  solve_triangular,
  determinant,
  slogdet,
  cofactors,
  cofactor_derivative,
  exponential,
  symmetric_root,
  sylvester,
};

// A singular matrix, say: mlx.core.linalg.LinAlgError in Python.
class LinalgError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

} // namespace mlx::core
