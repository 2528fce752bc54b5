// Sizes as Python objects: an int, or mlx.core.Dim while a shapeless recording leaves it open.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/dim.h"

namespace nb = nanobind;

namespace mlx::python {

bool is_dim(PyObject* o);
// Of a Dim object. When the recording that it belongs to is over, it is the number that it was.
core::Dim dim_of(PyObject* o);
nb::object dim_object(core::Dim size);
// A Dim as the int that it is now; anything else as it is.
inline nb::object dim_number(nb::handle o) {
  return is_dim(o.ptr()) ? nb::object(nb::int_(static_cast<int64_t>(dim_of(o.ptr())))) : nb::borrow(o);
}
// An int or a Dim, or what has __index__, as far as it is a size. False, without a Python error, for anything else.
bool to_dim(PyObject* o, core::Dim& out);
// How many Dim objects this thread has made: whether a function was shown any.
uint64_t dims_shown();

} // namespace mlx::python
