// Finding the places around functions where arrays are, and putting back what was there.
#include "python/src/transforms/outer_slots.h"

#include <algorithm>

namespace mlx::python {

nb::object OuterSlot::now() const {
  PyObject* c = container.ptr();
  if (PyCell_Check(c)) {
    return nb::borrow(PyCell_GET(c));
  }
  if (PyList_Check(c)) {
    return index < PyList_GET_SIZE(c) ? nb::borrow(PyList_GET_ITEM(c, index)) : nb::object();
  }
  nb::object found = nb::borrow(PyDict_GetItemWithError(c, key.ptr()));
  PyErr_Clear();
  return found;
}

void OuterSlot::put(nb::handle value) const noexcept {
  PyObject* c = container.ptr();
  if (PyCell_Check(c)) {
    PyCell_Set(c, value.ptr());
  } else if (PyList_Check(c)) {
    if (index < PyList_GET_SIZE(c)) {
      PyList_SetItem(c, index, Py_NewRef(value.ptr()));
    }
  } else {
    PyDict_SetItem(c, key.ptr(), value.ptr());
  }
  PyErr_Clear();
}

OuterSlots::OuterSlots(std::initializer_list<nb::handle> functions) {
  for (nb::handle f : functions) {
    look_into(f.ptr(), 0);
  }
}

void OuterSlots::slot(PyObject* container, PyObject* key, Py_ssize_t index, PyObject* value, int depth) {
  if (slots_.size() >= most_slots) {
    return;
  }
  if (value && is_array(value)) {
    slots_.push_back({nb::borrow(container), nb::borrow(key), index, nb::borrow(value)});
  } else if (value && depth < deepest) {
    look_into(value, depth + 1);
  }
}

void OuterSlots::function(PyObject* f, int depth) {
  if (PyObject* cells = PyFunction_GetClosure(f)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); ++i) {
      PyObject* cell = PyTuple_GET_ITEM(cells, i);
      slot(cell, nullptr, 0, PyCell_GET(cell), depth);
    }
  }
  nb::object names = nb::steal(PyObject_GetAttrString(PyFunction_GetCode(f), "co_names"));
  PyObject* globals = PyFunction_GetGlobals(f);
  for (Py_ssize_t i = 0; names.is_valid() && i < PyTuple_GET_SIZE(names.ptr()); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names.ptr(), i);
    slot(globals, name, 0, PyDict_GetItemWithError(globals, name), depth);
  }
  PyErr_Clear();
}

// Plain containers only: no code of the user's runs.
void OuterSlots::look_into(PyObject* o, int depth) {
  bool scalar = o == Py_None || PyLong_Check(o) || PyFloat_Check(o) || PyUnicode_Check(o) || PyCFunction_Check(o) ||
                PyModule_Check(o) || PyType_Check(o);
  if (scalar || seen_.size() == most || !seen_.insert(o).second) {
    return;
  }
  if (PyFunction_Check(o)) {
    function(o, depth);
  } else if (PyMethod_Check(o)) {
    look_into(PyMethod_GET_SELF(o), depth);
    look_into(PyMethod_GET_FUNCTION(o), depth);
  } else if (PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i) {
      if (!is_array(PyTuple_GET_ITEM(o, i))) {
        slot(o, nullptr, i, PyTuple_GET_ITEM(o, i), depth);
      }
    }
  } else if (PyList_Check(o)) {
    for (Py_ssize_t i = 0; i < std::min<Py_ssize_t>(PyList_GET_SIZE(o), most); ++i) {
      slot(o, nullptr, i, PyList_GET_ITEM(o, i), depth);
    }
  } else {
    nb::object attributes;
    if (!PyDict_CheckExact(o)) {
      attributes = nb::steal(PyObject_GenericGetDict(o, nullptr));
      PyErr_Clear();
    }
    for (PyObject* d : {PyDict_Check(o) ? o : nullptr, attributes.ptr()}) {
      PyObject *key, *value;
      size_t count = 0;
      for (Py_ssize_t at = 0; d && PyDict_Check(d) && count++ < most && PyDict_Next(d, &at, &key, &value);) {
        slot(d, key, 0, value, depth);
      }
    }
  }
}

bool OuterSlots::is_own(HandleLog& log, nb::handle value) {
  return value.is_valid() && is_array(value) && log.was_made(value.ptr());
}

bool OuterSlots::find(HandleLog& log, std::vector<OuterSlot>& known) const {
  bool found = false;
  for (const OuterSlot& slot : slots_) {
    nb::object now = slot.now();
    if (now.is(slot.before) || !is_own(log, now) || std::find(known.begin(), known.end(), slot) != known.end()) {
      continue;
    }
    const array &a = read(slot.before), &b = read(now);
    if (a.shape() == b.shape() && a.dtype() == b.dtype()) {
      known.push_back(slot);
      found = true;
    }
  }
  return found;
}

OuterSlots::Run::~Run() {
  for (const OuterSlot& slot : known_) {
    slot.put(slot.before);
  }
  if (!done_) {
    for (const OuterSlot& slot : slots_.slots_) {
      nb::object now = slot.now();
      if (!now.is(slot.before) && is_own(log_, now)) {
        slot.put(slot.before);
      }
    }
  }
}

void OuterSlots::restore_all() const {
  for (const OuterSlot& slot : slots_) {
    slot.put(slot.before);
  }
}

} // namespace mlx::python
