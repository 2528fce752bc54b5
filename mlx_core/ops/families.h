// The op families: each file under ops/ lists what it declares.
#pragma once

#include <span>

#include "mlx_core/primitive.h"

namespace mlx::core {

std::span<const OpInfo* const> arithmetic_ops();
std::span<const OpInfo* const> power_ops();
std::span<const OpInfo* const> extrema_ops();
std::span<const OpInfo* const> select_ops();
std::span<const OpInfo* const> exponential_ops();
std::span<const OpInfo* const> special_ops();
std::span<const OpInfo* const> trigonometric_ops();
std::span<const OpInfo* const> hyperbolic_ops();
std::span<const OpInfo* const> rounding_ops();
std::span<const OpInfo* const> comparison_ops();
std::span<const OpInfo* const> bitwise_ops();
std::span<const OpInfo* const> complex_ops();
std::span<const OpInfo* const> cast_ops();
std::span<const OpInfo* const> creation_ops();
std::span<const OpInfo* const> shape_ops();
std::span<const OpInfo* const> slice_ops();
std::span<const OpInfo* const> gather_scatter_ops();
std::span<const OpInfo* const> reduce_ops();
std::span<const OpInfo* const> sort_ops();
std::span<const OpInfo* const> scan_ops();
std::span<const OpInfo* const> matmul_ops();
std::span<const OpInfo* const> padding_ops();
std::span<const OpInfo* const> rearrange_ops();
std::span<const OpInfo* const> depends_ops();
std::span<const OpInfo* const> diagonal_ops();
std::span<const OpInfo* const> product_ops();
std::span<const OpInfo* const> einsum_ops();
std::span<const OpInfo* const> window_ops();
std::span<const OpInfo* const> random_ops();

} // namespace mlx::core
