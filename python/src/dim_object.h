// Sizes as Python objects: an int, or mlx.core.Dim while a shapeless recording leaves it open.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/dim.h"

namespace nb = nanobind;

namespace mlx::python {

bool is_dim(PyObject* o);
core::Dim dim_of(PyObject* o); // of a Dim object
nb::object dim_object(core::Dim size);
// A Dim as the int that it is now; anything else as it is.
inline nb::object dim_number(nb::handle o) {
  return is_dim(o.ptr()) ? nb::object(nb::int_(static_cast<int64_t>(dim_of(o.ptr())))) : nb::borrow(o);
}

} // namespace mlx::python
