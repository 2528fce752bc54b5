// What NumPy's functions do with our arrays.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// array.__array_ufunc__(ufunc, method, *inputs, **kwargs).
nb::object numpy_ufunc(
    nb::handle self, nb::handle ufunc, nb::handle method, const nb::args& inputs, const nb::kwargs& kwargs);
// array.__array_function__(func, types, args, kwargs).
nb::object numpy_function(nb::handle self, nb::handle func, nb::handle types, nb::tuple args, nb::dict kwargs);

} // namespace mlx::python
