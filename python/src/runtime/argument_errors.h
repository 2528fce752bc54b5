// What is said of a call whose arguments do not fit the function's signature.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// From now on the functions and methods of this module, and of its classes and submodules, answer such a call with one
// sentence that names the function, the argument and its value, where nanobind would print all signatures. Costs a
// jump per call. Once, after everything is bound.
void explain_argument_errors(nb::module_& m);

// An object in an error's text: "a str ('x')", "an array of shape (2,) and dtype float32", "None".
std::string described(nb::handle o);

} // namespace mlx::python
