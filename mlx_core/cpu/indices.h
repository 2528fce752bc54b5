// Index operands turned into element offsets, bounds checked; and the walk that along-axis operations make.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "mlx_core/cpu/gather.h"

namespace mlx::core::cpu {

inline constexpr int64_t index_chunk = 1024; // indices turned into offsets at a time

inline int64_t product(Ints shape) {
  int64_t n = 1;
  for (int64_t extent : shape) n *= extent;
  return n;
}

// Integers of any dtype, `stride` elements apart. Those beyond int64 become its maximum, which is out of any bounds.
void read_indices(const void* data, Dtype dtype, int64_t stride, int64_t n, int64_t* out);

// What an index may be: an offset into an axis of `length` where `slice` elements are taken.
struct Bounds {
  const char* op;
  int axis;
  int64_t length, slice;
};
[[noreturn]] void throw_index(const Bounds& bounds, int64_t index);

inline int64_t checked_index(const Bounds& bounds, int64_t index) {
  int64_t start = index < 0 ? index + bounds.length : index;
  if (start < 0 || start > bounds.length - bounds.slice) throw_index(bounds, index);
  return start;
}

// Whether elements lie one after the other.
bool is_in_line(Ints shape, Ints strides);

// offsets[i] = sum over operands of index * strides[axis], for positions [first, first + n) of index_shape.
void read_offsets(const char* op, std::span<const IndexOperand> indices, Ints index_shape, Ints shape, Ints strides,
    Ints slice_shape, int64_t first, int64_t n, int64_t* offsets);

// The layouts that an along-axis operation walks together over its shape: the indexed array with its axis held still,
// the indices, and a third operand (updates) or none.
class AxisWalk {
 public:
  AxisWalk(Ints shape, int axis, Ints array, Ints index, Ints third)
      : shape_(shape.begin(), shape.end()),
        strides_{List(array.begin(), array.end()), List(index.begin(), index.end()), List(third.begin(), third.end())} {
    strides_[0][static_cast<size_t>(axis)] = 0;
    strides_[2].resize(shape.size());
    int64_t* all[] = {strides_[0].data(), strides_[1].data(), strides_[2].data()};
    auto ndim = static_cast<size_t>(collapse_axes(static_cast<int>(shape.size()), shape_.data(), all));
    if (ndim == 0) {
      shape_.assign(1, 1);
      for (auto& s : strides_) s.assign(1, 0);
      ndim = 1;
    }
    shape_.resize(ndim);
  }

  // f(flat, array, index, third, n): runs of n positions that start at those element offsets, covering
  // [first, last) in order. Along a run the offsets grow by step(operand).
  template <typename F>
  void runs(int64_t first, int64_t last, F f) const {
    walk<false>(first, last, [&](int64_t flat, int64_t array, int64_t index, int64_t third, int64_t n, int64_t) {
      f(flat, array, index, third, n);
    });
  }

  // The same with f(flat, array, index, third, n, lines): whole lines one after the other, or a run, which is one line.
  // From line to line the offsets grow by line(operand).
  template <typename F>
  void blocks(int64_t first, int64_t last, F f) const {
    walk<true>(first, last, f);
  }
  int64_t step(int operand) const { return strides_[static_cast<size_t>(operand)][shape_.size() - 1]; }
  int64_t line(int operand) const {
    return shape_.size() > 1 ? strides_[static_cast<size_t>(operand)][shape_.size() - 2] : 0;
  }

 private:
  using List = std::vector<int64_t>;

  template <bool many_lines, typename F>
  void walk(int64_t first, int64_t last, F f) const {
    size_t ndim = shape_.size();
    List at(ndim);
    int64_t offset[3] = {};
    for (int64_t d = static_cast<int64_t>(ndim) - 1, flat = first; d >= 0; --d) {
      auto e = static_cast<size_t>(d);
      at[e] = flat % shape_[e], flat /= shape_[e];
      for (size_t k = 0; k < 3; ++k) offset[k] += at[e] * strides_[k][e];
    }
    int64_t length = shape_.back(), done = at.back(), steps[3];
    for (size_t k = 0; k < 3; ++k) steps[k] = strides_[k][ndim - 1];
    while (first < last) {
      int64_t n = std::min({last - first, length - done, index_chunk}), lines = 1;
      if (many_lines && n == length && ndim > 1) {
        lines = std::min((last - first) / length, shape_[ndim - 2] - at[ndim - 2]);
      }
      f(first, offset[0], offset[1], offset[2], n, lines);
      first += n * lines, done += n;
      for (size_t k = 0; k < 3; ++k) offset[k] += n * steps[k];
      if (done < length) continue;
      for (size_t k = 0; k < 3; ++k) offset[k] -= length * steps[k];
      done = 0;
      if (lines > 1) { // to the last of them
        at[ndim - 2] += lines - 1;
        for (size_t k = 0; k < 3; ++k) offset[k] += (lines - 1) * strides_[k][ndim - 2];
      }
      for (size_t d = ndim - 1; d-- > 0;) { // the next line
        bool wraps = ++at[d] == shape_[d];
        for (size_t k = 0; k < 3; ++k) offset[k] += (1 - (wraps ? shape_[d] : 0)) * strides_[k][d];
        if (!wraps) break;
        at[d] = 0;
      }
    }
  }

  List shape_;
  std::array<List, 3> strides_;
};

} // namespace mlx::core::cpu
