// A fused program: elementwise steps over one iteration space, run tile by tile so that intermediate values stay in
// cache, optionally ending in row reductions.
//
// The plan is a list of (body, dtypes, slots). Any executor can consume it; this one resolves each step to a kernel
// over contiguous runs. A slot is a run of one tile: read from a source, or the output of a step.
#pragma once

#include <cstdint>
#include <vector>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/reduce.h"
#include "mlx_core/shape.h"

namespace mlx::core::cpu {

// Elements that a step processes at once. Equal to reduce_block, so that a tile is one block of a fused reduction.
inline constexpr int64_t tile_size = reduce_block;

struct Program {
  struct Source {
    enum class Layout : uint8_t { flat, scalar, strided };
    const void* data;
    int item_size;
    Layout layout;
    uint16_t slot;
    int ndim = 0; // strided: collapsed layout over the iteration space
    Sizes shape;
    Strides strides;
  };
  struct Step {
    Body body;
    Dtype from, to;
    Kernel kernel;
    uint16_t inputs[3];
    uint8_t input_count;
    uint16_t output;
  };
  struct Slot {
    char* memory = nullptr; // where the whole result goes; null: scratch
    int32_t scratch = -1;   // index of a tile of scratch
    int32_t item_size = 0;
  };
  struct Sink {
    uint16_t slot;
    RowReducer reducer;
    char* out;
    int out_item_size;
  };

  int64_t size = 0;       // elements of the iteration space
  int64_t row_length = 0; // of the sinks' rows; 0 without sinks
  int scratch_count = 0;
  int scratch_item_size = 1;
  std::vector<Source> sources;
  std::vector<Step> steps;
  std::vector<Slot> slots;
  std::vector<Sink> sinks;

  void clear();
};

// Runs it: on the calling thread when small, else on the pool. The result does not depend on which.
void run(const Program& program);

} // namespace mlx::core::cpu
