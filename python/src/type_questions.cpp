// Reading code objects for the name `type`.
#include "python/src/type_questions.h"

#include <unordered_set>
#include <vector>

namespace mlx::python {

namespace {

class Reading {
 public:
  explicit Reading(nb::handle fun) { follow(fun.ptr(), nullptr); }

  bool finds_type() {
    while (!functions_.empty()) {
      Function next = functions_.back();
      functions_.pop_back();
      nb::object code = nb::borrow(PyFunction_GetCode(next.function.ptr()));
      if (reads(code.ptr(), next)) {
        return true;
      }
      PyObject* cells = PyFunction_GetClosure(next.function.ptr());
      for (Py_ssize_t i = 0; cells && i < PyTuple_GET_SIZE(cells); ++i) {
        follow(PyCell_GET(PyTuple_GET_ITEM(cells, i)), &next);
      }
    }
    return false;
  }

 private:
  struct Function {
    nb::object function;
    nb::object self; // of a method
  };

  // Notes the function that calling `o` runs, if it is of the same module as the one that names it.
  void follow(PyObject* o, const Function* from, PyObject* self = nullptr) {
    if (!o) {
      return;
    }
    if (PyMethod_Check(o)) {
      return follow(PyMethod_GET_FUNCTION(o), from, PyMethod_GET_SELF(o));
    }
    if (!PyFunction_Check(o)) {
      if (from) {
        return;
      }
      for (const char* name : {"func", "__wrapped__"}) { // functools.partial and what wraps a function
        if (PyObject* inner = PyObject_GetAttrString(o, name)) {
          nb::object owned = nb::steal(inner);
          return follow(inner, from);
        }
        PyErr_Clear();
      }
      nb::object call = nb::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), "__call__"));
      PyErr_Clear();
      if (call.is_valid() && PyFunction_Check(call.ptr())) {
        follow(call.ptr(), from, o);
      }
      return;
    }
    bool same_module =
        !from || PyFunction_GetGlobals(o) == PyFunction_GetGlobals(from->function.ptr());
    if (same_module && seen_.insert(o).second) {
      functions_.push_back({nb::borrow(o), self ? nb::borrow(self) : nb::object()});
    }
  }

  bool reads(PyObject* code, const Function& function) {
    nb::object names = nb::steal(PyObject_GetAttrString(code, "co_names"));
    nb::object constants = nb::steal(PyObject_GetAttrString(code, "co_consts"));
    if (!names.is_valid() || !constants.is_valid()) {
      PyErr_Clear();
      return false;
    }
    PyObject* globals = PyFunction_GetGlobals(function.function.ptr());
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names.ptr()); ++i) {
      PyObject* name = PyTuple_GET_ITEM(names.ptr(), i);
      if (PyUnicode_CompareWithASCIIString(name, "type") == 0) {
        return true;
      }
      follow(PyDict_GetItem(globals, name), &function);
      if (function.self.is_valid()) {
        follow(_PyType_Lookup(Py_TYPE(function.self.ptr()), name), &function, function.self.ptr());
      }
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(constants.ptr()); ++i) {
      PyObject* constant = PyTuple_GET_ITEM(constants.ptr(), i);
      if (PyCode_Check(constant) && reads(constant, function)) {
        return true;
      }
    }
    return false;
  }

  std::vector<Function> functions_;
  std::unordered_set<PyObject*> seen_;
};

} // namespace

bool asks_for_types(nb::handle fun) { return Reading(fun).finds_type(); }

} // namespace mlx::python
