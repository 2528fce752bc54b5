// The bodies of a reduction for one (operation, dtype), and the tree that they all follow.
//
// Element e of a block goes to virtual lane e % lanes, in order; then fold() joins the lanes, and fold() joins the
// blocks. The tree is the same along a row and down columns, where each lane is a run of `width` accumulators, so the
// bits of a reduction depend on its axes and shape, not on its layout.
#pragma once

#include <bit>
#include <cstdint>

#include "mlx_core/cpu/reduce.h"

namespace mlx::core::cpu {

struct ReduceKernels {
  int lanes;
  int partial_size; // bytes
  void (*block)(const void* in, int64_t n, void* partial);
  void (*finish)(void* partials, int64_t count, void* out);
  void (*identity)(void* out);
  // out[r] = the reduction of the n <= reduce_block consecutive elements at in + r * row_bytes.
  void (*rows)(const void* in, int64_t n, int64_t row_bytes, int64_t rows, void* out);
  // Elementwise over columns: acc = in; acc = acc op in; acc = acc op more; out = acc.
  void (*start)(const void* in, int64_t n, void* acc);
  void (*accumulate)(const void* in, int64_t n, void* acc);
  void (*combine)(const void* more, int64_t n, void* acc);
  void (*store)(const void* acc, int64_t n, void* out);
  // acc = the rows of n columns at in + offsets[0], in + offsets[1], ... (count of them) in a tree of `tree_lanes`
  // lanes, a power of two; and so for `lines` places, `step` bytes apart. Behind the n * lines results acc has room for
  // as many once for each level.
  void (*columns)(const char* in, const int64_t* offsets, int64_t count, int64_t tree_lanes, int64_t n, int64_t lines,
      int64_t step, void* acc);
  // The same of groups of rows that all follow one another: n results of each. Behind these acc has room for two rows
  // of each lane.
  void (*groups)(const void* in, int64_t rows, int64_t n, int64_t groups, void* acc);
  // The block of elements that are the vectors at in + offsets[0], in + offsets[1], ... (count of them, at least as
  // many as the lanes are), each of `vector` elements; or null.
  void (*vectors)(const char* in, const int64_t* offsets, int64_t count, void* partial) = nullptr;
  int vector = 0;
};

const ReduceKernels& find_sum_kernels(Reduction op, Dtype dtype);      // sum, prod
const ReduceKernels& find_extremum_kernels(Reduction op, Dtype dtype); // min, max
const ReduceKernels& find_logic_kernels(Reduction op, Dtype dtype);    // all, any; bool under every operation
const ReduceKernels& find_reduce_kernels(Reduction op, Dtype dtype);

// Joins `count` runs of `width` partials into the first: i with i + half, halves being powers of two.
template <typename Combine>
inline void fold(Combine combine, char* partials, int64_t count, int64_t width, int partial_size) {
  while (count > 1) {
    int64_t half = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)) / 2);
    combine(partials + half * width * partial_size, (count - half) * width, partials);
    count = half;
  }
}

} // namespace mlx::core::cpu
