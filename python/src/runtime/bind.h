// The binding functions of the Python module, one per concept.
#pragma once

#include <nanobind/nanobind.h>

namespace nb = nanobind;

namespace mlx::python {

// In the order module.cpp calls them: later concepts name the classes of earlier ones in their signatures.
void bind_exceptions(nb::module_& m);
void bind_dtype(nb::module_& m);
void bind_device(nb::module_& m);
void bind_dim(nb::module_& m);
void bind_array(nb::module_& m);
void bind_constants(nb::module_& m);
void bind_ops(nb::module_& m);
void bind_random(nb::module_& m);
void bind_fast(nb::module_& m);
void bind_fft(nb::module_& m);
void bind_special(nb::module_& m);
void bind_transforms(nb::module_& m);
void bind_memory(nb::module_& m);
void bind_backends(nb::module_& m);
void bind_registry(nb::module_& m);
void bind_files(nb::module_& m);
void bind_pickling(nb::module_& m);   // pickling.cpp: needs all of the above
void bind_signatures(nb::module_& m); // signatures.cpp

} // namespace mlx::python
