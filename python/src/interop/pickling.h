// Pickling and copying of what mlx.core exposes.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// Gives a class with __getstate__ and __setstate__ a __reduce__ that every protocol of pickle can use, the oldest, too.
void pickle_by_state(nb::handle cls);
// Gives a class of functions a __reduce__ by name, as Python's functions have, and copies that are the object itself.
// An instance answers `__wrapped__` with the function that has the name.
void pickle_by_name(nb::handle cls);

} // namespace mlx::python
