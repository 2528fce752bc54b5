// x[index] and x[index] = value as graph nodes.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>

#include "mlx_core/array.h"
#include "mlx_core/out_of_bounds.h"

namespace nb = nanobind;

namespace mlx::python {

// NumPy's rules for int, slice, None, Ellipsis, integer and bool arrays and lists, in any mixture. A bool array is
// evaluated. Throws core::AxisError for an int out of range, naming index, axis and length.
core::array get_item(const core::array& a, nb::handle index);
// The same, where `mode` says what integer arrays and lists read outside of their axes.
core::array get_item(
    const core::array& a, nb::handle index, core::OutOfBounds mode, const std::optional<core::array>& fill_value = {});

// What becomes of the selected elements x, given a value v.
enum class Update : uint8_t { set, add, subtract, multiply, divide, maximum, minimum, power };
// a with value, broadcast and cast to a's dtype, combined with the elements at index. Of duplicate indices the last
// wins a set; else all of their values count. A bool array that is the whole index is not evaluated; under it value is
// broadcast, or has one entry for each true element.
core::array update_item(const core::array& a, nb::handle index, nb::handle value, Update how = Update::set,
    core::OutOfBounds mode = core::OutOfBounds::raise);

// a with fun(the elements at index) in their places; fun is elementwise. It sees an element once for each time that the
// index selects it. Under a bool array that is the whole index, which is not evaluated, it sees all elements of a.
core::array apply_to_item(const core::array& a, nb::handle index, core::OutOfBounds mode,
    const std::function<core::array(const core::array&)>& fun);

// mp_subscript and mp_ass_subscript of the array class. Assignment rebinds the handle.
PyObject* get_item_slot(PyObject* self, PyObject* index) noexcept;
int set_item_slot(PyObject* self, PyObject* index, PyObject* value) noexcept;

} // namespace mlx::python
