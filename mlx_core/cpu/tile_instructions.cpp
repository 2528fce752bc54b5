// Which instructions on tiles a product takes.
#include "mlx_core/cpu/tile_instructions.h"

namespace mlx::core::cpu {

const TileInstructions* tile_instructions(Dtype dtype) {
  if (dtype != float32 && dtype != bfloat16 && dtype != float16) return nullptr;
  const TileInstructions* tiles = amx();
  return tiles || dtype != bfloat16 ? tiles : bfloat16_pairs();
}

const TileInstructions* tile_instructions(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  const TileInstructions* tiles = tile_instructions(dtype);
  return tiles && tiles->is_worth(dtype, m, n, k) ? tiles : nullptr;
}

} // namespace mlx::core::cpu
