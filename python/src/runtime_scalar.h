// RuntimeScalar: what a compiled function is given in the place of a float whose value changes from call to call. It
// behaves like that float as far as arithmetic goes, and has no value.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "mlx_core/array.h"

namespace nb = nanobind;

namespace mlx::python {

// `value`: a float64 or complex128 scalar. A new object.
nb::object make_runtime_scalar(core::array value);
bool is_runtime_scalar(PyObject* o);
// Beside an array of dtype `like` it is converted to that dtype, as a Python number is.
core::array runtime_scalar_to_array(PyObject* o, std::optional<core::Dtype> like);

void bind_runtime_scalar(nb::module_& m);

} // namespace mlx::python
