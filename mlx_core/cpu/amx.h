// Products of bfloat16 and float16 matrices by AMX, the tiles of some x86 processors.
#pragma once

#include "mlx_core/cpu/gemm.h"

namespace mlx::core::cpu {

// Whether this process may use them: the processor has them, the system saves them, and MLX_CPU_TARGETS allows the best
// instruction set.
bool has_amx();

// Whether a product of this dtype and shape is worth packing into tiles.
bool is_tile_product(Dtype dtype, int64_t m, int64_t n, int64_t k);

// As gemm() of float32, bfloat16 or float16. Sums are of float32, where subnormals count as zeros; a pair of terms is
// added in one step.
void amx_gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out);

struct Windows;
class TileWindows;
// The same of convolve().
void amx_convolve(const Windows& w, const TileWindows& windows);

} // namespace mlx::core::cpu
