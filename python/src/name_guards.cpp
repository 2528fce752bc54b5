// Finding handles in the surroundings of a function, and looking there again.
#include "python/src/name_guards.h"

#include "python/src/convert.h"

namespace mlx::python {

PyObject* NameGuards::Place::read() const {
  PyObject* c = container.ptr();
  if (PyCell_Check(c)) {
    return PyCell_GET(c);
  }
  if (PyList_Check(c)) {
    return index < PyList_GET_SIZE(c) ? PyList_GET_ITEM(c, index) : nullptr;
  }
  PyObject* found = PyDict_GetItemWithError(c, key.ptr());
  PyErr_Clear();
  return found;
}

std::string NameGuards::changed() const {
  for (const Place& place : places_) {
    if (place.read() != place.expected) {
      return place.name;
    }
  }
  return {};
}

// One walk. It reads only plain containers and instance dictionaries, so it runs no code of the user's.
class NameGuards::Search {
 public:
  Search(
      NameGuards& found, const std::unordered_set<PyObject*>& handles, const std::unordered_set<uintptr_t>& constants)
      : found_(found), handles_(handles), constants_(constants) {}

  void function(nb::handle o) {
    nb::object f = unwrapped(o);
    if (!PyFunction_Check(f.ptr()) || !seen_.insert(f.ptr()).second || seen_.size() > most_objects) {
      return;
    }
    auto* code = reinterpret_cast<PyCodeObject*>(PyFunction_GetCode(f.ptr()));
    if (PyObject* cells = PyFunction_GetClosure(f.ptr())) {
      nb::object names = nb::getattr(nb::handle(reinterpret_cast<PyObject*>(code)), "co_freevars");
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); ++i) {
        PyObject* cell = PyTuple_GET_ITEM(cells, i);
        if (PyObject* value = PyCell_GET(cell)) {
          visit(value, {nb::borrow(cell), {}, 0, value, text(PyTuple_GET_ITEM(names.ptr(), i))}, 0);
        }
      }
    }
    globals_of(nb::handle(reinterpret_cast<PyObject*>(code)), nb::handle(PyFunction_GetGlobals(f.ptr())));
  }

 private:
  static constexpr size_t most_objects = 10000;
  static constexpr int deepest = 6;

  static std::string text(nb::handle o) { return nb::cast<std::string>(nb::str(o)); }

  // The Python function inside a method, a partial, or a transformed function.
  nb::object unwrapped(nb::handle o) {
    nb::object f = nb::borrow(o);
    for (int i = 0; i < 16 && !PyFunction_Check(f.ptr()); ++i) {
      if (PyMethod_Check(f.ptr())) {
        visit(PyMethod_GET_SELF(f.ptr()), {f, {}, 0, nullptr, "self"}, 0);
        f = nb::borrow(PyMethod_GET_FUNCTION(f.ptr()));
        continue;
      }
      const char* inner = nb::hasattr(f, "__wrapped__") ? "__wrapped__" : nb::hasattr(f, "func") ? "func" : nullptr;
      if (!inner) {
        break;
      }
      f = nb::getattr(f, inner);
    }
    return f;
  }

  void globals_of(nb::handle code, nb::handle globals) {
    for (nb::handle name : nb::tuple(code.attr("co_names"))) {
      if (PyObject* value = PyDict_GetItemWithError(globals.ptr(), name.ptr())) {
        visit(value, {nb::borrow(globals), nb::borrow(name), 0, value, text(name)}, 0);
      }
      PyErr_Clear();
    }
    for (nb::handle constant : nb::tuple(code.attr("co_consts"))) { // functions written inside this one
      if (PyCode_Check(constant.ptr())) {
        globals_of(constant, globals);
      }
    }
  }

  void visit(PyObject* value, Place place, int depth) {
    if (is_array(value)) {
      bool unnoted = !handles_.contains(value) && constants_.contains(held(value).id());
      if (unnoted) {
        found_.unnoted_.push_back(nb::borrow(value));
      }
      if ((unnoted || handles_.contains(value)) && place.expected) {
        found_.places_.push_back(std::move(place));
      }
      return;
    }
    if (PyFunction_Check(value) || PyMethod_Check(value)) {
      function(value);
      return;
    }
    if (depth == deepest || PyType_Check(value) || PyModule_Check(value) || seen_.size() > most_objects) {
      return;
    }
    if (PyTuple_Check(value)) { // cannot change itself
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); ++i) {
        visit(PyTuple_GET_ITEM(value, i), {place.container, {}, 0, nullptr, place.name + index(i)}, depth + 1);
      }
    } else if (PyList_Check(value) && seen_.insert(value).second) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(value); ++i) {
        PyObject* item = PyList_GET_ITEM(value, i);
        visit(item, {nb::borrow(value), {}, i, item, place.name + index(i)}, depth + 1);
      }
    } else if (PyDict_Check(value) && seen_.insert(value).second) {
      items(value, [&](PyObject* key) { return place.name + "[" + nb::cast<std::string>(nb::repr(key)) + "]"; }, depth);
    } else if (!PyDict_Check(value) && !PyList_Check(value)) {
      nb::object dict = nb::steal(PyObject_GenericGetDict(value, nullptr));
      PyErr_Clear(); // most objects have none
      if (dict.is_valid() && seen_.insert(value).second) {
        items(dict.ptr(), [&](PyObject* key) { return place.name + "." + text(key); }, depth);
      }
    }
  }

  static std::string index(Py_ssize_t i) { return "[" + std::to_string(i) + "]"; }

  template <typename Name>
  void items(PyObject* dict, Name&& name, int depth) {
    Py_ssize_t position = 0;
    PyObject *key = nullptr, *item = nullptr;
    while (PyDict_Next(dict, &position, &key, &item)) {
      if (PyUnicode_Check(key) || PyLong_Check(key)) {
        visit(item, {nb::borrow(dict), nb::borrow(key), 0, item, name(key)}, depth + 1);
      }
    }
  }

  NameGuards& found_;
  const std::unordered_set<PyObject*>& handles_;
  const std::unordered_set<uintptr_t>& constants_;
  std::unordered_set<PyObject*> seen_;
};

NameGuards::NameGuards(
    nb::handle fun, const std::unordered_set<PyObject*>& handles, const std::unordered_set<uintptr_t>& constants) {
  if (!handles.empty() || !constants.empty()) {
    Search(*this, handles, constants).function(fun);
  }
}

} // namespace mlx::python
