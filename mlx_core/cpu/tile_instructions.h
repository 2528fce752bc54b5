// Instructions of some x86 processors that multiply and add pairs of bfloat16: AMX, on tiles, and AVX512-BF16, on
// vectors. Products and convolutions by them are blocked alike (tile_gemm.h, tile_convolve.h).
#pragma once

#include "mlx_core/cpu/gemm.h"

namespace mlx::core::cpu {

struct Windows;
class TileWindows;

struct TileInstructions {
  // Whether a product of this shape is worth packing its operands.
  bool (*is_worth)(Dtype dtype, int64_t m, int64_t n, int64_t k);
  // As gemm(). Sums are of float32, where subnormals count as zeros; a pair of terms is added in one step.
  void (*gemm)(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
      int64_t b_batch_stride, void* out, Dtype results);
  // The same of convolve().
  void (*convolve)(const Windows& w, const TileWindows& windows);
  // Terms of bfloat16 that are multiplied in the time of one of float32 by multiply-add.
  int64_t terms_at_once;
};

// Those of a kind, or null where this process may not use them: the processor has them, the system saves what they work
// on, and MLX_CPU_TARGETS allows the best instruction set. AMX multiplies float32, bfloat16 and float16, vectors of
// pairs bfloat16 alone: products of digits would take longer than multiply-add.
const TileInstructions* amx();
const TileInstructions* bfloat16_pairs();

// The best ones for a dtype, if there are any; for a product only if it is worth it.
const TileInstructions* tile_instructions(Dtype dtype);
const TileInstructions* tile_instructions(Dtype dtype, int64_t m, int64_t n, int64_t k);

} // namespace mlx::core::cpu
