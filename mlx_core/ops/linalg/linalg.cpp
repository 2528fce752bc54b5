// The linear algebra family: what its files declare.
#include <vector>

#include "mlx_core/ops/linalg/families.h"

namespace mlx::core {

std::span<const OpInfo* const> linalg_ops() {
  static const std::vector<const OpInfo*>& all = *[] {
    auto* ops = new std::vector<const OpInfo*>;
    for (auto part : {norm_ops(), cholesky_ops(), lu_ops(), qr_ops(), svd_ops(), eigh_ops(), eig_ops(), system_ops(),
             pseudo_inverse_ops(), determinant_ops(), exponential_of_matrix_ops(), cross_ops()}) {
      ops->insert(ops->end(), part.begin(), part.end());
    }
    return ops;
  }();
  return all;
}

std::span<const Remake> linalg_remakes() {
  static const std::vector<Remake>& all = *[] {
    auto* rows = new std::vector<Remake>;
    for (auto part : {cholesky_remakes(), lu_remakes(), qr_remakes(), svd_remakes(), eigh_remakes(), eig_remakes(),
             system_remakes(), pseudo_inverse_remakes(), determinant_remakes(), exponential_of_matrix_remakes(),
             symmetric_root_remakes()}) {
      rows->insert(rows->end(), part.begin(), part.end());
    }
    return rows;
  }();
  return all;
}

} // namespace mlx::core
