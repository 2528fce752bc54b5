// View: where the elements of an array lie, as kernels see it: memory, dtype, lengths and strides. It owns nothing, and
// holds while the evaluation that made it does not let its arrays go.
#pragma once

#include "mlx_core/allocator.h"
#include "mlx_core/dtype.h"
#include "mlx_core/shape.h"

namespace mlx::core {

// Whether elements of these strides follow one another in row-major order. Those of axes of length 1 say nothing.
bool is_row_major(std::span<const int64_t> sizes, std::span<const int64_t> strides);

// Whether elements of these strides are one, in memory; none are not.
template <typename Lengths>
bool is_one_element(const Lengths& sizes, const Strides& strides) {
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 1 && (strides[i] != 0 || sizes[i] == 0)) {
      return false;
    }
  }
  return true;
}

struct View {
  Buffer* buffer = nullptr;           // null: of a scalar whose value is its node's own
  int64_t offset = 0;                 // bytes from the start of the buffer
  const void* inline_value = nullptr; // where there is no buffer
  Dtype dtype = bool_;
  Sizes sizes;
  Strides strides; // in elements

  int itemsize() const { return dtype.size(); }
  size_t ndim() const { return sizes.size(); }
  int64_t size() const { return size_of(sizes); }
  static int64_t size_of(std::span<const int64_t> sizes) {
    int64_t count = 1;
    for (int64_t length : sizes) {
      count *= length;
    }
    return count;
  }
  bool is_row_major() const { return core::is_row_major(sizes, strides); }
  bool is_one_element() const { return core::is_one_element(sizes, strides); }
  // The same memory, read as another layout that starts so many elements further on.
  View laid_out(Sizes new_sizes, Strides new_strides, int64_t elements = 0) const {
    return {buffer, offset + elements * itemsize(), inline_value, dtype, std::move(new_sizes), std::move(new_strides)};
  }
  // For kernels of the host. A const View says nothing of whether its elements are written.
  void* host() const { return buffer ? static_cast<char*>(buffer->data) + offset : const_cast<void*>(inline_value); }
  template <typename T>
  T* host() const {
    return static_cast<T*>(host());
  }
};

// Drops axes of length 1 and merges neighbours where the strides allow it.
void collapse(Sizes& sizes, Strides& strides);

} // namespace mlx::core
