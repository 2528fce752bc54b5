// Finding the places around a function, by the names in its code, and putting them in order.
#include "python/src/compile/surroundings_walk.h"

#include <algorithm>

#include "mlx_core/error.h"
#include "python/src/array/convert.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/compile/surroundings_contents.h"
#include "python/src/compile/surroundings_kinds.h"

namespace mlx::python {

namespace {

constexpr int deepest = 500;

} // namespace

void Surroundings::Walk::run(nb::handle fun) {
  look_around(fun);
  flatten();
}

std::vector<Surroundings::ArrayPlace> Surroundings::Walk::arrays(nb::handle functions, size_t most) {
  only_arrays_ = true;
  most_ = most;
  bytes_left_ = 0;
  look_around(functions);
  std::vector<ArrayPlace> found;
  for (const Place& place : places_) {
    if (!place.object.is_valid() || !is_array(place.object)) {
      continue;
    }
    PyObject* parent = places_[place.node.parent].object.ptr();
    ArrayPlace at{nb::borrow(parent), place.node.key, place.node.index, place.object};
    switch (place.node.step) {
      case Step::cell:
        at = {nb::borrow(PyTuple_GET_ITEM(PyFunction_GET_CLOSURE(parent), place.node.index)), {}, 0, place.object};
        break;
      case Step::global: at.container = nb::borrow(PyFunction_GET_GLOBALS(parent)); break;
      case Step::module_entry: at.container = nb::borrow(PyModule_GetDict(parent)); break;
      case Step::entry: break;
      case Step::slot:
        if (PyList_Check(parent)) {
          continue; // OuterSlot takes it for an item
        }
        break;
      case Step::item:
        if (!PyList_Check(parent)) {
          continue;
        }
        break;
      default: continue;
    }
    found.push_back(std::move(at));
  }
  return found;
}

void Surroundings::Walk::look_around(nb::handle fun) {
  package_ = package_of(fun);
  add(0, Step::root, {}, 0, fun.ptr(), 0);
  do {
    for (; next_ < places_.size(); ++next_) { // the nearest first, so that these are guarded when there are too many
      fill(static_cast<uint32_t>(next_));
    }
    look_for_names();
  } while (next_ < places_.size());
}

bool Surroundings::Walk::is_library(nb::handle module_name) const {
  if (is_standard(module_name)) {
    return true;
  }
  std::string top = top_package(module_name);
  return top != package_ && is_installed(top);
}

void Surroundings::Walk::add(uint32_t parent, Step step, nb::object key, int64_t index, PyObject* object, int depth) {
  if (places_.size() >= most_) {
    out_.cut_off_ = true;
    return;
  }
  auto number = static_cast<uint32_t>(places_.size());
  Place& place = places_.emplace_back();
  place.node.step = step;
  place.node.key = std::move(key);
  place.node.index = static_cast<int32_t>(index);
  place.node.parent = parent;
  place.object = nb::borrow(object);
  place.depth = depth;
  if (number != parent) {
    places_[parent].children.push_back(number);
  }
}

void Surroundings::Walk::child(uint32_t of, Step step, PyObject* key, int64_t index) {
  Node probe;
  probe.step = step;
  probe.key = nb::borrow(key);
  probe.index = static_cast<int32_t>(index);
  PyObject* object = follow(probe, places_[of].object.ptr());
  add(of, step, probe.key, index, object, places_[of].depth + 1);
}

void Surroundings::Walk::fill(uint32_t at) {
  nb::object object = places_[at].object;
  PyObject* o = object.ptr();
  Node& node = places_[at].node;
  if (!o) {
    node.kind = Kind::absent;
    return;
  }
  node.type = nb::borrow(reinterpret_cast<PyObject*>(Py_TYPE(o)));
  if (is_value(o)) {
    bool number = PyFloat_CheckExact(o) || (PyLong_CheckExact(o) && may_be_runtime_int(o));
    bool given = number && is_given(at, given_.numbers) && may_be_put(at);
    node.kind = given ? Kind::number : Kind::value;
    node.expected = object;
    return;
  }
  if (auto [known, added] = first_.emplace(o, at); !added) { // one object at two places
    Node& first = places_[known->second].node;
    if (first.mark < 0) {
      first.mark = static_cast<int32_t>(out_.marks_++);
    }
    node.kind = Kind::same;
    node.mark = first.mark;
    return;
  }
  if (is_array(o)) {
    node.kind = given_.all_arrays || is_given(at, given_.arrays) ? Kind::given_array : Kind::array;
    node.expected = object;
    return;
  }
  if (places_[at].depth > deepest) {
    identity(node, o);
    out_.cut_off_ = true;
    return;
  }
  contents(at, o);
  bool argument = places_[at].node.parent == 0 && places_[at].node.step == Step::item && places_[at].node.index > 0;
  if (argument && places_[at].node.kind == Kind::identity && PyTuple_Check(places_[0].object.ptr()) &&
      !PyType_Check(o)) {
    places_[at].node.kind = Kind::ignored; // equal arguments are compared already, and need not be one object
  }
}

void Surroundings::Walk::function(uint32_t at, PyObject* f) {
  Node& node = places_[at].node;
  if (at != 0 && is_library(dict_entry(PyFunction_GET_GLOBALS(f), "__name__"))) {
    identity(node, f);
    wrapped(at, f);
    return;
  }
  node.kind = Kind::function;
  node.expected = nb::borrow(PyFunction_GET_CODE(f));
  nb::object code = node.expected;
  if (PyObject* closure = PyFunction_GET_CLOSURE(f)) {
    nb::object names = nb::getattr(code, "co_freevars");
    Py_ssize_t count = std::min(PyTuple_GET_SIZE(closure), PyTuple_GET_SIZE(names.ptr()));
    for (Py_ssize_t i = 0; i < count; ++i) {
      child(at, Step::cell, PyTuple_GET_ITEM(names.ptr(), i), i);
    }
  }
  std::unordered_set<PyObject*> seen;
  globals(at, code, PyFunction_GET_GLOBALS(f), seen);
  if (PyFunction_GET_DEFAULTS(f)) {
    child(at, Step::defaults);
  }
  if (PyFunction_GET_KW_DEFAULTS(f)) {
    child(at, Step::keyword_defaults);
  }
  if (reinterpret_cast<PyFunctionObject*>(f)->func_dict) {
    child(at, Step::function_attributes);
  }
}

void Surroundings::Walk::wrapped(uint32_t at, PyObject* f) {
  PyObject* closure = PyFunction_GET_CLOSURE(f);
  for (Py_ssize_t i = 0; closure && i < PyTuple_GET_SIZE(closure); ++i) {
    PyObject* inside = PyCell_GET(PyTuple_GET_ITEM(closure, i));
    bool of_the_user =
        inside && PyFunction_Check(inside) && !is_library(dict_entry(PyFunction_GET_GLOBALS(inside), "__name__"));
    if (of_the_user) {
      child(at, Step::cell, nb::str("fun").ptr(), i);
    }
  }
  if (reinterpret_cast<PyFunctionObject*>(f)->func_dict) {
    child(at, Step::function_attributes);
  }
}

void Surroundings::Walk::globals(uint32_t at, nb::handle code, PyObject* dict, std::unordered_set<PyObject*>& seen) {
  out_.codes_.push_back(nb::borrow(code));
  nb::tuple used(nb::getattr(code, "co_names"));
  for (nb::handle name : used) {
    names_.insert(name.ptr());
    if (PyUnicode_CompareWithASCIIString(name.ptr(), "type") == 0) {
      std::string function = nb::cast<std::string>(nb::getattr(code, "co_name"));
      if (function != "__setattr__" && function != "__delattr__") { // of frozen dataclasses, about the object itself
        out_.asks_for_types_ = function;
      }
    }
    bool there = PyDict_GetItemWithError(dict, name.ptr()) != nullptr;
    PyErr_Clear();
    if (there && seen.insert(name.ptr()).second) {
      child(at, Step::global, name.ptr());
    }
  }
  for (nb::handle name : names_of_globals(code)) { // which may be defined yet
    bool there = only_arrays_ || PyDict_GetItemWithError(dict, name.ptr()) != nullptr;
    PyErr_Clear();
    if (!there && missing_.emplace(dict, name.ptr()).second) {
      child(at, Step::global, name.ptr());
    }
  }
  bool by_text = std::any_of(used.begin(), used.end(), [](nb::handle name) { // getattr(module, "w"), globals()["w"]
    return PyUnicode_CompareWithASCIIString(name.ptr(), "getattr") == 0 ||
           PyUnicode_CompareWithASCIIString(name.ptr(), "globals") == 0;
  });
  for (nb::handle constant : nb::tuple(nb::getattr(code, "co_consts"))) {
    if (PyCode_Check(constant.ptr())) { // functions written inside this one
      globals(at, constant, dict, seen);
    } else if (by_text && PyUnicode_CheckExact(constant.ptr()) && PyUnicode_IsIdentifier(constant.ptr()) == 1) {
      names_.insert(constant.ptr());
      if (PyDict_Contains(dict, constant.ptr()) == 1 && seen.insert(constant.ptr()).second) {
        child(at, Step::global, constant.ptr());
      }
    }
  }
}

void Surroundings::Walk::look_for_names() {
  if (names_.size() == names_looked_for_ && by_name_.size() == places_looked_for_) {
    return;
  }
  names_looked_for_ = names_.size();
  places_looked_for_ = by_name_.size();
  for (size_t b = 0; b < by_name_.size(); ++b) {
    uint32_t at = by_name_[b].place;
    PyObject* o = places_[at].object.ptr();
    bool module = PyModule_Check(o);
    PyObject* dict = module ? PyModule_GetDict(o) : reinterpret_cast<PyTypeObject*>(o)->tp_dict;
    bool enumeration = !module && is_enumeration(reinterpret_cast<PyTypeObject*>(o));
    nb::object enumerated = enumeration ? dict_entry(dict, "_member_map_") : nb::object();
    for (PyObject* name : names_) {
      if (enumerated.is_valid() && PyDict_Contains(enumerated.ptr(), name) == 1) {
        if (by_name_[b].seen.insert(name).second) {
          child(at, Step::enumeration_member, name);
        }
        continue;
      }
      PyObject* found = PyDict_GetItemWithError(dict, name);
      PyErr_Clear();
      if (found && by_name_[b].seen.insert(name).second && (module || Py_TYPE(found)->tp_descr_get) &&
          !is_dunder(name)) {
        child(at, module ? Step::module_entry : Step::class_entry, name);
      }
    }
  }
}

bool Surroundings::Walk::is_given(uint32_t at, const std::unordered_set<std::string>& names) {
  if (names.empty()) {
    return false;
  }
  // Names are of places in out_.nodes_, which are numbered alike until they are flattened.
  std::vector<Node> chain;
  for (uint32_t i = at;; i = places_[i].node.parent) {
    chain.push_back(places_[i].node);
    if (i == 0) {
      break;
    }
  }
  std::reverse(chain.begin(), chain.end());
  for (size_t i = 0; i < chain.size(); ++i) {
    chain[i].parent = static_cast<uint32_t>(i == 0 ? 0 : i - 1);
  }
  out_.nodes_ = std::move(chain);
  bool given = names.contains(out_.name(static_cast<uint32_t>(out_.nodes_.size() - 1)));
  out_.nodes_.clear();
  return given;
}

bool Surroundings::Walk::may_be_put(uint32_t at) const {
  const Place& place = places_[at];
  switch (place.node.step) {
    case Step::cell:
    case Step::global:
    case Step::entry:
    case Step::module_entry:
    case Step::slot: return true;
    case Step::item: return PyList_Check(places_[place.node.parent].object.ptr());
    default: return false;
  }
}

void Surroundings::Walk::flatten() {
  struct Visit {
    uint32_t place;
    size_t child;
    uint32_t number;
  };
  std::vector<Visit> stack;
  auto enter = [&](uint32_t place, uint32_t parent) {
    auto number = static_cast<uint32_t>(out_.nodes_.size());
    out_.nodes_.push_back(std::move(places_[place].node));
    out_.nodes_.back().parent = parent;
    stack.push_back({place, 0, number});
  };
  enter(0, 0);
  while (!stack.empty()) {
    Visit& top = stack.back();
    const std::vector<uint32_t>& children = places_[top.place].children;
    if (top.child < children.size()) {
      uint32_t place = children[top.child++];
      enter(place, top.number);
    } else {
      out_.nodes_[top.number].next = static_cast<uint32_t>(out_.nodes_.size());
      stack.pop_back();
    }
  }
  for (const Node& node : out_.nodes_) {
    out_.given_numbers_ += node.kind == Kind::number;
  }
}

Surroundings::Surroundings(nb::handle fun, const Given& given) { Walk(*this, given).run(fun); }

std::vector<Surroundings::ArrayPlace> Surroundings::arrays_around(nb::handle functions, size_t most) {
  Surroundings unused;
  return Walk(unused, Given()).arrays(functions, most);
}

} // namespace mlx::python
