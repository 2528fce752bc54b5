// Dense linear algebra on each matrix of a stack: what kernel::MatrixWork asks for.
#pragma once

#include "mlx_core/backend/request.h"

namespace mlx::core::cpu {

// Matrices are shared out among the pool's threads, on each of which BLAS and LAPACK run alone.
void run(const kernel::MatrixWork& work);

// The tasks of a file each; the others are not theirs.
void run_factorization(const kernel::MatrixWork& work); // cholesky, lu, qr
void run_spectrum(const kernel::MatrixWork& work);      // svd, eigh, eig, and their values alone; pseudo_inverse
void run_system(const kernel::MatrixWork& work);        // inverse, solve_with_lu, solve_triangular
void run_determinant(const kernel::MatrixWork& work);   // determinant, slogdet, cofactors and their derivative
void run_exponential(const kernel::MatrixWork& work);
void run_symmetric(const kernel::MatrixWork& work); // symmetric_root, sylvester

} // namespace mlx::core::cpu
