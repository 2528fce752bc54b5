// Matrix products of blocks, of matrices chosen by indices, of segments; and the Hadamard transform.
#pragma once

#include <optional>

#include "mlx_core/array.h"

namespace mlx::core {

// The last axis times the Hadamard matrix of n = m 2^k, m in 1, 12, 20, 28, and the scale, 1 / sqrt(n) unless given.
array hadamard_transform(const array& a, std::optional<float> scale = {}, StreamOrDevice s = {});

// (mask_out) * ((mask_lhs * a) @ (mask_rhs * b)), a mask having an element for each block of block_size x block_size.
array block_masked_mm(const array& a, const array& b, int block_size, std::optional<array> mask_out = {},
    std::optional<array> mask_lhs = {}, std::optional<array> mask_rhs = {}, StreamOrDevice s = {});

// a[lhs_indices] @ b[rhs_indices], where the axes before the last two count as one.
array gather_mm(const array& a, const array& b, std::optional<array> lhs_indices = {},
    std::optional<array> rhs_indices = {}, bool sorted_indices = false, StreamOrDevice s = {});

// a[:, from:to] @ b[from:to] for each of segments (..., 2).
array segmented_mm(const array& a, const array& b, const array& segments, StreamOrDevice s = {});

} // namespace mlx::core
