// Batches of products of tiny matrices: as many of them at once as fit into vectors.
#pragma once

#include <cstdint>
#include <optional>

#include "mlx_core/cpu/small_product.h"

namespace mlx::core::cpu {

class TinyBatch {
 public:
  // None where it would gain nothing. Strides in elements.
  static std::optional<TinyBatch> of(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a,
      int64_t a_batch_stride, Matrix b, int64_t b_batch_stride, void* out);

  // Products [first, last), with the bits of gemm(): rest(first, last) does those that it leaves.
  template <class Rest>
  void run(int64_t first, int64_t last, Rest rest) const {
    // What is read and written beyond the products done is of others that come after them.
    const int64_t end = std::min(last_read_, last - written_ + 1);
    for (; first < end; first += count_) {
      if (!plan_.way(plan_, a_.at(first), b_.at(first), out_ + first * result_bytes_)) {
        rest(first, first + count_);
      }
    }
    if (first < last) {
      rest(first, last);
    }
  }

 private:
  // One that all products share is copied, so that whole vectors can be read.
  struct Operand {
    const char* data;
    int64_t stride; // bytes
    alignas(64) char shared[2 * 64];

    const void* at(int64_t i) const { return stride == 0 ? shared : data + i * stride; }
  };
  TinyProduct plan_;
  Operand a_, b_;
  char* out_;
  int64_t result_bytes_, count_;
  int64_t last_read_, written_; // which is the first that reads too far; how many products one writes over
};

} // namespace mlx::core::cpu
