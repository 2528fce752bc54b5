// Shapes, strides and axes: their types, and the questions every shape rule asks.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mlx_core/dim.h"
#include "mlx_core/small_vector.h"

namespace mlx::core {

using Shape = SmallVector<Dim, 4>;
using Strides = SmallVector<int64_t, 4>; // in elements
using Axes = SmallVector<int, 4>;
using Sizes = SmallVector<int64_t, 4>; // a shape whose entries are known numbers, for kernels

// The product of the axis lengths; 1 for a scalar.
Dim size_of(const Shape& shape);
Sizes sizes_of(const Shape& shape);
bool is_known(const Shape& shape); // each of its lengths
// Throws a SizeError that names op where a length is negative, or where the lengths, without those that are 0, multiply
// to more than most_elements: so the strides of every array, and the product of any of its axes, can be represented.
// Symbolic lengths are checked when they are known.
void check_shape(std::string_view op, const Shape& shape);
// Whether check_shape is content.
inline bool is_possible(const Shape& shape) {
  int64_t count = 1;
  for (Dim d : shape) {
    if (d.is_symbolic()) [[unlikely]] {
      continue;
    }
    int64_t length = d;
    if (length < 0 || __builtin_mul_overflow(count, length == 0 ? 1 : length, &count)) [[unlikely]] {
      return false;
    }
  }
  return count <= most_elements;
}
// Strides of a row-major layout.
Strides row_major_strides(const Shape& shape);
// "(2,3)", as errors print it.
std::string to_string(const Shape& shape);
std::string to_string(const Axes& axes);

// NumPy's broadcasting rule. Throws std::invalid_argument naming `op` and both shapes.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

// axis in [0, ndim) for one given in [-ndim, ndim). Throws AxisError naming op, axis and ndim.
int normalize_axis(const char* op, int axis, int ndim);
// All of them, sorted; throws when one is repeated.
Axes normalize_axes(const char* op, const Axes& axes, int ndim);
// 0, 1, ..., ndim - 1.
Axes all_axes(int ndim);

} // namespace mlx::core
