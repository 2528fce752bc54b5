// A short way into the functions that are called most: without nanobind's dispatch, where the arguments are as usual.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// Makes calls of the elementwise functions of one and two operands, and of eval, go the short way first. Once, after
// everything is bound and watched for errors.
void install_short_calls(nb::module_& m);

// eval of these arguments. Null, without a Python error, where that is left to the function as it was bound.
PyObject* eval_shortly(PyObject* const* args, Py_ssize_t count) noexcept;

} // namespace mlx::python
