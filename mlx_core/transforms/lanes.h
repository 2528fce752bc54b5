// What a function did with one lane, done with the whole batch, or with one chunk of it after the other.
#pragma once

#include "mlx_core/chunk_size.h"
#include "mlx_core/primitive.h"
#include "mlx_core/transforms/frame.h"

namespace mlx::core {

// The batched value of each output of the function that ran on the frame's lanes, and where its lanes lie.
Mapped batched(const Frame& frame, std::span<const array> outputs, ChunkSize chunk_size = ChunkSize());

} // namespace mlx::core
