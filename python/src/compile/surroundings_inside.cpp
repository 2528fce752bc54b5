// What of each kind of object a recording is to be compared by, and where it leads to.
#include <Python.h>

#include <structmember.h>
#include <algorithm>

#include "python/src/array/convert.h"
#include "python/src/compile/plain_value.h"
#include "python/src/compile/surroundings_contents.h"
#include "python/src/compile/surroundings_kinds.h"
#include "python/src/compile/surroundings_walk.h"
#include "python/src/transforms/transformed.h"
#include "python/src/trees/owned_items.h"

#ifndef Py_T_OBJECT_EX // the name before Python 3.12
#define Py_T_OBJECT_EX T_OBJECT_EX
#endif

namespace mlx::python {

namespace {

constexpr size_t most_items = 1000; // of a container of plain values, of which more are not compared

} // namespace

void Surroundings::Walk::contents(uint32_t at, PyObject* o) {
  Node& node = places_[at].node;
  if (PyFunction_Check(o)) {
    function(at, o);
  } else if (PyMethod_Check(o)) {
    node.kind = Kind::other;
    child(at, Step::self);
    child(at, Step::method);
  } else if (PyModule_Check(o)) {
    identity(node, o);
    if (!is_library(dict_entry(PyModule_GetDict(o), "__name__"))) {
      by_name_.push_back({at, {}});
    }
  } else if (PyType_Check(o)) {
    identity(node, o);
    class_contents(at, reinterpret_cast<PyTypeObject*>(o));
  } else if (const Transformation* transformation = transformation_of(o)) {
    if (transformation->settings().is_valid()) {
      node.kind = Kind::other;
      child(at, Step::settings);
    } else {
      identity(node, o);
    }
    child(at, Step::inside);
  } else if (PyCFunction_Check(o)) { // d.get, say
    identity(node, o);
    PyObject* self = PyCFunction_GET_SELF(o);
    if (self && !PyModule_Check(self)) {
      owned(at, o);
    }
  } else if (is_custom_function(o)) {
    node.kind = Kind::other;
    owned(at, o);
  } else {
    object(at, o);
  }
}

void Surroundings::Walk::object(uint32_t at, PyObject* o) {
  Node& node = places_[at].node;
  bool member = is_enumeration(Py_TYPE(o)), open = is_open_class(Py_TYPE(o)) || is_open_object(o) || member;
  bool known = held_in_c(at, o);
  size_t before = places_[at].children.size();
  if (open) {
    instance(at, o);
  } else if (node.kind == Kind::bytes) { // the mask of a NumPy array
    attributes(at, o);
  }
  if (!known) {
    bool looked_into = std::any_of(places_[at].children.begin() + static_cast<ptrdiff_t>(before),
        places_[at].children.end(), [&](uint32_t c) { return places_[c].node.step != Step::type; });
    if (looked_into && !member && has_only_attributes(o)) {
      node.kind = Kind::other;
    } else { // something of it is in no place that can be looked at
      identity(node, o);
    }
  }
}

bool Surroundings::Walk::held_in_c(uint32_t at, PyObject* o) {
  Node& node = places_[at].node;
  node.kind = Kind::other;
  if (PyTuple_Check(o) || PyList_Check(o) || PyDict_Check(o)) {
    items(at, o);
    if (is_default_dict(o)) {
      members(at, default_dict_type(), {"default_factory"});
    }
  } else if (has_plain_value(o)) {
    node.kind = Kind::value;
    node.expected = value_alone(o);
  } else if (PyAnySet_Check(o) || is_deque(o)) {
    collection(at, o);
  } else if (has_bytes(o)) {
    node.expected = bytes_in(o, std::min(most_bytes, bytes_left_));
    if (!node.expected.is_valid()) {
      identity(node, o);
      return true;
    }
    bytes_left_ -= PyBytes_GET_SIZE(node.expected.ptr());
    node.kind = Kind::bytes;
  } else if (is_partial(o)) {
    members(at, partial_type(), {"func", "args", "keywords"});
  } else if (is_method_descriptor(o)) {
    members(at, Py_TYPE(o), {"__func__"});
  } else if (Py_TYPE(o) == &PyProperty_Type) {
    members(at, &PyProperty_Type, {"fget"});
  } else if (is_dict_view(o)) {
    owned(at, o);
  } else if (PyWeakref_Check(o)) {
    child(at, Step::referent);
  } else if (PyContextVar_CheckExact(o)) {
    identity(node, o);
    child(at, Step::context_value);
  } else if (is_thread_data(o)) {
    identity(node, o);
    child(at, Step::thread_attributes);
  } else {
    return false;
  }
  return true;
}

void Surroundings::Walk::members(uint32_t at, PyTypeObject* type, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    nb::object descriptor = dict_entry(type->tp_dict, name);
    if (descriptor.is_valid() && Py_TYPE(descriptor.ptr()) == &PyMemberDescr_Type) {
      const PyMemberDef* member = reinterpret_cast<PyMemberDescrObject*>(descriptor.ptr())->d_member;
      child(at, Step::member, nb::str(name).ptr(), member->offset);
    }
  }
}

void Surroundings::Walk::identity(Node& node, PyObject* o) {
  node.kind = Kind::identity;
  node.address = o;
  if (PyType_Check(o) || PyModule_Check(o) || !PyType_IS_GC(Py_TYPE(o))) {
    node.expected = nb::borrow(o); // it holds nothing, or is there for good
  } else if (PyObject* reference = PyType_SUPPORTS_WEAKREFS(Py_TYPE(o)) ? PyWeakref_NewRef(o, nullptr) : nullptr) {
    node.expected = nb::steal(reference);
    node.weak = true;
  }
  PyErr_Clear();
}

void Surroundings::Walk::items(uint32_t at, PyObject* o) {
  Node& node = places_[at].node;
  if (PyDict_Check(o)) {
    Entries entries(o);
    node.kind = Kind::mapping;
    node.size = static_cast<int32_t>(entries.size());
    node.expected = PyODict_Check(o) ? keys_in_order(o) : nb::object();
    bool plain =
        std::all_of(entries.begin(), entries.end(), [](const auto& e) { return is_plain_value(e.value.ptr()); });
    if (entries.size() > most_items && plain) {
      node.kind = Kind::sized;
      return;
    }
    int depth = places_[at].depth + 1;
    for (const auto& [key, value] : entries) {
      add(at, Step::entry, key, 0, value.ptr(), depth);
    }
    only_whole(at);
    return;
  }
  Items items(o);
  node.size = static_cast<int32_t>(items.size());
  node.kind = Kind::sequence;
  bool plain = true;
  for (size_t i = 0; i < items.size() && plain; ++i) {
    plain = is_plain_value(items[i]);
  }
  if (items.size() > most_items && plain) {
    node.kind = Kind::sized;
    return;
  }
  for (size_t i = 0; i < items.size(); ++i) {
    child(at, Step::item, nullptr, static_cast<int64_t>(i));
  }
  only_whole(at);
}

void Surroundings::Walk::only_whole(uint32_t at) {
  Place& place = places_[at];
  if (place.children.size() != static_cast<size_t>(place.node.size)) {
    place.node.kind = Kind::sized;
    place.children.clear();
  }
}

void Surroundings::Walk::collection(uint32_t at, PyObject* o) {
  Node& node = places_[at].node;
  CollectedItems items = items_of(o);
  node.size = static_cast<int32_t>(items.size());
  auto all = [&](auto is) { return std::all_of(items.begin(), items.end(), is); };
  if (PyAnySet_Check(o) && all([](PyObject* i) { return PyUnicode_CheckExact(i) || PyBytes_CheckExact(i); })) {
    node.kind = Kind::value;
    node.expected = nb::steal(PyFrozenSet_New(o));
    if (!node.expected.is_valid()) {
      throw nb::python_error();
    }
    return;
  }
  node.kind = Kind::collection;
  if (items.size() > most_items && all(is_plain_value)) {
    node.kind = Kind::sized;
    return;
  }
  int depth = places_[at].depth + 1;
  int64_t number = 0;
  for (PyObject* item : items) {
    add(at, Step::collected, {}, number++, item, depth);
  }
  only_whole(at);
}

void Surroundings::Walk::owned(uint32_t at, PyObject* o) {
  for (int64_t i = 0; i < 16; ++i) {
    Node probe;
    probe.step = Step::owned;
    probe.index = static_cast<int32_t>(i);
    if (!follow(probe, o)) {
      break;
    }
    child(at, Step::owned, nullptr, i);
  }
}

void Surroundings::Walk::attributes(uint32_t at, PyObject* o) {
  Node probe;
  probe.step = Step::attributes;
  if (follow(probe, o)) {
    child(at, Step::attributes);
  }
}

void Surroundings::Walk::instance(uint32_t at, PyObject* o) {
  attributes(at, o);
  PyTypeObject* type = Py_TYPE(o);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); ++i) {
    auto* base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(type->tp_mro, i));
    if (!may_have_slots(base)) {
      continue;
    }
    Entries entries(base->tp_dict);
    for (const auto& [key, value] : entries) {
      if (Py_TYPE(value.ptr()) != &PyMemberDescr_Type) {
        continue;
      }
      const PyMemberDef* slot = reinterpret_cast<PyMemberDescrObject*>(value.ptr())->d_member;
      if (slot->type == Py_T_OBJECT_EX) {
        child(at, Step::slot, key.ptr(), slot->offset);
      }
    }
  }
  if (is_open_class(type) && !first_.contains(reinterpret_cast<PyObject*>(type))) { // its type is compared anyway
    child(at, Step::type);
  }
}

void Surroundings::Walk::class_contents(uint32_t at, PyTypeObject* type) {
  if (is_enumeration(type) && !is_standard(dict_entry(type->tp_dict, "__module__"))) {
    by_name_.push_back({at, {}});
  }
  if (!is_open_class(type)) {
    return;
  }
  places_[at].node.size = static_cast<int32_t>(PyDict_GET_SIZE(type->tp_dict));
  for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(type->tp_mro); ++i) {
    PyObject* base = PyTuple_GET_ITEM(type->tp_mro, i);
    if (is_open_class(reinterpret_cast<PyTypeObject*>(base)) && !first_.contains(base)) {
      child(at, Step::base, nullptr, i);
    }
  }
  Entries entries(type->tp_dict);
  for (const auto& [key, value] : entries) {
    PyObject* v = value.ptr();
    bool function = PyFunction_Check(v) || is_method_descriptor(v) || transformation_of(value);
    bool called = function && is_dunder(key.ptr()) && Py_TYPE(v) == &PyFunction_Type;
    bool data = !function && !is_dunder(key.ptr()) && !Py_TYPE(v)->tp_descr_get;
    if (called || data) {
      child(at, Step::class_entry, key.ptr());
    }
  }
  by_name_.push_back({at, {}});
}

} // namespace mlx::python
