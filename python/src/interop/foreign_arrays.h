// Arrays of other libraries, NumPy's above all, where a transform takes arrays.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

namespace nb = nanobind;

namespace mlx::python {

// Whether it is no array of ours, number or string, but turns into an array.
bool is_foreign_array(PyObject* o);
// "float64(2,3)"
std::string foreign_description(nb::handle o);
// What a function did to the array that it got in the place of `foreign`, as if it had been given that: x[0] = 5.
void write_back(nb::handle foreign, nb::handle array);

} // namespace mlx::python
