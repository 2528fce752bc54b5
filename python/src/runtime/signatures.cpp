// inspect.signature of functions: what it reads, __signature__, is made from their stubs' text by mlx/_signatures.py.
#include "python/src/runtime/bind.h"

namespace mlx::python {

// The type of functions is nanobind's, and closed to Python; an attribute of all of them goes into its dictionary.
void bind_signatures(nb::module_& m) {
  PyTypeObject* type = Py_TYPE(nb::object(m.attr("sum")).ptr());
  if (PyDict_GetItemString(type->tp_dict, "__signature__")) {
    return;
  }
  nb::object read = nb::cpp_function(
      [](nb::handle function) { return nb::module_::import_("mlx._signatures").attr("signature_of")(function); });
  nb::object property = nb::handle(reinterpret_cast<PyObject*>(&PyProperty_Type))(read);
  if (PyDict_SetItemString(type->tp_dict, "__signature__", property.ptr()) != 0) {
    throw nb::python_error();
  }
  PyType_Modified(type);
}

} // namespace mlx::python
