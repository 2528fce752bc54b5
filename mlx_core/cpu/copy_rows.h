// Many short runs of bytes, copied one after another.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// Rows of `bytes` bytes, `step` apart, to rows `pitch` apart; memory of its own, of any alignment.
void copy_rows(int64_t rows, int64_t bytes, const void* from, int64_t step, void* to, int64_t pitch);

} // namespace mlx::core::cpu
