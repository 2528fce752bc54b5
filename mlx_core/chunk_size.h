// ChunkSize: how many lanes of a vmap run at a time; and vmap in chunks.
#pragma once

#include "mlx_core/transforms.h"

namespace mlx::core {

class ChunkSize {
 public:
  // All lanes at once.
  ChunkSize() = default;
  // That many, and what is left in the last chunk.
  static ChunkSize of(int64_t lanes) { return ChunkSize(lanes); }
  // As many as fit into the memory limit (allocator.h), by an estimate of what a lane keeps in memory at a time.
  static ChunkSize automatic() { return ChunkSize(-1); }

  bool is_all() const { return lanes_ == 0; }
  bool is_automatic() const { return lanes_ < 0; }
  int64_t lanes() const { return lanes_; }

 private:
  explicit ChunkSize(int64_t lanes) : lanes_(lanes) {}
  int64_t lanes_ = 0;
};

// As without a chunk size, value by value: the function runs once, and what it did is replayed for one chunk after the
// other. Random draws are the same, too.
VectorFunction vmap(const VectorFunction& fun, VmapAxes in_axes, VmapAxes out_axes, ChunkSize chunk_size);
std::vector<array> vmap_call(const VectorFunction& fun, const VmapAxes& in_axes, const std::vector<array>& args,
    const std::function<VmapAxes(const std::vector<array>& outputs)>& out_axes_of, ChunkSize chunk_size,
    Randomness randomness = Randomness::different);

} // namespace mlx::core
