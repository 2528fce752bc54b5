// Views as the arguments of shaders: axes merged, memory bound at the lowest element that a view reaches.
#pragma once

#include <cstdint>
#include <optional>

#include "metal/arguments.h"
#include "mlx_core/gpu/encoder.h"

namespace mlx::core::gpu {

namespace arguments = ::mlx_arguments;

// Shaders count elements in 32 bits, and threads a little beyond the last element.
inline constexpr int64_t most_elements = 0xffff0000;

// Nothing when there are more axes than a Layout has room for, those of length 1 and those that merge left out.
std::optional<arguments::Layout> merged(std::span<const int64_t> sizes, std::span<const int64_t> strides);
// Of what is known to have one.
inline arguments::Layout layout_of(std::span<const int64_t> sizes, std::span<const int64_t> strides) {
  return merged(sizes, strides).value();
}
// Whether a shader can count and address elements of these.
bool fits(std::span<const int64_t> sizes, std::span<const int64_t> strides);
inline bool fits(const View& view) { return fits(view.sizes, view.strides); }

// `view` starts at the lowest element, the first one of what it is of is `first` elements further on: strides may be
// negative, and pointers of a shader should not go back before what is bound.
struct Bound {
  View view;
  int64_t first = 0;
};
Bound from_lowest(const View& view, std::span<const int64_t> sizes);
inline Bound from_lowest(const View& view) { return from_lowest(view, view.sizes); }

// What is bound for memory that is read: an empty array may have none, and then it is memory that the kernel has
// anyway.
inline const View& memory_of(const Bound& bound, const View& instead) {
  return bound.view.buffer || bound.view.inline_value ? bound.view : instead;
}

Strides row_major(std::span<const int64_t> sizes);

// An array as lanes along an axis: the other axes, and the step from one element of a lane to the next.
struct Lanes {
  Sizes sizes; // without the axis
  Strides strides;
  int64_t length = 0, step = 0;
};
Lanes lanes_of(std::span<const int64_t> sizes, std::span<const int64_t> strides, int axis);

// Of the same size, in which integers wrap alike: signed ones and bool as unsigned.
Dtype unsigned_of(Dtype dtype);
// What the elements are carried in: float32 for 16-bit floats.
inline Dtype carried_in(Dtype dtype) { return dtype == float16 || dtype == bfloat16 ? float32 : dtype; }

inline std::string kernel_name(std::string name, Dtype dtype) { return name.append("_").append(name_of(dtype)); }

inline uint64_t pieces(uint64_t count, uint64_t length) { return (count + length - 1) / length; }

} // namespace mlx::core::gpu
