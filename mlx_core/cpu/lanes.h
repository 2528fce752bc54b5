// The lanes of strided arrays along one axis: what kernels that run along an axis loop over.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

inline constexpr int64_t widest_strip = 2048;

// N operands of one shape. The other axes are collapsed; the last of them is `width` lanes that are `pitch` apart, and
// there are `outer` such groups.
template <size_t N>
struct Lanes {
  using Offsets = std::array<int64_t, N>;

  // Backwards, a lane starts at its end and its steps are negative.
  Lanes(Ints shape, int axis, bool backwards, std::array<Ints, N> strides) {
    auto at = static_cast<size_t>(axis);
    length = shape[at];
    std::array<int64_t*, N> rest;
    for (size_t k = 0; k < N; ++k) {
      step[k] = backwards ? -strides[k][at] : strides[k][at];
      start[k] = backwards && length > 0 ? (length - 1) * strides[k][at] : 0;
    }
    for (size_t d = 0; d < shape.size(); ++d) {
      if (d != at) {
        shape_.push_back(shape[d]);
        for (size_t k = 0; k < N; ++k) {
          strides_[k].push_back(strides[k][d]);
        }
      }
    }
    for (size_t k = 0; k < N; ++k) {
      rest[k] = strides_[k].data();
    }
    auto rank = static_cast<size_t>(collapse_axes(static_cast<int>(shape_.size()), shape_.data(), rest));
    if (rank > 0) {
      width = shape_[rank - 1];
      for (size_t k = 0; k < N; ++k) {
        pitch[k] = strides_[k][rank - 1];
      }
      shape_.resize(rank - 1);
    } else {
      shape_.clear();
    }
    for (int64_t length_of_axis : shape_) {
      outer *= length_of_axis;
    }
  }
  // Where each operand's lane w of group o starts.
  Offsets offsets(int64_t o, int64_t w) const {
    Offsets at;
    for (size_t k = 0; k < N; ++k) {
      at[k] = start[k] + w * pitch[k];
    }
    for (size_t d = shape_.size(); d-- > 0; o /= shape_[d]) {
      for (size_t k = 0; k < N; ++k) {
        at[k] += o % shape_[d] * strides_[k][d];
      }
    }
    return at;
  }
  bool empty() const { return length == 0 || width == 0 || outer == 0; }
  // Whether neighbouring lanes are neighbours in memory, in every operand.
  bool adjacent() const {
    return width > 1 && std::all_of(pitch.begin(), pitch.end(), [](int64_t p) { return p == 1; });
  }
  // How many adjacent lanes a task takes: whole rows are read quickest, but every thread should have some.
  int64_t strip() const { return std::clamp<int64_t>(outer * width / thread_count(), 128, widest_strip); }

  int64_t length = 0;
  Offsets step{}, start{}, pitch{};
  int64_t width = 1, outer = 1;

 private:
  std::vector<int64_t> shape_;
  std::array<std::vector<int64_t>, N> strides_;
};

inline std::vector<int64_t> row_major(Ints shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) {
    strides[d - 1] = strides[d] * shape[d];
  }
  return strides;
}

// Calls body(i) for each of `count` items of about `elements` elements; a task has enough of them to be worth a thread.
template <typename F>
void parallel_items(int64_t count, int64_t elements, F&& body) {
  constexpr int64_t task_elements = 32 << 10, serial_elements = 64 << 10;
  int64_t per_task =
      count * elements < serial_elements ? count : std::max<int64_t>(1, task_elements / std::max<int64_t>(1, elements));
  parallel_for((count + per_task - 1) / std::max<int64_t>(1, per_task), [&](int64_t task) {
    for (int64_t i = task * per_task, end = std::min(count, i + per_task); i < end; ++i) {
      body(i);
    }
  });
}

} // namespace mlx::core::cpu
