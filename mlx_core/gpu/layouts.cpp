// Merging axes, and what else launch functions ask of views.
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

std::optional<arguments::Layout> merged(std::span<const int64_t> sizes, std::span<const int64_t> strides) {
  arguments::Layout layout{};
  uint32_t last = 0; // of the axes so far, plus one
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 1) {
      continue;
    }
    if (last > 0 && layout.strides[last - 1] == sizes[i] * strides[i]) {
      layout.sizes[last - 1] *= static_cast<uint32_t>(sizes[i]);
      layout.strides[last - 1] = strides[i];
      continue;
    }
    if (last == arguments::most_axes) {
      return std::nullopt;
    }
    layout.sizes[last] = static_cast<uint32_t>(sizes[i]);
    layout.strides[last] = strides[i];
    ++last;
  }
  layout.axes = last;
  return layout;
}

bool fits(std::span<const int64_t> sizes, std::span<const int64_t> strides) {
  return View::size_of(sizes) <= most_elements && merged(sizes, strides).has_value();
}

Bound from_lowest(const View& view, std::span<const int64_t> sizes) {
  int64_t lowest = 0;
  if (View::size_of(sizes) == 0) {
    return {view, 0};
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (view.strides[i] < 0 && sizes[i] > 1) {
      lowest += (sizes[i] - 1) * view.strides[i];
    }
  }
  return {view.laid_out(view.sizes, view.strides, lowest), -lowest};
}

Strides row_major(std::span<const int64_t> sizes) {
  Strides strides(sizes.begin(), sizes.end());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= sizes[i];
  }
  return strides;
}

Lanes lanes_of(std::span<const int64_t> sizes, std::span<const int64_t> strides, int axis) {
  Lanes lanes;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (static_cast<int>(i) == axis) {
      lanes.length = sizes[i];
      lanes.step = strides[i];
    } else {
      lanes.sizes.push_back(sizes[i]);
      lanes.strides.push_back(strides[i]);
    }
  }
  return lanes;
}

Dtype unsigned_of(Dtype dtype) {
  if (dtype.is_inexact()) {
    return dtype;
  }
  switch (dtype.size()) {
    case 1: return uint8;
    case 2: return uint16;
    case 4: return uint32;
    default: return uint64;
  }
}

} // namespace mlx::core::gpu
