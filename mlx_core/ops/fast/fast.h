// What the functions of mlx::core::fast share.
#pragma once

#include "mlx_core/error.h"
#include "mlx_core/fast.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/reduce.h"

namespace mlx::core::fast {

// Their common dtype, a real floating one; integers count as float32.
Dtype floating_dtype(const char* op, std::initializer_list<array> operands);

// Whether it has that shape, or may turn out to.
bool may_have_shape(const array& a, const Shape& shape);

// The elements from, from + step, ... below stop of the last axis.
array columns(const array& a, Dim from, Dim stop, Dim step = 1);

std::span<const OpInfo* const> normalization_ops();
std::span<const OpInfo* const> attention_ops();

} // namespace mlx::core::fast
