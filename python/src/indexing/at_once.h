// x[index] and x[index] = value where ints and slices select a part of an evaluated array: without a graph.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "mlx_core/array.h"

namespace mlx::python {

// A view, or nothing: then get_item decides, and finds what is wrong. What is made is what that would give.
std::optional<core::array> view_at_once(const core::array& x, PyObject* index);

// Computes a value that is cheap and not computed yet, where it is to be written to an array that nobody else holds:
// x[5] = x[6] * 2. Other threads may run meanwhile.
void compute_for_write(PyObject* handle, PyObject* value);

// Writes a few elements into the memory of an array that nobody else holds, or returns false with nothing done: then
// update_item decides.
bool write_at_once(const core::array& x, PyObject* index, PyObject* value);

} // namespace mlx::python
