// What a primitive that only moves elements does, for those who lay out the work of whole programs.
#pragma once

#include <optional>

#include "mlx_core/backend/body.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// Operand 1 in place of a part of operand 0: along each axis, element i of the part is element start + i * stride of
// the whole. Nothing of other primitives.
struct WrittenPart {
  const Shape& start;
  const Shape& strides;
  bool has_no_gaps() const; // each stride is known to be 1
  // Whether a part of this shape is known to be at least half of the whole, without gaps.
  bool is_most_of(const Shape& whole, const Shape& part) const;
  // Where it begins, and its strides, in memory where the whole has these strides.
  int64_t offset_in(const Strides& whole) const;
  Strides strides_in(const Strides& whole) const;
};
std::optional<WrittenPart> written_part(const Primitive& primitive);
// The same of a part of operand 0 that is all of the result.
std::optional<WrittenPart> read_part(const Primitive& primitive);

// Of an array with lines of so many elements, cotangents of parts that are most of it are added up with zeros around
// each; with shorter ones in place, from the third on.
inline constexpr int64_t shortest_padded_line = 64;

// Slices of operand 0 that begin at indices along these axes: what a gather reads, its indices being the other
// operands, or what a scatter combines with operand 1, before the indices. Nothing of other primitives.
struct IndexedSlices {
  const Axes& axes;
  std::optional<ScatterMode> writes;
};
std::optional<IndexedSlices> read_slices(const Primitive& primitive);
std::optional<IndexedSlices> written_slices(const Primitive& primitive);

// The operands one after another along an axis. Nothing of other primitives.
std::optional<int> joined_axis(const Primitive& primitive);

// The place of the first largest or smallest element along an axis. Nothing of other primitives.
struct ArgReduced {
  bool max;
  int axis;
};
std::optional<ArgReduced> arg_reduced(const Primitive& primitive);

// Whether it is a view that exchanges the axes of a matrix.
bool exchanges_matrix_axes(const Primitive& primitive);

// The axes of the operand in the order of the result's. Null of other primitives.
const Axes* permuted_axes(const Primitive& primitive);
PrimitiveRef permuting(Axes axes);
PrimitiveRef reshaping(Shape shape);
PrimitiveRef repeating(Shape shape); // broadcast_to

// Strides that give `to` over memory laid out as (sizes, strides) in row-major reading order, if there are any.
std::optional<Strides> reshaped_strides(const Sizes& sizes, const Strides& strides, const Sizes& to);
// Strides of an array as if broadcast to a longer shape of that rank.
Strides broadcast_strides(const array& a, size_t rank);

} // namespace mlx::core
