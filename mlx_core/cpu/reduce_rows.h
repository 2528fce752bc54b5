// Rows of consecutive elements, reduced each: those of few elements many at a time.
#pragma once

#include "mlx_core/cpu/reduce_kernels.h"

namespace mlx::core::cpu {

// out[r] = the reduction of the n <= reduce_block consecutive elements at in + r * row_bytes.
void reduce_rows(const ReduceKernels& kernels, int in_size, int out_size, const void* in, int64_t n, int64_t row_bytes,
    int64_t rows, void* out);

} // namespace mlx::core::cpu
