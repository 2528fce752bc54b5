// Which file does which task on matrices.
#include "mlx_core/cpu/matrix_work.h"

#include <algorithm>

namespace mlx::core::cpu {

void run(const kernel::MatrixWork& work) {
  // However many matrices without elements there are.
  if (std::all_of(work.outputs.begin(), work.outputs.end(), [](const View& out) { return out.size() == 0; })) {
    return;
  }
  switch (work.task) {
    case MatrixTask::cholesky:
    case MatrixTask::lu:
    case MatrixTask::qr: return run_factorization(work);
    case MatrixTask::singular_values:
    case MatrixTask::svd:
    case MatrixTask::eigenvalues_of_hermitian:
    case MatrixTask::eigh:
    case MatrixTask::eigenvalues:
    case MatrixTask::eig:
    case MatrixTask::pseudo_inverse: return run_spectrum(work);
    case MatrixTask::inverse:
    case MatrixTask::solve_with_lu:
    case MatrixTask::solve_triangular: return run_system(work);
    case MatrixTask::determinant:
    case MatrixTask::slogdet:
    case MatrixTask::cofactors:
    case MatrixTask::cofactor_derivative: return run_determinant(work);
    case MatrixTask::exponential: return run_exponential(work);
    case MatrixTask::symmetric_root:
    case MatrixTask::sylvester: return run_symmetric(work);
  }
}

} // namespace mlx::core::cpu
