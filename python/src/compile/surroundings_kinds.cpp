// Telling the user's own objects from those of the standard library and of installed packages.
#include "python/src/compile/surroundings_kinds.h"

#include <unordered_map>

#include "python/src/transforms/transformed.h"

namespace mlx::python {

nb::object dict_entry(PyObject* dict, const char* name) {
  PyObject* found = dict ? PyDict_GetItemString(dict, name) : nullptr;
  PyErr_Clear();
  return nb::borrow(found);
}

bool is_partial(PyObject* o) {
  static const nb::object& partial = *new nb::object(nb::module_::import_("functools").attr("partial"));
  return reinterpret_cast<PyObject*>(Py_TYPE(o)) == partial.ptr();
}

std::string top_package(nb::handle module_name) {
  std::string name = nb::cast<std::string>(module_name);
  return name.substr(0, name.find('.'));
}

bool is_standard(nb::handle module_name) {
  if (!module_name.is_valid() || !PyUnicode_Check(module_name.ptr())) {
    return true;
  }
  std::string top = top_package(module_name);
  static const nb::object& standard = *new nb::object(nb::module_::import_("sys").attr("stdlib_module_names"));
  return top == "mlx" || top == "numpy" ||
         (top != "__main__" && PySet_Contains(standard.ptr(), nb::str(top.c_str()).ptr()) == 1);
}

std::string package_of(nb::handle fun) {
  nb::object of = nb::borrow(fun);
  for (;;) {
    if (const Transformation* outside = transformation_of(of)) {
      of = nb::borrow(outside->fun());
    } else if (PyTuple_Check(of.ptr()) && PyTuple_GET_SIZE(of.ptr()) > 0) {
      of = nb::borrow(PyTuple_GET_ITEM(of.ptr(), 0));
    } else if (PyMethod_Check(of.ptr())) {
      of = nb::borrow(PyMethod_GET_FUNCTION(of.ptr()));
    } else if (is_partial(of.ptr())) {
      of = nb::getattr(of, "func");
    } else {
      break;
    }
  }
  nb::object module = PyFunction_Check(of.ptr()) ? dict_entry(PyFunction_GET_GLOBALS(of.ptr()), "__name__")
                                                 : dict_entry(Py_TYPE(of.ptr())->tp_dict, "__module__");
  return module.is_valid() && PyUnicode_Check(module.ptr()) ? top_package(module) : std::string();
}

bool is_installed(const std::string& top) {
  static auto& known = *new std::unordered_map<std::string, bool>; // under the interpreter lock
  if (auto found = known.find(top); found != known.end()) {
    return found->second;
  }
  nb::object module = nb::borrow(PyDict_GetItemString(PyImport_GetModuleDict(), top.c_str()));
  PyErr_Clear();
  bool installed = false;
  if (module.is_valid() && PyModule_Check(module.ptr())) {
    PyObject* file = PyDict_GetItemString(PyModule_GetDict(module.ptr()), "__file__");
    std::string path = file && PyUnicode_Check(file) ? nb::cast<std::string>(nb::handle(file)) : std::string();
    installed = path.find("site-packages") != std::string::npos || path.find("dist-packages") != std::string::npos;
    known.emplace(top, installed);
  }
  return installed;
}

bool is_dunder(PyObject* name) {
  Py_ssize_t size = 0;
  const char* text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  if (!text) {
    PyErr_Clear();
    return false;
  }
  return size > 4 && text[0] == '_' && text[1] == '_' && text[size - 1] == '_' && text[size - 2] == '_';
}

bool is_open_class(PyTypeObject* type) {
  if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
    return false;
  }
  static const nb::object& enumeration = *new nb::object(nb::module_::import_("enum").attr("EnumMeta"));
  if (PyType_IsSubtype(Py_TYPE(type), reinterpret_cast<PyTypeObject*>(enumeration.ptr()))) {
    return false; // members are what they are
  }
  return !is_standard(dict_entry(type->tp_dict, "__module__"));
}

bool is_open_object(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  static const nb::object& simple = *new nb::object(nb::module_::import_("types").attr("SimpleNamespace"));
  if (reinterpret_cast<PyObject*>(type) == simple.ptr()) {
    return true;
  }
  nb::object module = dict_entry(type->tp_dict, "__module__");
  if (!module.is_valid() || !PyUnicode_Check(module.ptr())) {
    return false;
  }
  auto is = [&](const char* name) { return PyUnicode_CompareWithASCIIString(module.ptr(), name) == 0; };
  if (is("functools")) {
    nb::object dict = nb::steal(PyObject_GenericGetDict(o, nullptr));
    PyErr_Clear();
    return dict.is_valid() && dict_entry(dict.ptr(), "__wrapped__").is_valid();
  }
  return is("argparse") || is("collections");
}

bool is_method_descriptor(PyObject* o) {
  return Py_TYPE(o) == &PyStaticMethod_Type || Py_TYPE(o) == &PyClassMethod_Type;
}

bool is_ours(PyObject* o) {
  nb::object module = dict_entry(Py_TYPE(o)->tp_dict, "__module__");
  return PyType_IS_GC(Py_TYPE(o)) && PyType_HasFeature(Py_TYPE(o), Py_TPFLAGS_HEAPTYPE) && module.is_valid() &&
         PyUnicode_Check(module.ptr()) && PyUnicode_CompareWithASCIIString(module.ptr(), "mlx.core") == 0;
}

} // namespace mlx::python
