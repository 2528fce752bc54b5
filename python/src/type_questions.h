// Whether a function may ask what type an object has, which is the one question that tells a Dim from an int.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// Looks for the name `type` in the code of a function, of those in it, and of those of its module that it names. Runs no
// code.
bool asks_for_types(nb::handle fun);

} // namespace mlx::python
