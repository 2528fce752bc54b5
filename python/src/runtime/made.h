// What an instance of a bound class holds, where a function takes the Python object instead of the C++ one.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/error.h"

namespace nb = nanobind;

namespace mlx::python {

// cls.__new__(cls), which copying and unpickling call as well, leaves an instance without anything in it. Throws
// TypeError for one of these; that `self` is an instance of T's class is checked already.
template <typename T>
T& made(nb::handle self) {
  if (!nb::inst_ready(self)) {
    core::fail<core::TypeError>(
        Py_TYPE(self.ptr())->tp_name, "this object came from __new__ and was never initialised; call the class.");
  }
  return *nb::inst_ptr<T>(self);
}

// For a class whose instances are made by this library alone: cls() and cls.__new__(cls) raise TypeError.
inline void refuse_new(nb::handle cls) {
  reinterpret_cast<PyTypeObject*>(cls.ptr())->tp_new = [](PyTypeObject* type, PyObject*, PyObject*) -> PyObject* {
    PyErr_Format(PyExc_TypeError, "[%s] instances cannot be made by calling the class", type->tp_name);
    return nullptr;
  };
}

} // namespace mlx::python
