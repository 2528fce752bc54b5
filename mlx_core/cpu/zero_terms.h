// Matrix products of the chain rule, in which 0 times anything is 0.
#pragma once

#include "mlx_core/cpu/gemm.h"

namespace mlx::core::cpu {

// Mends what gemm() with these operands wrote, so that terms with a factor 0 are 0 whatever the other factor is. Such a
// term of an infinity or NaN made its sum NaN; so only the elements that are NaN are computed again, term by term.
// They are looked for in the result, or where that is larger than the operands, not before these turn out not to be
// finite.
void leave_out_zero_terms(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride,
    Matrix b, int64_t b_batch_stride, void* out);

} // namespace mlx::core::cpu
