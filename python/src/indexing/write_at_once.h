// x[index] = value where ints and slices select a few elements of an array that nobody else holds.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/array.h"

namespace mlx::python {

// Writes them into the array's memory, or returns false with nothing done: then update_item decides, and finds what is
// wrong. What is written is what that would give.
bool write_at_once(const core::array& x, PyObject* index, PyObject* value);

} // namespace mlx::python
