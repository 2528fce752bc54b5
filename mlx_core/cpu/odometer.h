// Walking over the axes of strided operands.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

// Position in the leading `ndim` axes of a layout, and the byte offset that it means for up to two operands.
class Odometer {
 public:
  Odometer(
      int ndim, const int64_t* shape, const int64_t* a, const int64_t* b, int64_t* index, int64_t flat, int64_t size)
      : ndim_(ndim), shape_(shape), a_(a), b_(b), index_(index), size_(size) {
    for (int d = ndim - 1; d >= 0; --d) {
      index_[d] = flat % shape[d];
      flat /= shape[d];
      a_offset += index_[d] * a[d] * size_;
      if (b_) b_offset += index_[d] * b[d] * size_;
    }
  }
  void next() {
    for (int d = ndim_ - 1; d >= 0; --d) {
      int64_t back = ++index_[d] < shape_[d] ? 0 : shape_[d];
      a_offset += a_[d] * size_ * (1 - back);
      if (b_) b_offset += b_[d] * size_ * (1 - back);
      if (back == 0) return;
      index_[d] = 0;
    }
  }
  int64_t a_offset = 0, b_offset = 0;

 private:
  int ndim_;
  const int64_t *shape_, *a_, *b_;
  int64_t* index_;
  int64_t size_;
};

} // namespace mlx::core::cpu
