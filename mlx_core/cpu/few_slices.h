// A few slices read or written at indices, again and again: what can be known before was found out.
#pragma once

#include <cstdint>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/indices.h"
#include "mlx_core/small_vector.h"

namespace mlx::core::cpu {

// Each slice lies in order, and so do slices in what is read into or written from. The first out of bounds throws
// before anything is written.
struct FewSlices {
  struct Along {
    Dtype dtype; // of the indices, which lie in order
    Bounds bounds;
    int64_t step; // bytes
    bool same;    // one index for all slices
  };
  static constexpr int64_t most = 256;

  SmallVector<Along, 2> along;
  int64_t bytes, elements;                                      // of a slice
  int64_t count;                                                // of slices, at most `most`
  void (*add)(void* to, const void* from, int64_t n) = nullptr; // null: they are replaced

  // out[i] = the slice of x at index i, and the other way round; indices: one for each of `along`.
  void read(const void* x, const void* const* indices, void* out) const;
  void write(const void* updates, const void* const* indices, void* x) const;

 private:
  bool read_elements(const void* x, const void* index, void* out) const;
  void find(const void* const* indices, int64_t* offsets) const;
  int64_t find_one(const void* const* indices) const;
};

// to[i] += from[i], in the bits of the elementwise kernel.
using AddOnto = void (*)(void* to, const void* from, int64_t n);
AddOnto find_add_onto(Dtype dtype);

} // namespace mlx::core::cpu
