// Telling arrays of other libraries from what else a function may be given.
#include "python/src/interop/foreign_arrays.h"

#include "python/src/array/convert.h"
#include "python/src/compile/dim_object.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

// Whether it may have one of the attributes by which an array is known. Objects of ordinary classes are looked through
// without the exceptions that asking each of them would cost.
bool may_be_array(PyObject* o) {
  static PyObject* const names[] = {PyUnicode_InternFromString("__mlx_array__"),
      PyUnicode_InternFromString("__dlpack__"), PyUnicode_InternFromString("__array__")};
  PyTypeObject* type = Py_TYPE(o);
  if (PyObject_CheckBuffer(o) || type->tp_getattro != PyObject_GenericGetAttr || !type->tp_mro) {
    return true;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); ++i) {
    PyObject* members = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(type->tp_mro, i))->tp_dict;
    for (PyObject* name : names) {
      int found = members ? PyDict_Contains(members, name) : 0;
      PyErr_Clear();
      if (found) {
        return true;
      }
    }
  }
  return false;
}

} // namespace

bool is_foreign_array(PyObject* o) {
  bool other = is_array(o) || PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o) || PyUnicode_Check(o) ||
               PyBytes_Check(o) || PyFunction_Check(o) || PyType_Check(o) || is_runtime_scalar(o) || is_dim(o);
  return !other && may_be_array(o) && !numpy_scalar(o) && is_scalar_or_array(o);
}

std::string foreign_description(nb::handle o) {
  nb::object dtype = nb::getattr(o, "dtype", nb::none()), shape = nb::getattr(o, "shape", nb::none());
  return nb::cast<std::string>(nb::str(dtype)) + shortened(nb::cast<std::string>(nb::str(shape)), 60);
}

void write_back(nb::handle foreign, nb::handle array) {
  nb::module_::import_("numpy").attr("copyto")(foreign, array, nb::arg("casting") = "unsafe");
}

} // namespace mlx::python
