// The weights of a convolution as the products' kernels read them: in panels of columns, in blocks of terms.
#pragma once

#include <algorithm>

#include "mlx_core/allocator.h"
#include "mlx_core/cpu/convolve_pieces.h"
#include "mlx_core/cpu/product_kernels.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

class PackedWeights {
 public:
  // Terms added up before they join the sum: at most these, and of equally many in each block. Bits depend on it.
  static constexpr int64_t most_terms = 320;

  PackedWeights(const Windows& w, const ProductKernels& kernels)
      : terms_(w.terms()),
        size_(w.dtype.size()),
        blocks_((terms_ + most_terms - 1) / most_terms),
        block_terms_((terms_ + blocks_ - 1) / blocks_),
        columns_((w.columns + kernels.width - 1) / kernels.width * kernels.width),
        memory_(allocate(static_cast<size_t>(w.groups * columns_ * terms_ * size_))) {
    parallel_for(w.groups * blocks_, [&](int64_t i) {
      const int64_t group = i / blocks_, block = i % blocks_;
      kernels.pack(length(block), w.columns, w.w + (group * w.columns * terms_ + first(block)) * size_, 1, terms_,
          place(group, block));
    });
  }
  int64_t blocks() const { return blocks_; }
  // A block's first term, how many it has, and how many the longest has.
  int64_t first(int64_t block) const { return block * block_terms_; }
  int64_t length(int64_t block) const { return std::min(block_terms_, terms_ - first(block)); }
  int64_t longest() const { return block_terms_; }
  // Those of a group, with what fills the last panel.
  int64_t columns() const { return columns_; }
  // The panel that begins with a column.
  const char* panel(int64_t group, int64_t block, int64_t column) const {
    return place(group, block) + column * length(block) * size_;
  }

 private:
  char* place(int64_t group, int64_t block) const {
    return static_cast<char*>(memory_->data) + (group * terms_ + first(block)) * columns_ * size_;
  }

  int64_t terms_, size_, blocks_, block_terms_, columns_;
  BufferRef memory_;
};

} // namespace mlx::core::cpu
