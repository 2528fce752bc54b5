// Counter-based random bits: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, 2011), in the counter
// layout that MLX uses, so the same key gives MLX's own bits.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// For each of `keys` keys (two uint32 words at key + i * key_stride elements), writes `bytes` random bytes to
// out + i * bytes. Parallel when large.
void random_bits(const uint32_t* key, int64_t keys, int64_t key_stride, int64_t bytes, void* out);

} // namespace mlx::core::cpu
