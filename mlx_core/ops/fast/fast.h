// What the functions of mlx::core::fast share.
#pragma once

#include "mlx_core/error.h"
#include "mlx_core/fast.h"
#include "mlx_core/ops/batching.h"

namespace mlx::core::fast {

// Their common dtype, a real floating one; integers count as float32.
Dtype floating_dtype(const char* op, std::initializer_list<array> operands);
// What they are computed in: 16-bit floats in float32, rounded once in the end.
inline Dtype computed_in(Dtype dtype) { return dtype.size() < 4 ? float32 : dtype; }
inline array cast(const array& a, Dtype dtype) { return a.dtype() == dtype ? a : astype(a, dtype); }

// The elements from, from + step, ... below stop of the last axis.
array columns(const array& a, Dim from, Dim stop, Dim step = 1);

std::span<const OpInfo* const> normalization_ops();
std::span<const OpInfo* const> attention_ops();

} // namespace mlx::core::fast
