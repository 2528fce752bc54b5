// Ranges of whole numbers, exact over all of int64 and uint64.
#pragma once

#include "mlx_core/ops.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// start + i step for i below size, modulo 2^64: of uint64 the bits are given. Floating dtypes round each once.
array whole_range(int64_t start, int64_t step, Dim size, Dtype dtype);
// The dtype of a range of whole numbers for which none is given: int32 where start, stop and step fit it, else int64,
// or uint64 for numbers that only that holds.
Dtype range_dtype(detail::int128_t start, detail::int128_t stop, detail::int128_t step);

const OpInfo& range_op();
const OpInfo& linspace_op();

} // namespace mlx::core
