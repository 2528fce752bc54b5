// Loops and branches that no recording is made around: their functions are recorded as by compile, and do not run again
// while nothing that they see has changed.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <span>

namespace nb = nanobind;

namespace mlx::python {

// run(arguments), or what a recording of it gives. `functions` are those of the user's that it calls; what they read
// from around them is looked at as compile does. The first call with these functions (their code) just runs.
nb::object control_call(const char* op, const nb::tuple& functions, std::span<PyObject* const> arguments,
    const std::function<nb::object(std::span<PyObject* const>)>& run);

} // namespace mlx::python
