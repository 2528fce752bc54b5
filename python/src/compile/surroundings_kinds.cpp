// Telling the user's own objects from those of the standard library and of installed packages.
#include "python/src/compile/surroundings_kinds.h"

#include <string_view>
#include <unordered_map>

#include "python/src/transforms/transformed.h"

namespace mlx::python {

nb::object dict_entry(PyObject* dict, const char* name) {
  PyObject* found = dict ? PyDict_GetItemString(dict, name) : nullptr;
  PyErr_Clear();
  return nb::borrow(found);
}

bool is_partial(PyObject* o) { return PyType_IsSubtype(Py_TYPE(o), partial_type()); }

PyTypeObject* partial_type() {
  static PyObject* partial = nb::object(nb::module_::import_("functools").attr("partial")).release().ptr();
  return reinterpret_cast<PyTypeObject*>(partial);
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
  return !is_enumeration(type) && !is_standard(dict_entry(type->tp_dict, "__module__"));
}

bool is_enumeration(PyTypeObject* type) {
  static const nb::object& enumeration = *new nb::object(nb::module_::import_("enum").attr("EnumMeta"));
  return PyType_IsSubtype(Py_TYPE(type), reinterpret_cast<PyTypeObject*>(enumeration.ptr()));
}

namespace {

// A class that was written in Python; what its instances hold is in attributes and slots, beside what its base holds.
bool is_written_in_python(PyTypeObject* type) {
  static const destructor destroys = // the one that all of them have
      reinterpret_cast<PyTypeObject*>(nb::module_::import_("collections").attr("ChainMap").ptr())->tp_dealloc;
  return PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) && type->tp_dealloc == destroys;
}

PyTypeObject* namespace_type() {
  static PyObject* type = nb::object(nb::module_::import_("types").attr("SimpleNamespace")).release().ptr();
  return reinterpret_cast<PyTypeObject*>(type);
}

} // namespace

bool has_only_attributes(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  while (is_written_in_python(type)) {
    type = type->tp_base;
  }
  return type == &PyBaseObject_Type || type == namespace_type();
}

bool may_have_slots(PyTypeObject* type) { return is_written_in_python(type); }

bool is_open_object(PyObject* o) {
  PyTypeObject* type = Py_TYPE(o);
  if (type == namespace_type()) {
    return true;
  }
  nb::object module = dict_entry(type->tp_dict, "__module__");
  if (!module.is_valid() || !PyUnicode_Check(module.ptr())) {
    return false;
  }
  auto is = [&](const char* name) { return PyUnicode_CompareWithASCIIString(module.ptr(), name) == 0; };
  return is("functools") || is("argparse") || is("collections") || is("weakref") || is("_weakrefset") ||
         is("optparse") || is("configparser") || is("queue");
}

bool is_thread_data(PyObject* o) {
  static const nb::object& local = *new nb::object(nb::module_::import_("threading").attr("local"));
  return reinterpret_cast<PyObject*>(Py_TYPE(o)) == local.ptr();
}

PyTypeObject* default_dict_type() {
  static PyObject* type = nb::object(nb::module_::import_("collections").attr("defaultdict")).release().ptr();
  return reinterpret_cast<PyTypeObject*>(type);
}
bool is_default_dict(PyObject* o) { return PyType_IsSubtype(Py_TYPE(o), default_dict_type()); }

std::vector<nb::object> names_of_globals(nb::handle code) {
  static const nb::object& operations = *new nb::object(nb::module_::import_("opcode").attr("opmap"));
  static const auto load = nb::cast<uint8_t>(operations["LOAD_GLOBAL"]);
  static const auto extend = nb::cast<uint8_t>(operations["EXTENDED_ARG"]);
  nb::object bytes = nb::getattr(code, "co_code"), names = nb::getattr(code, "co_names");
  const auto* codes = reinterpret_cast<const uint8_t*>(PyBytes_AS_STRING(bytes.ptr()));
  std::vector<nb::object> found;
  size_t high = 0;
  for (Py_ssize_t i = 0; i + 1 < PyBytes_GET_SIZE(bytes.ptr()); i += 2) {
    size_t argument = high << 8 | codes[i + 1];
    high = codes[i] == extend ? argument : 0;
    if (codes[i] == load) {
      size_t number = PY_VERSION_HEX >= 0x030B0000 ? argument >> 1 : argument; // whether it is called is in there, too
      if (number < static_cast<size_t>(PyTuple_GET_SIZE(names.ptr()))) {
        found.push_back(nb::borrow(PyTuple_GET_ITEM(names.ptr(), static_cast<Py_ssize_t>(number))));
      }
    }
  }
  return found;
}

bool is_dict_view(PyObject* o) {
  return Py_TYPE(o) == &PyDictProxy_Type || PyDictViewSet_Check(o) || PyDictValues_Check(o);
}

bool is_method_descriptor(PyObject* o) {
  return Py_TYPE(o) == &PyStaticMethod_Type || Py_TYPE(o) == &PyClassMethod_Type;
}

bool is_custom_function(PyObject* o) {
  nb::object module = dict_entry(Py_TYPE(o)->tp_dict, "__module__");
  return PyType_IS_GC(Py_TYPE(o)) && PyType_HasFeature(Py_TYPE(o), Py_TPFLAGS_HEAPTYPE) && module.is_valid() &&
         PyUnicode_Check(module.ptr()) && PyUnicode_CompareWithASCIIString(module.ptr(), "mlx.core") == 0 &&
         std::string_view(Py_TYPE(o)->tp_name).ends_with("custom_function");
}

} // namespace mlx::python
