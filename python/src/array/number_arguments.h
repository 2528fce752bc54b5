// Arguments that are a number among other things: read by hand, with errors that name function, argument and value.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// An object with __index__ as an int. ArgumentError where it is too large for one.
int int_of(const char* op, const char* name, nb::handle o);
// A real number. ArgumentError where it is none, OverflowError, as Python has it, where it is an int beyond all floats.
double double_of(const char* op, const char* name, nb::handle o);
// The same for what is known to be an int, beside an array or in a list.
double double_of_int(PyObject* o);

} // namespace mlx::python
