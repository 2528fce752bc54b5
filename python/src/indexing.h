// x[index] and x[index] = value as graph nodes.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/array.h"

namespace nb = nanobind;

namespace mlx::python {

// NumPy's rules for int, slice, None, Ellipsis, integer arrays and lists, in any mixture.
// Throws core::AxisError for an int out of range, naming index, axis and length.
core::array get_item(const core::array& a, nb::handle index);
// a with value, broadcast and cast to a's dtype, at index. Of duplicate indices the last wins.
// Also takes a boolean mask over leading axes, where value broadcasts to the shape of the other axes.
core::array set_item(const core::array& a, nb::handle index, nb::handle value);

// mp_subscript and mp_ass_subscript of the array class. Assignment rebinds the handle.
PyObject* get_item_slot(PyObject* self, PyObject* index) noexcept;
int set_item_slot(PyObject* self, PyObject* index, PyObject* value) noexcept;

} // namespace mlx::python
