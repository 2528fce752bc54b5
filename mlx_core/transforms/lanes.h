// Replaying what a function did with one lane over a batch, or over one chunk of it after the other.
#pragma once

#include "mlx_core/chunk_size.h"
#include "mlx_core/transforms/tape.h"

namespace mlx::core {

// vmap.cpp: the batched value of each output and where its lanes lie. `batches` are those of the frame's placeholders.
Mapped replay(const Tape& tape, std::span<const array> outputs, std::span<const array> batches, const MapAxes& axes);
Mapped replay(const Frame& frame, std::span<const array> outputs);

// chunked_vmap.cpp
Mapped replay_in_chunks(const Frame& frame, std::span<const array> outputs, ChunkSize chunk_size);
// The most bytes that one lane keeps in memory at a time when the tape's nodes are computed in order.
size_t live_bytes(const Tape& tape, std::span<const array> outputs);

} // namespace mlx::core
