// Looking at the surroundings of a function again, and putting stand-ins for numbers there.
#include "python/src/compile/surroundings.h"

#include "python/src/array/convert.h"
#include "python/src/compile/plain_value.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/compile/surroundings_contents.h"
#include "python/src/compile/surroundings_kinds.h"
#include "python/src/transforms/transformed.h"

namespace mlx::python {

namespace {

// The number-th object that `o` shows to the garbage collector, its type left out.
PyObject* owned_by(PyObject* o, int64_t number) {
  struct Search {
    PyObject* type;
    int64_t left;
    PyObject* found;
  } search{reinterpret_cast<PyObject*>(Py_TYPE(o)), number, nullptr};
  auto visit = [](PyObject* owned, void* arg) {
    auto* s = static_cast<Search*>(arg);
    if (owned != s->type && s->left-- == 0) {
      s->found = owned;
    }
    return s->found != nullptr ? 1 : 0;
  };
  if (traverseproc traverse = Py_TYPE(o)->tp_traverse) {
    traverse(o, visit, &search);
  }
  return search.found;
}

PyObject* entry_of(PyObject* dict, const nb::object& key) {
  PyObject* found = dict ? PyDict_GetItemWithError(dict, key.ptr()) : nullptr;
  if (!found) {
    PyErr_Clear();
  }
  return found;
}

PyObject* attributes_of(PyObject* o) {
#if PY_VERSION_HEX < 0x030D0000
  if (PyObject** place = _PyObject_GetDictPtr(o); place && *place) {
    return *place;
  }
#endif
  PyObject* dict = PyObject_GenericGetDict(o, nullptr);
  if (!dict) {
    PyErr_Clear();
    return nullptr;
  }
  Py_DECREF(dict);
  return dict;
}

PyObject*& slot_of(int32_t offset, PyObject* o) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(o) + offset);
}

// A number that no other dict has, and that this one has for as long as nothing is put there or taken out; 0 where
// Python keeps none.
uint64_t dict_version(PyObject* dict) {
#if PY_VERSION_HEX < 0x030D0000
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  return reinterpret_cast<PyDictObject*>(dict)->ma_version_tag;
#pragma GCC diagnostic pop
#else
  return 0;
#endif
}

PyObject* attributes_in_this_thread(PyObject* local) {
  PyObject* dict = Py_TYPE(local)->tp_getattro(local, nb::str("__dict__").ptr());
  Py_XDECREF(dict); // which the thread owns
  PyErr_Clear();
  return dict;
}

PyObject* value_in_context(PyObject* variable) {
  PyObject* value = nullptr;
  PyContextVar_Get(variable, nullptr, &value);
  Py_XDECREF(value); // which the context owns, or the variable
  PyErr_Clear();
  return value;
}

} // namespace

PyObject* Surroundings::follow(const Node& node, PyObject* parent) {
  switch (node.step) {
    case Step::root: return parent;
    case Step::cell: {
      PyObject* closure = PyFunction_GET_CLOSURE(parent);
      bool there = closure && node.index < PyTuple_GET_SIZE(closure);
      return there ? PyCell_GET(PyTuple_GET_ITEM(closure, node.index)) : nullptr;
    }
    case Step::global: return entry_of(PyFunction_GET_GLOBALS(parent), node.key);
    case Step::defaults: return PyFunction_GET_DEFAULTS(parent);
    case Step::keyword_defaults: return PyFunction_GET_KW_DEFAULTS(parent);
    case Step::function_attributes: return reinterpret_cast<PyFunctionObject*>(parent)->func_dict;
    case Step::item: {
      bool there = node.index < PySequence_Fast_GET_SIZE(parent);
      return there ? PySequence_Fast_GET_ITEM(parent, node.index) : nullptr;
    }
    case Step::entry: return entry_of(parent, node.key);
    case Step::attributes: return attributes_of(parent);
    case Step::slot: return slot_of(node.index, parent);
    case Step::type: return reinterpret_cast<PyObject*>(Py_TYPE(parent));
    case Step::base: {
      PyObject* order = reinterpret_cast<PyTypeObject*>(parent)->tp_mro;
      return node.index < PyTuple_GET_SIZE(order) ? PyTuple_GET_ITEM(order, node.index) : nullptr;
    }
    case Step::class_entry: return entry_of(reinterpret_cast<PyTypeObject*>(parent)->tp_dict, node.key);
    case Step::module_entry: return entry_of(PyModule_GetDict(parent), node.key);
    case Step::self: return PyMethod_GET_SELF(parent);
    case Step::method: return PyMethod_GET_FUNCTION(parent);
    case Step::member: return slot_of(node.index, parent);
    case Step::enumeration_member:
      return entry_of(dict_entry(reinterpret_cast<PyTypeObject*>(parent)->tp_dict, "_member_map_").ptr(), node.key);
    case Step::collected: { // children() knows better
      CollectedItems items = items_of(parent);
      return static_cast<size_t>(node.index) < items.size() ? items[static_cast<size_t>(node.index)] : nullptr;
    }
    case Step::referent: return PyWeakref_GetObject(parent);
    case Step::context_value: return value_in_context(parent);
    case Step::thread_attributes: return attributes_in_this_thread(parent);
    case Step::inside: return transformation_of(parent)->fun().ptr();
    case Step::settings: return transformation_of(parent)->settings().ptr();
    case Step::owned: return owned_by(parent, node.index);
  }
  return nullptr;
}

// False for places that hold what they hold for good, or where user's code would run.
bool Surroundings::put(const Node& node, PyObject* parent, PyObject* value) {
  int failed = -1;
  switch (node.step) {
    case Step::cell: failed = PyCell_Set(PyTuple_GET_ITEM(PyFunction_GET_CLOSURE(parent), node.index), value); break;
    case Step::global: failed = PyDict_SetItem(PyFunction_GET_GLOBALS(parent), node.key.ptr(), value); break;
    case Step::entry: failed = PyDict_SetItem(parent, node.key.ptr(), value); break;
    case Step::module_entry: failed = PyDict_SetItem(PyModule_GetDict(parent), node.key.ptr(), value); break;
    case Step::item: {
      if (!PyList_Check(parent)) {
        return false;
      }
      failed = PyList_SetItem(parent, static_cast<Py_ssize_t>(node.index), Py_NewRef(value));
      break;
    }
    case Step::slot: {
      nb::object before = nb::steal(std::exchange(slot_of(node.index, parent), Py_NewRef(value)));
      failed = 0;
      break;
    }
    default: return false;
  }
  if (failed) {
    PyErr_Clear();
  }
  return failed == 0;
}

namespace {

// While it lives, no finalizer of the user's changes what is being looked at.
class NoCollection {
 public:
  NoCollection() : was_enabled_(PyGC_Disable() == 1) {}
  ~NoCollection() {
    if (was_enabled_) {
      PyGC_Enable();
    }
  }
  NoCollection(const NoCollection&) = delete;
  NoCollection& operator=(const NoCollection&) = delete;

 private:
  bool was_enabled_;
};

} // namespace

// One look at all places, in order.
class Surroundings::Look {
 public:
  explicit Look(const Surroundings& around)
      : nodes_(around.nodes_.data()), count_(around.nodes_.size()), marks_(around.marks_, nullptr) {}

  Found* found = nullptr;
  // All of them; without it the look ends at the first. And what is there now, and what that is in.
  std::vector<uint32_t>* misfits = nullptr;
  std::vector<std::pair<nb::object, nb::object>>* seen_there = nullptr;
  std::vector<PyObject*>* parents = nullptr; // of the numbers
  bool exact = false;                        // arrays must be the very handles
  bool hurried = false;                      // by what the last such look noted

  bool all(PyObject* fun) {
    NoCollection guard;
    return count_ == 0 || visit(0, fun, nullptr);
  }

 private:
  bool misfit(uint32_t i, PyObject* now, PyObject* parent) {
    if (misfits) {
      misfits->push_back(i);
    }
    if (seen_there) {
      seen_there->emplace_back(nb::borrow(now), nb::borrow(parent));
    }
    return misfits != nullptr;
  }

  bool visit(uint32_t i, PyObject* now, PyObject* parent) {
    Node& node = nodes_[i];
    if (node.kind == Kind::ignored) {
      return true;
    }
    if (!now || node.kind == Kind::absent) {
      return (!now && node.kind == Kind::absent) || misfit(i, now, parent);
    }
    if (reinterpret_cast<PyObject*>(Py_TYPE(now)) != node.type.ptr()) {
      return misfit(i, now, parent);
    }
    if (node.mark >= 0) {
      PyObject*& noted = marks_[static_cast<size_t>(node.mark)];
      if (noted && noted != now) {
        return misfit(i, now, parent);
      }
      noted = now;
    }
    if (node.kind != Kind::other && !is_as_it_was(node, now)) {
      return misfit(i, now, parent);
    }
    if (found && node.kind == Kind::given_array) {
      found->arrays.push_back(now);
    } else if (node.kind == Kind::number) {
      if (found) {
        found->numbers.push_back(now);
      }
      if (parents) {
        parents->push_back(parent);
      }
    }
    return node.next == i + 1 || children(i, node, now, parent);
  }

  // The usual case in few instructions: a value or handle that is the very object it was, any array.
  bool visit_child(uint32_t& child, PyObject* now, PyObject* parent) {
    const Node& node = nodes_[child];
    bool unchanged =
        now && (((node.shortcuts & by_object) && node.expected.ptr() == now) ||
                   ((node.shortcuts & by_type) && node.type.ptr() == reinterpret_cast<PyObject*>(Py_TYPE(now))));
    if (!unchanged && !visit(child, now, parent)) {
      return false;
    }
    child = node.next;
    return true;
  }

  // A dict that nothing was put into since the last look has in it what was there then, and alive.
  bool as_before(const Node& node, PyObject* dict) const {
    return hurried && node.version != 0 && node.version == dict_version(dict);
  }
  bool entries_as_before(uint32_t& child, const Node& node, PyObject* dict) {
    if (node.shortcuts & flat) {
      child = node.next;
      return true;
    }
    for (int32_t n = 0; n < node.size; ++n) {
      const Node& entry = nodes_[child];
      if (!(entry.shortcuts & leaf) && !visit(child, entry.address, dict)) {
        return false;
      }
      child = entry.next;
    }
    return true;
  }
  bool entries(uint32_t i, uint32_t& child, Node& node, PyObject* now, PyObject* parent) {
    if (as_before(node, now)) {
      return entries_as_before(child, node, now);
    }
    uint64_t version = hurried ? dict_version(now) : 0;
    node.version = 0;
    Py_ssize_t position = 0;
    PyObject *key = nullptr, *value = nullptr;
    for (int32_t n = 0; n < node.size && PyDict_Next(now, &position, &key, &value); ++n) {
      Node& entry = nodes_[child];
      if (!equal_keys(key, entry.key.ptr())) {
        child = node.next;
        return misfit(i, now, parent);
      }
      if (entry.kind != Kind::identity) {
        entry.address = value;
      }
      if (!visit_child(child, value, now)) {
        return false;
      }
    }
    node.version = version;
    return true;
  }

  // A global, or an entry of a class or module, is where it was as long as nothing is put into that dict.
  bool found_in_dict(uint32_t& child, Node& next, PyObject* now) {
    PyObject* dict = hurried && next.kind != Kind::mapping ? dict_behind(next, now) : nullptr;
    uint64_t version = dict ? dict_version(dict) : 0;
    bool same = version != 0 && version == next.version;
    PyObject* value = same ? next.address : follow(next, now);
    if (!visit_child(child, value, now)) {
      return false;
    }
    if (!same && version != 0 && (next.kind != Kind::identity || value == next.address)) {
      next.address = value;
      next.version = version;
    }
    return true;
  }

  bool collected(uint32_t& child, PyObject* now) {
    for (PyObject* item : items_of(now)) {
      if (!visit_child(child, item, now)) {
        return false;
      }
    }
    return true;
  }

  bool children(uint32_t i, Node& node, PyObject* now, PyObject* parent) {
    uint32_t child = i + 1;
    if (node.kind == Kind::mapping) {
      if (!entries(i, child, node, now, parent)) {
        return false;
      }
    } else if (node.kind == Kind::sequence) {
      PyObject** items = PySequence_Fast_ITEMS(now);
      for (int32_t n = 0; n < node.size; ++n) { // no code of the user's runs, so that the length stays
        if (!visit_child(child, items[n], now)) {
          return false;
        }
      }
    } else if (node.kind == Kind::collection && !collected(child, now)) {
      return false;
    }
    while (child < node.next) {
      Node& next = nodes_[child];
      if (next.step == Step::attributes) {
        PyObject* dict = attributes_of(now);
        bool plain = dict && next.mark < 0 && next.type.ptr() == reinterpret_cast<PyObject*>(&PyDict_Type);
        if (plain && as_before(next, dict)) { // in few instructions, as most objects are
          uint32_t entry = child + 1;
          if (!entries_as_before(entry, next, dict)) {
            return false;
          }
          child = next.next;
        } else if (!visit_child(child, dict, now)) {
          return false;
        }
      } else if (next.step == Step::slot ? !visit_child(child, slot_of(next.index, now), now)
                                         : !found_in_dict(child, next, now)) {
        return false;
      }
    }
    return true;
  }

  bool is_as_it_was(const Node& node, PyObject* now) const {
    switch (node.kind) {
      case Kind::array:
      case Kind::given_array: return !node.expected.is_valid() || !exact || now == node.expected.ptr();
      case Kind::read_array: return now == node.expected.ptr();
      case Kind::value: return equal_values(now, node.expected.ptr());
      case Kind::bytes: return has_same_bytes(now, node.expected.ptr());
      case Kind::identity:
        return now == node.address && (!node.weak || PyWeakref_GetObject(node.expected.ptr()) == now) &&
               (node.size == 0 || PyDict_GET_SIZE(reinterpret_cast<PyTypeObject*>(now)->tp_dict) == node.size);
      case Kind::sequence: return PySequence_Fast_GET_SIZE(now) == node.size;
      case Kind::sized:
      case Kind::collection: return size_of(now) == node.size;
      case Kind::mapping:
        return PyDict_GET_SIZE(now) == node.size &&
               (!node.expected.is_valid() || is_in_order(now, node.expected.ptr()));
      case Kind::number:
        return PyFloat_CheckExact(now) ||
               (may_be_runtime_int(now) && is_negative_int(now) == is_negative_int(node.expected.ptr()));
      case Kind::function: return PyFunction_GET_CODE(now) == node.expected.ptr();
      default: return true;
    }
  }

  Node* nodes_;
  size_t count_;
  core::SmallVector<PyObject*, 16> marks_;
};

bool Surroundings::fit(nb::handle fun, Found& found) const {
  Look look(*this);
  look.found = &found;
  look.hurried = true;
  return look.all(fun.ptr());
}

std::vector<uint32_t> Surroundings::changed(nb::handle fun) const {
  std::vector<uint32_t> nodes;
  Look look(*this);
  look.misfits = &nodes;
  look.all(fun.ptr());
  return nodes;
}

std::vector<Surroundings::Misfit> Surroundings::misfits(nb::handle fun) const {
  std::vector<Misfit> all;
  for (uint32_t i : changed(fun)) {
    const Node& node = nodes_[i];
    PyObject* was = node.expected.ptr();
    bool is_number = node.kind == Kind::value && (PyFloat_CheckExact(was) || PyLong_CheckExact(was)) &&
                     node.expected.type().is(node.type);
    all.push_back({name(i), is_number                       ? Misfit::number
                            : node.kind == Kind::read_array ? Misfit::array
                                                            : Misfit::other});
  }
  return all;
}

// Until it is settled, a node of an array holds the handle.
bool Surroundings::holds_its_object(const Node& node) {
  bool array = node.kind == Kind::array || node.kind == Kind::given_array || node.kind == Kind::read_array;
  return (array || node.kind == Kind::value) && node.expected.is_valid() && node.expected.type().is(node.type) &&
         !PyAnySet_Check(node.expected.ptr());
}

std::vector<std::string> Surroundings::given_ints() const {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].kind == Kind::number && PyLong_Check(nodes_[i].expected.ptr())) {
      names.push_back(name(i));
    }
  }
  return names;
}

void Surroundings::undo(nb::handle fun) const {
  std::vector<uint32_t> nodes;
  std::vector<std::pair<nb::object, nb::object>> there;
  Look look(*this);
  look.misfits = &nodes;
  look.seen_there = &there;
  look.exact = true;
  look.all(fun.ptr());
  for (size_t k = 0; k < nodes.size(); ++k) {
    const Node& node = nodes_[nodes[k]];
    const auto& [now, parent] = there[k];
    if (holds_its_object(node) && parent.is_valid()) {
      put(node, parent.ptr(), node.expected.ptr());
    } else if (now.is_valid() && node.kind == Kind::sequence && PyList_Check(now.ptr())) {
      PyList_SetSlice(now.ptr(), node.size, PyList_GET_SIZE(now.ptr()), nullptr); // what was appended
    } else if (now.is_valid() && node.kind == Kind::mapping && PyDict_Check(now.ptr())) {
      undo_entries(nodes[k], now.ptr());
    }
    PyErr_Clear();
  }
}

void Surroundings::undo_entries(uint32_t i, PyObject* dict) const {
  nb::object before = nb::steal(PyDict_New());
  uint32_t child = i + 1;
  for (int32_t n = 0; n < nodes_[i].size; ++n, child = nodes_[child].next) {
    const Node& entry = nodes_[child];
    PyDict_SetItem(before.ptr(), entry.key.ptr(), Py_None);
    if (holds_its_object(entry)) {
      PyDict_SetItem(dict, entry.key.ptr(), entry.expected.ptr());
    }
  }
  nb::object keys = nb::steal(PyDict_Keys(dict));
  for (Py_ssize_t k = 0; keys.is_valid() && k < PyList_GET_SIZE(keys.ptr()); ++k) {
    PyObject* key = PyList_GET_ITEM(keys.ptr(), k);
    if (PyDict_Contains(before.ptr(), key) == 0) {
      PyDict_DelItem(dict, key);
    }
  }
}

// --- names ---

std::string Surroundings::name(uint32_t i) const {
  const Node& node = nodes_[i];
  auto key = [&](bool plain) {
    return nb::cast<std::string>(plain ? nb::object(nb::str(node.key)) : nb::object(nb::repr(node.key)));
  };
  auto before = [&] { return name(node.parent); };
  switch (node.step) {
    case Step::root: return node.kind == Kind::function ? "fun" : "self";
    case Step::cell:
    case Step::global: return key(true);
    case Step::defaults: return before() + ".__defaults__";
    case Step::keyword_defaults: return before() + ".__kwdefaults__";
    case Step::item:
      if (node.parent == 0 && nodes_[0].kind == Kind::sequence) { // see where_to_look
        return node.index == 0 ? "fun" : "an argument";
      }
      return before() + "[" + std::to_string(node.index) + "]";
    case Step::entry: {
      Step in = nodes_[node.parent].step;
      return is_attributes(in) ? before() + "." + key(true) : before() + "[" + key(false) + "]";
    }
    case Step::slot:
    case Step::class_entry:
    case Step::module_entry: return before() + "." + key(true);
    case Step::self: return "self";
    case Step::enumeration_member: return before() + "." + key(true);
    case Step::member: {
      std::string member = key(true); // of a partial; others are seen through
      return member == "func" || member == "args" || member == "keywords" ? before() + "." + member : before();
    }
    case Step::collected: return before() + "[" + std::to_string(node.index) + "]";
    default: return before();
  }
}

PyObject* Surroundings::variable(uint32_t i) const {
  for (; i != 0; i = nodes_[i].parent) {
    const Node& node = nodes_[i];
    Step in = nodes_[node.parent].step;
    bool attribute = node.step == Step::entry && is_attributes(in);
    if (attribute || node.step == Step::cell || node.step == Step::global || node.step == Step::slot ||
        node.step == Step::class_entry || node.step == Step::module_entry) {
      return node.key.ptr();
    }
  }
  return nullptr;
}

std::string Surroundings::unseen(const std::unordered_set<PyObject*>& converted) const {
  for (uint32_t i = 0; i < nodes_.size() && !converted.empty(); ++i) {
    const Node& node = nodes_[i];
    if (node.kind != Kind::identity || !converted.contains(node.address)) {
      continue;
    }
    bool alive = node.weak ? PyWeakref_GetObject(node.expected.ptr()) == node.address : node.expected.is_valid();
    if (!alive || !is_read_only(node.address)) {
      return name(i);
    }
  }
  return {};
}

// --- stand-ins ---

Surroundings::StandIns::StandIns(const Surroundings& around, nb::handle fun) : around_(around) {
  if (around.given_numbers_ == 0) {
    return;
  }
  Found found;
  std::vector<PyObject*> parents;
  Look look(around);
  look.found = &found;
  look.parents = &parents;
  look.all(fun.ptr());
  size_t next = 0;
  for (uint32_t i = 0; i < around.nodes_.size() && next < parents.size(); ++i) {
    if (around.nodes_[i].kind == Kind::number) {
      held_.push_back({i, nb::borrow(parents[next]), {}});
      numbers_.push_back(nb::borrow(found.numbers[next++]));
    }
  }
}

void Surroundings::StandIns::put(size_t i, nb::handle stand_in) {
  Held& held = held_[i];
  if (Surroundings::put(around_.nodes_[held.node], held.parent.ptr(), stand_in.ptr())) {
    held.stand_in = nb::borrow(stand_in);
  }
}

bool Surroundings::StandIns::restore() {
  bool all = true;
  for (size_t i = 0; i < held_.size(); ++i) {
    Held& held = held_[i];
    if (held.stand_in.is_valid()) {
      const Node& node = around_.nodes_[held.node];
      all = all && follow(node, held.parent.ptr()) == held.stand_in.ptr();
      Surroundings::put(node, held.parent.ptr(), numbers_[i].ptr());
      held.stand_in = nb::object();
    }
  }
  return all;
}

void Surroundings::traverse(Traversal& owned) const {
  for (const Node& node : nodes_) {
    owned(node.key);
    owned(node.type);
    owned(node.expected);
  }
  owned(given_arrays_);
  owned(codes_);
}

} // namespace mlx::python
