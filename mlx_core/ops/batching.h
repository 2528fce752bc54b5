// What batching rules share: the number of lanes, and lining operands up with the batch axis in front.
#pragma once

#include "mlx_core/ops.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// The length of the mapped axis.
inline Dim lanes_of(Operands operands, const MapAxes& axes) {
  for (size_t i = 0; i < operands.size(); ++i) {
    if (axes[i]) {
      return operands[i].shape()[static_cast<size_t>(*axes[i])];
    }
  }
  return 1;
}

// The batch axis moved to the front; an operand that every lane shares is returned as it is.
inline array batch_first(const array& a, MapAxis axis) { return axis ? moveaxis(a, *axis, 0) : a; }

// The batch axis in front, also of an operand that every lane shares: a view that repeats it.
inline array batch_first(const array& a, MapAxis axis, Dim lanes) {
  if (axis) {
    return moveaxis(a, *axis, 0);
  }
  Shape shape = a.shape();
  shape.insert(shape.begin(), lanes);
  return broadcast_to(a, shape);
}

// The batch axis in front of a lane whose rank is raised to lane_rank with axes of length 1, so that lanes of different
// rank broadcast as they did unbatched. Shared operands broadcast by themselves.
inline array batch_aligned(const array& a, MapAxis axis, int lane_rank) {
  if (!axis) {
    return a;
  }
  array moved = moveaxis(a, *axis, 0);
  Axes padding;
  for (int k = moved.ndim() - 1; k < lane_rank; ++k) {
    padding.push_back(static_cast<int>(padding.size()) + 1);
  }
  return padding.empty() ? moved : expand_dims(moved, padding);
}

inline Shape prepended(Dim first, const Shape& rest) {
  Shape out;
  out.reserve(rest.size() + 1);
  out.push_back(first);
  for (Dim d : rest) {
    out.push_back(d);
  }
  return out;
}
// Every axis one further back, behind a new first one.
inline Axes behind_batch(const Axes& axes) {
  Axes out = axes;
  for (int& axis : out) {
    ++axis;
  }
  return out;
}
// The axes of a lane, counted in the array that has a batch axis among them.
inline Axes around_batch(const Axes& axes, int batch) {
  Axes out = axes;
  for (int& axis : out) {
    axis += axis >= batch ? 1 : 0;
  }
  return out;
}

// Known to differ; symbolic sizes are checked when they are known.
inline bool surely_differ(Dim a, Dim b) { return !a.is_symbolic() && !b.is_symbolic() && !(a == b); }
// Known to be the same for every size that a shapeless trace may see: one number, or one expression.
inline bool surely_equal(Dim a, Dim b) { return SymbolTrace::code(a) == SymbolTrace::code(b); }
inline bool surely_equal(const Shape& a, const Shape& b) {
  if (a.size() != b.size()) {
    return false;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (!surely_equal(a[i], b[i])) {
      return false;
    }
  }
  return true;
}

} // namespace mlx::core
