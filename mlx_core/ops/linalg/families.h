// The linear algebra family, and the parts that linalg.cpp joins to it.
#pragma once

#include <span>

#include "mlx_core/remake.h"

namespace mlx::core {

std::span<const OpInfo* const> linalg_ops();
std::span<const Remake> linalg_remakes();

std::span<const OpInfo* const> norm_ops();
std::span<const OpInfo* const> cholesky_ops();
std::span<const OpInfo* const> lu_ops();
std::span<const OpInfo* const> qr_ops();
std::span<const OpInfo* const> svd_ops();
std::span<const OpInfo* const> eigh_ops();
std::span<const OpInfo* const> eig_ops();
std::span<const OpInfo* const> system_ops();
std::span<const OpInfo* const> pseudo_inverse_ops();
std::span<const OpInfo* const> determinant_ops();
std::span<const OpInfo* const> exponential_of_matrix_ops();
std::span<const OpInfo* const> cross_ops();

std::span<const Remake> cholesky_remakes();
std::span<const Remake> lu_remakes();
std::span<const Remake> qr_remakes();
std::span<const Remake> svd_remakes();
std::span<const Remake> eigh_remakes();
std::span<const Remake> eig_remakes();
std::span<const Remake> system_remakes();
std::span<const Remake> pseudo_inverse_remakes();
std::span<const Remake> determinant_remakes();
std::span<const Remake> exponential_of_matrix_remakes();
std::span<const Remake> symmetric_root_remakes();

} // namespace mlx::core
