// Finding handles in the surroundings of a function, and looking there again.
#include "python/src/name_guards.h"

#include <algorithm>

#include "python/src/convert.h"
#include "python/src/owned_items.h"

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

// One walk over plain containers and instance dictionaries. Little code of the user's runs on the way (an __eq__ of
// keys, a __repr__), yet everything in hand is owned. Functions that functions refer to form long chains, hence wait
// in a list.
class NameGuards::Search {
 public:
  Search(
      NameGuards& found, const std::unordered_set<PyObject*>& handles, const std::unordered_set<uintptr_t>& constants)
      : found_(found), handles_(handles), constants_(constants) {}

  void function(nb::handle o) {
    waiting_.push_back(nb::borrow(o));
    while (!waiting_.empty()) {
      nb::object next = std::move(waiting_.back());
      waiting_.pop_back();
      look_into(next);
    }
  }

 private:
  void look_into(nb::handle o) {
    nb::object f = unwrapped(o);
    if (!PyFunction_Check(f.ptr()) || !seen_.insert(f.ptr()).second || seen_.size() > most_objects) {
      return;
    }
    nb::object code = nb::borrow(PyFunction_GetCode(f.ptr()));
    nb::object globals = nb::borrow(PyFunction_GetGlobals(f.ptr()));
    if (PyObject* closure = PyFunction_GetClosure(f.ptr())) {
      nb::object cells = nb::borrow(closure), names = nb::getattr(code, "co_freevars");
      Py_ssize_t count = std::min(PyTuple_GET_SIZE(cells.ptr()), PyTuple_GET_SIZE(names.ptr()));
      for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* cell = PyTuple_GET_ITEM(cells.ptr(), i);
        if (nb::object value = nb::borrow(PyCell_GET(cell)); value.is_valid()) {
          visit(value.ptr(), {nb::borrow(cell), {}, 0, value.ptr(), text(PyTuple_GET_ITEM(names.ptr(), i))}, 0);
        }
      }
    }
    globals_of(code, globals);
  }

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
      nb::object value = nb::borrow(PyDict_GetItemWithError(globals.ptr(), name.ptr()));
      PyErr_Clear();
      if (value.is_valid()) {
        visit(value.ptr(), {nb::borrow(globals), nb::borrow(name), 0, value.ptr(), text(name)}, 0);
      }
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
      waiting_.push_back(nb::borrow(value));
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
      Items items(value);
      for (size_t i = 0; i < items.size(); ++i) {
        Py_ssize_t at = static_cast<Py_ssize_t>(i);
        visit(items[i], {nb::borrow(value), {}, at, items[i], place.name + index(at)}, depth + 1);
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
    Entries entries(dict);
    for (const auto& [key, item] : entries) {
      if (PyUnicode_Check(key.ptr()) || PyLong_Check(key.ptr())) {
        visit(item.ptr(), {nb::borrow(dict), key, 0, item.ptr(), name(key.ptr())}, depth + 1);
      }
    }
  }

  NameGuards& found_;
  const std::unordered_set<PyObject*>& handles_;
  const std::unordered_set<uintptr_t>& constants_;
  std::unordered_set<PyObject*> seen_;
  std::vector<nb::object> waiting_; // functions and methods to look into
};

NameGuards::NameGuards(
    nb::handle fun, const std::unordered_set<PyObject*>& handles, const std::unordered_set<uintptr_t>& constants) {
  if (!handles.empty() || !constants.empty()) {
    Search(*this, handles, constants).function(fun);
  }
}

} // namespace mlx::python
