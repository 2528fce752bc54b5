// The op families: each file under ops/ lists what it declares, and how its primitives are made again.
#pragma once

#include <span>

#include "mlx_core/remake.h"

namespace mlx::core {

std::span<const OpInfo* const> arithmetic_ops();
std::span<const OpInfo* const> power_ops();
std::span<const OpInfo* const> extrema_ops();
std::span<const OpInfo* const> select_ops();
std::span<const OpInfo* const> exponential_ops();
std::span<const OpInfo* const> special_ops();
std::span<const OpInfo* const> special_function_ops();
std::span<const OpInfo* const> special_composition_ops();
std::span<const OpInfo* const> trigonometric_ops();
std::span<const OpInfo* const> hyperbolic_ops();
std::span<const OpInfo* const> rounding_ops();
std::span<const OpInfo* const> float_part_ops();
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
std::span<const OpInfo* const> stacking_ops();
std::span<const OpInfo* const> sampled_ops();
std::span<const OpInfo* const> counting_ops();
std::span<const OpInfo* const> value_shape_ops();
std::span<const OpInfo* const> depends_ops();
std::span<const OpInfo* const> diagonal_ops();
std::span<const OpInfo* const> product_ops();
std::span<const OpInfo* const> einsum_ops();
std::span<const OpInfo* const> window_ops();
std::span<const OpInfo* const> fft_ops();
std::span<const OpInfo* const> frequency_ops();
std::span<const OpInfo* const> stft_ops();
std::span<const OpInfo* const> conv_ops();
std::span<const OpInfo* const> hadamard_ops();
std::span<const OpInfo* const> block_product_ops();
std::span<const OpInfo* const> random_ops();
std::span<const OpInfo* const> fast_ops();

std::span<const Remake> arithmetic_remakes();
std::span<const Remake> extrema_remakes();
std::span<const Remake> rounding_remakes();
std::span<const Remake> float_part_remakes();
std::span<const Remake> cast_remakes();
std::span<const Remake> creation_remakes();
std::span<const Remake> shape_remakes();
std::span<const Remake> slice_remakes();
std::span<const Remake> gather_scatter_remakes();
std::span<const Remake> reduce_remakes();
std::span<const Remake> sort_remakes();
std::span<const Remake> scan_remakes();
std::span<const Remake> matmul_remakes();
std::span<const Remake> chosen_product_remakes();
std::span<const Remake> depends_remakes();
std::span<const Remake> diagonal_remakes();
std::span<const Remake> fft_remakes();
std::span<const Remake> conv_remakes();
std::span<const Remake> random_remakes();
std::span<const Remake> special_function_remakes();
std::span<const Remake> custom_kernel_remakes();

} // namespace mlx::core
