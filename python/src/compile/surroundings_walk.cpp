// The first look at the surroundings of a function: finding the places, and what of them a recording is to be compared
// by.
#include "python/src/compile/surroundings.h"

#include <structmember.h>
#include <algorithm>
#include <deque>

#include "mlx_core/error.h"
#include "python/src/array/convert.h"
#include "python/src/compile/plain_value.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/compile/surroundings_kinds.h"
#include "python/src/transforms/transformed.h"
#include "python/src/trees/owned_items.h"

#ifndef Py_T_OBJECT_EX // the name before Python 3.12
#define Py_T_OBJECT_EX T_OBJECT_EX
#endif

namespace mlx::python {

namespace {

constexpr size_t most_looked = 40000; // that are looked at before the function runs
constexpr size_t most_items = 1000;   // of a container of plain values, of which more are not compared
constexpr int deepest = 500;

} // namespace

class Surroundings::Walk {
 public:
  Walk(Surroundings& out, const Given& given) : out_(out), given_(given) {}

  void run(nb::handle fun) {
    package_ = package_of(fun);
    add(0, Step::root, {}, 0, fun.ptr(), 0);
    do {
      for (; next_ < places_.size(); ++next_) { // the nearest first, so that these are guarded when there are too many
        fill(static_cast<uint32_t>(next_));
      }
      look_for_names();
    } while (next_ < places_.size());
    flatten();
  }

 private:
  struct Place {
    Node node;
    nb::object object;
    int depth;
    std::vector<uint32_t> children;
  };
  // A class or module, of which what is called by a name that some function uses is looked at.
  struct ByName {
    uint32_t place;
    std::unordered_set<PyObject*> seen;
  };

  // Functions and modules that are taken for what they are.
  bool is_library(nb::handle module_name) const {
    if (is_standard(module_name)) {
      return true;
    }
    std::string top = top_package(module_name);
    return top != package_ && is_installed(top);
  }

  void add(uint32_t parent, Step step, nb::object key, int64_t index, PyObject* object, int depth) {
    if (places_.size() >= most_looked) {
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
  void child(uint32_t of, Step step, PyObject* key = nullptr, int64_t index = 0) {
    Node probe;
    probe.step = step;
    probe.key = nb::borrow(key);
    probe.index = static_cast<int32_t>(index);
    PyObject* object = follow(probe, places_[of].object.ptr());
    add(of, step, probe.key, index, object, places_[of].depth + 1);
  }

  void fill(uint32_t at) {
    nb::object object = places_[at].object;
    PyObject* o = object.ptr();
    Node& node = places_[at].node;
    if (!o) {
      node.kind = Kind::absent;
      return;
    }
    node.type = nb::borrow(reinterpret_cast<PyObject*>(Py_TYPE(o)));
    if (is_plain_value(o)) {
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

  void contents(uint32_t at, PyObject* o) {
    PyTypeObject* type = Py_TYPE(o);
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
    } else if (is_partial(o)) {
      node.kind = Kind::other;
      child(at, Step::partial_function);
      child(at, Step::partial_arguments);
      child(at, Step::partial_keywords);
    } else if (is_method_descriptor(o)) {
      node.kind = Kind::other;
      child(at, Step::static_function);
    } else if (transformation_of(o)) {
      node.kind = Kind::other;
      child(at, Step::inside);
    } else if (PyTuple_Check(o) || PyList_Check(o) || PyDict_Check(o)) {
      items(at, o);
      if (is_open_class(type)) {
        instance(at, o);
      }
    } else if (PyCFunction_Check(o)) { // d.get, say
      identity(node, o);
      PyObject* self = PyCFunction_GET_SELF(o);
      if (self && !PyModule_Check(self)) {
        owned(at, o);
      }
    } else if (PyAnySet_Check(o)) {
      set(node, o);
    } else if (is_open_class(type) || is_open_object(o)) {
      node.kind = Kind::other;
      instance(at, o);
      bool empty = std::none_of(places_[at].children.begin(), places_[at].children.end(),
          [&](uint32_t c) { return places_[c].node.step == Step::attributes || places_[c].node.step == Step::slot; });
      if (empty) { // what it holds is in no place that can be looked at
        identity(places_[at].node, o);
      }
    } else if (is_ours(o)) {
      node.kind = Kind::other;
      owned(at, o);
    } else {
      identity(node, o);
    }
  }

  // A weak reference where there can be one: an address may be used again.
  static void identity(Node& node, PyObject* o) {
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

  void function(uint32_t at, PyObject* f) {
    Node& node = places_[at].node;
    if (at != 0 && is_library(dict_entry(PyFunction_GET_GLOBALS(f), "__name__"))) {
      identity(node, f);
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

  void globals(uint32_t at, nb::handle code, PyObject* dict, std::unordered_set<PyObject*>& seen) {
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

  void items(uint32_t at, PyObject* o) {
    Node& node = places_[at].node;
    if (PyDict_Check(o)) {
      Entries entries(o);
      node.kind = Kind::mapping;
      node.size = static_cast<int32_t>(entries.size());
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
  // A container of which not all items are places, as there are too many.
  void only_whole(uint32_t at) {
    Place& place = places_[at];
    if (place.children.size() != static_cast<size_t>(place.node.size)) {
      place.node.kind = Kind::sized;
      place.children.clear();
    }
  }

  // Of plain values, by value: comparing these runs no code of the user's.
  static void set(Node& node, PyObject* o) {
    nb::object copy = nb::steal(PyFrozenSet_New(o));
    nb::object items = nb::steal(PySequence_Tuple(o));
    PyErr_Clear();
    bool plain = copy.is_valid() && items.is_valid();
    for (Py_ssize_t i = 0; plain && i < PyTuple_GET_SIZE(items.ptr()); ++i) {
      plain = is_plain_value(PyTuple_GET_ITEM(items.ptr(), i));
    }
    if (plain) {
      node.kind = Kind::value;
      node.expected = copy;
    } else {
      identity(node, o);
    }
  }

  // What a garbage collector would see of it.
  void owned(uint32_t at, PyObject* o) {
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

  void instance(uint32_t at, PyObject* o) {
    Node probe;
    probe.step = Step::attributes;
    if (follow(probe, o)) {
      child(at, Step::attributes);
    }
    PyTypeObject* type = Py_TYPE(o);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(type->tp_mro); ++i) {
      auto* base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(type->tp_mro, i));
      if (!is_open_class(base)) {
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

  void class_contents(uint32_t at, PyTypeObject* type) {
    if (!is_open_class(type)) {
      return;
    }
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

  // Functions of classes, and everything in modules, by the names that functions in reach use.
  void look_for_names() {
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
      for (PyObject* name : names_) {
        PyObject* found = PyDict_GetItemWithError(dict, name);
        PyErr_Clear();
        if (found && by_name_[b].seen.insert(name).second && (module || Py_TYPE(found)->tp_descr_get) &&
            !is_dunder(name)) {
          child(at, module ? Step::module_entry : Step::class_entry, name);
        }
      }
    }
  }

  bool is_given(uint32_t at, const std::unordered_set<std::string>& names) {
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
  bool may_be_put(uint32_t at) const {
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

  void flatten() {
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

  Surroundings& out_;
  const Given& given_;
  std::string package_;      // that the function is from
  std::deque<Place> places_; // references stay valid
  size_t next_ = 0;
  std::unordered_map<PyObject*, uint32_t> first_; // the place of each object
  std::unordered_set<PyObject*> names_;           // that functions in reach use; their code keeps them
  std::vector<ByName> by_name_;
  size_t names_looked_for_ = 0, places_looked_for_ = 0;
};

Surroundings::Surroundings(nb::handle fun, const Given& given) { Walk(*this, given).run(fun); }

} // namespace mlx::python
