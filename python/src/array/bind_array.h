// The files that make up bind_array, and what they share.
#pragma once

#include <nanobind/nanobind.h>

#include "python/src/array/convert.h"

namespace nb = nanobind;

namespace mlx::python {

using ArrayClass = nb::class_<core::array>;
// The handle itself, where a method needs more than what it holds. Checked to be an array.
using Self = nb::handle_t<core::array>;

void bind_array_operators(ArrayClass& c);          // bind_array_operators.cpp
void bind_array_methods(ArrayClass& c);            // bind_array_methods.cpp
void bind_array_reductions(ArrayClass& c);         // bind_array_reductions.cpp
void bind_array_at(nb::module_& m, ArrayClass& c); // bind_array_at.cpp
void bind_array_scans(ArrayClass& c);              // bind_ops_scan.cpp
void bind_array_namespace(nb::module_& m, ArrayClass& c);
void bind_array_conversions(ArrayClass& c); // bind_array_conversions.cpp

// The array itself, or, where another device computes it, one that this device computes.
nb::object to_device(Self self, const StreamOrDevice& device);

// Puts the C functions of the operators and of indexing into the type's slots, past nanobind's dispatch. After all
// defs: each def sets the slot of its name.
void install_operator_slots(PyTypeObject* type);

} // namespace mlx::python
