// What an index expression says about each axis of an array, before it becomes graph nodes.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <vector>

#include "mlx_core/array.h"

namespace nb = nanobind;

namespace mlx::python {

// The index of one axis of the array indexed.
struct AxisIndex {
  enum class Kind : uint8_t { whole, range, single, gather };
  Kind kind = Kind::whole;
  core::Dim start = 0, length = 0; // of range and single
  int64_t step = 1;
  std::optional<core::array> indices; // of gather
};

// One entry per item of the expression, in order, with Ellipsis filled in.
struct IndexItem {
  enum class Kind : uint8_t { axis, new_axis, ellipsis }; // an Ellipsis stands before the axes it covers
  Kind kind;
  int axis = 0;
};

// A mask without axes, as in x[True], is an axis of length 1 put in at its place, under a mask of one element. What the
// plan says is about the array with these axes.
struct IndexPlan {
  core::Axes added;                     // where they are, in the array that has them
  core::SmallVector<AxisIndex, 4> axes; // one per axis of the array
  core::SmallVector<IndexItem, 6> items;
  bool has_parts = false; // some axis is a range or a single index
  bool has_singles = false;
  bool has_new_axes = false;
  int gathers = 0;                 // axes with integer arrays, or under a mask
  std::optional<core::array> mask; // the expression is one boolean array over the leading axes: see Masks

  // Bounds of the slice that takes ranges and singles and keeps every axis.
  void bounds(const core::Shape& shape, core::Shape& start, core::Shape& stop, core::Shape& strides) const;
  // NumPy's placement rule: the axes of the integer arrays stand where the first integer array or int stood, when these
  // are neighbours; else in front.
  struct Placement {
    int axes = 0;     // axes of the array that come before them
    int new_axes = 0; // Nones that come before them
  };
  Placement gather_placement() const;
};

// A boolean mask stands for the integer arrays of the places where it is true, one for each of its axes: to know these
// it is evaluated. A mask that is the whole expression can be kept as it is.
enum class Masks : uint8_t { positions, keep_single };

// Throws core::AxisError for an int out of range (with check_lists also for one in a list), core::TypeError for what is
// no index.
IndexPlan plan_index(const char* op, const core::array& a, nb::handle index, Masks masks, bool check_lists = true);

} // namespace mlx::python
