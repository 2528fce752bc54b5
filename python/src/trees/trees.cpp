// Taking nested Python containers apart, and putting them together again.
#include "python/src/trees/trees.h"

#include "mlx_core/error.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/shown.h"
#include "python/src/trees/descent.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

// Python objects that the slow paths need; the module owns them.
PyObject* registry = nullptr;        // dict: class -> (flatten, unflatten), for built-in classes, which live for ever
PyObject* class_attribute = nullptr; // of other classes: (flatten, unflatten)

// (flatten, unflatten), borrowed; null for a class that is not registered.
PyObject* registered(PyTypeObject* type) {
  bool own = type->tp_flags & Py_TPFLAGS_HEAPTYPE;
  PyObject* found = own ? PyDict_GetItemWithError(type->tp_dict, class_attribute) : nullptr;
  if (!found && !PyErr_Occurred()) {
    found = PyDict_GetItemWithError(registry, reinterpret_cast<PyObject*>(type));
  }
  if (!found && PyErr_Occurred()) {
    throw nb::python_error();
  }
  return found;
}

nb::object shallow_copy(nb::handle o) {
  nb::object copy = nb::module_::import_("copy").attr("copy")(o);
  if (Py_TYPE(copy.ptr()) != Py_TYPE(o.ptr())) { // its fields and items are about to be set
    core::fail<core::TypeError>("tree", "copy.copy of a ", Py_TYPE(o.ptr())->tp_name, " returned a ",
        Py_TYPE(copy.ptr())->tp_name, "; its __copy__ should return an instance of the same class.");
  }
  return copy;
}

void set_item(nb::handle dict, PyObject* key, nb::handle value) { // of a dict, or of one with this key already
  if (PyDict_SetItem(dict.ptr(), key, value.ptr())) {
    throw nb::python_error();
  }
}

void set_field(nb::handle instance, PyObject* name, nb::handle value) { // of frozen classes too
  if (PyObject_GenericSetAttr(instance.ptr(), name, value.ptr())) {
    throw nb::python_error();
  }
}

nb::object steal_or_throw(PyObject* o) {
  if (!o) {
    throw nb::python_error();
  }
  return nb::steal(o);
}

bool has_attribute(PyTypeObject* type, const char* name) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), name);
}

nb::object dict_value(PyObject* dict, PyObject* key) {
  PyObject* value = PyDict_GetItemWithError(dict, key);
  if (!value) {
    if (!PyErr_Occurred()) {
      PyErr_SetString(PyExc_RuntimeError, "a dict changed while it was being walked");
    }
    throw nb::python_error();
  }
  return nb::borrow(value);
}

// The names of a NamedTuple's fields; null for another subclass of tuple, whatever it calls _fields.
nb::object fields_of(nb::handle type, Py_ssize_t count) {
  nb::object fields = nb::getattr(type, "_fields", nb::object());
  if (!fields.is_valid() || !PyTuple_Check(fields.ptr()) || PyTuple_GET_SIZE(fields.ptr()) != count) {
    return {};
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!PyUnicode_Check(PyTuple_GET_ITEM(fields.ptr(), i))) {
      return {};
    }
  }
  return fields;
}

} // namespace

Tree::Tree(nb::handle root, Leaves& leaves) {
  size_t before = leaves.size();
  add(root, leaves);
  leaf_count_ = leaves.size() - before;
}

void Tree::collect(nb::handle root, Leaves& leaves) {
  Tree tree;
  tree.builds_ = false;
  tree.add(root, leaves);
}

void Tree::add(nb::handle o, Leaves& leaves) {
  PyTypeObject* type = Py_TYPE(o.ptr());
  if (type == array_type || type == &PyFloat_Type || type == &PyLong_Type || type == &PyUnicode_Type ||
      type == &PyBool_Type) {
    nodes_.push_back(Kind::leaf);
    leaves.push_back(nb::borrow(o));
  } else if (o.is_none()) {
    nodes_.push_back(Kind::none);
  } else if (type == &PyTuple_Type || type == &PyList_Type) {
    nodes_.push_back(type == &PyTuple_Type ? Kind::tuple : Kind::list);
    add_children(o.ptr(), leaves);
  } else if (type == &PyDict_Type) {
    nb::object keys = steal_or_throw(PyDict_Keys(o.ptr()));
    Py_ssize_t count = PyList_GET_SIZE(keys.ptr());
    nodes_.push_back({Kind::dict, static_cast<size_t>(count), keys});
    Descent guard;
    for (Py_ssize_t i = 0; i < count; ++i) {
      nb::object value = dict_value(o.ptr(), PyList_GET_ITEM(keys.ptr(), i));
      add(value, leaves);
    }
  } else if (!add_container_subclass(o, leaves)) {
    nodes_.push_back(Kind::leaf);
    leaves.push_back(nb::borrow(o));
  }
}

// The node in front was just pushed; its count is that of the sequence, a list or a tuple.
void Tree::add_children(PyObject* sequence, Leaves& leaves) {
  Descent guard;
  Items items(sequence); // as they are now: flatten functions and attributes of the user's run on the way
  nodes_.back().children = static_cast<uint32_t>(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    add(items[i], leaves);
  }
}

bool Tree::add_container_subclass(nb::handle o, Leaves& leaves) {
  PyTypeObject* type = Py_TYPE(o.ptr());
  nb::handle type_object(reinterpret_cast<PyObject*>(type));
  if (PyObject* functions = registered(type)) {
    if (!PyTuple_Check(functions) || PyTuple_GET_SIZE(functions) != 2) {
      core::fail<core::TypeError>("register_tree_node", "the entry of ",
          nb::cast<std::string>(type_object.attr("__name__")), " is no pair of functions.");
    }
    nb::object flatten = nb::borrow(PyTuple_GET_ITEM(functions, 0));
    nb::object unflatten = nb::borrow(PyTuple_GET_ITEM(functions, 1));
    nb::object parts = flatten(o);
    if (!PyTuple_Check(parts.ptr()) || PyTuple_GET_SIZE(parts.ptr()) != 2) {
      core::fail<core::TypeError>("register_tree_node", "flatten of ",
          nb::cast<std::string>(type_object.attr("__name__")), " returned ", shown(parts),
          "; it should return a pair (children, auxiliary data).");
    }
    nb::object children = steal_or_throw(
        PySequence_Fast(PyTuple_GET_ITEM(parts.ptr(), 0), "flatten returned children that are no sequence"));
    nodes_.push_back({Kind::registered, 0, nb::borrow(PyTuple_GET_ITEM(parts.ptr(), 1)), unflatten});
    add_children(children.ptr(), leaves);
    return true;
  }
  if (PyTuple_Check(o.ptr())) {
    nb::object fields = fields_of(type_object, PyTuple_GET_SIZE(o.ptr()));
    Kind kind = fields.is_valid() ? Kind::named_tuple : Kind::list_like;
    nodes_.push_back({kind, 0, std::move(fields), nb::borrow(type_object)});
    add_children(o.ptr(), leaves);
    return true;
  }
  if (PyList_Check(o.ptr())) {
    nodes_.push_back({Kind::list_like, 0, nb::object(), nb::borrow(type_object)});
    add_children(o.ptr(), leaves);
    return true;
  }
  if (PyDict_Check(o.ptr())) {
    nb::object keys = steal_or_throw(PyMapping_Keys(o.ptr()));
    Py_ssize_t count = PyList_GET_SIZE(keys.ptr());
    nb::object empty = builds_ ? shallow_copy(o) : nb::object();
    for (Py_ssize_t i = 0; builds_ && i < count; ++i) {
      set_item(empty, PyList_GET_ITEM(keys.ptr(), i), nb::none());
    }
    nodes_.push_back({Kind::dict_like, static_cast<size_t>(count), keys, empty});
    Descent guard;
    for (Py_ssize_t i = 0; i < count; ++i) {
      nb::object value = dict_value(o.ptr(), PyList_GET_ITEM(keys.ptr(), i));
      add(value, leaves);
    }
    return true;
  }
  if (has_attribute(type, "__dataclass_fields__")) {
    nb::list found;
    for (nb::handle field : nb::module_::import_("dataclasses").attr("fields")(type_object)) {
      found.append(field.attr("name"));
    }
    nb::tuple names(found);
    Py_ssize_t count = PyTuple_GET_SIZE(names.ptr());
    nb::object empty = builds_ ? shallow_copy(o) : nb::object();
    for (Py_ssize_t i = 0; builds_ && i < count; ++i) {
      set_field(empty, PyTuple_GET_ITEM(names.ptr(), i), nb::none());
    }
    nodes_.push_back({Kind::data_class, static_cast<size_t>(count), names, empty});
    Descent guard;
    for (Py_ssize_t i = 0; i < count; ++i) {
      nb::object value = nb::getattr(o, PyTuple_GET_ITEM(names.ptr(), i));
      add(value, leaves);
    }
    return true;
  }
  return false;
}

void Tree::describe(std::string& bytes, Leaves& objects) const {
  for (const Node& node : nodes_) {
    bytes.push_back(static_cast<char>(node.kind));
    bytes.append(reinterpret_cast<const char*>(&node.children), sizeof(node.children));
    if (node.origin.is_valid()) { // a class, a function, or an instance that stands for its class
      bool stands = node.kind == Kind::dict_like || node.kind == Kind::data_class;
      objects.push_back(stands ? nb::borrow(reinterpret_cast<PyObject*>(Py_TYPE(node.origin.ptr()))) : node.origin);
    }
    if (node.keys.is_valid()) {
      objects.push_back(node.keys);
    }
  }
}

nb::object Tree::build(std::span<const nb::object> leaves) const {
  if (leaves.size() != leaf_count_) { // functions of the user's that answer differently when asked again
    core::fail<std::runtime_error>("tree", "a container with ", leaf_count_, " leaves is to be built around ",
        leaves.size(), ": it changed while it was looked at.");
  }
  size_t node = 0;
  const nb::object* leaf = leaves.data();
  return build(node, leaf);
}

nb::object Tree::build(size_t& at, const nb::object*& leaf) const {
  const Node& node = nodes_[at++];
  switch (node.kind) {
    case Kind::leaf: return *leaf++;
    case Kind::none: return nb::none();
    default: break;
  }
  Descent guard;
  switch (node.kind) {
    case Kind::list: {
      nb::object list = steal_or_throw(PyList_New(node.children));
      for (uint32_t i = 0; i < node.children; ++i) {
        PyList_SET_ITEM(list.ptr(), i, build(at, leaf).release().ptr());
      }
      return list;
    }
    case Kind::dict: {
      nb::object dict = steal_or_throw(PyDict_New());
      for (uint32_t i = 0; i < node.children; ++i) {
        set_item(dict, PyList_GET_ITEM(node.keys.ptr(), i), build(at, leaf));
      }
      return dict;
    }
    case Kind::dict_like: { // keeps what the subclass holds beside its items: a default factory, attributes, order
      nb::object dict = shallow_copy(node.origin);
      for (uint32_t i = 0; i < node.children; ++i) {
        set_item(dict, PyList_GET_ITEM(node.keys.ptr(), i), build(at, leaf));
      }
      return dict;
    }
    case Kind::data_class: { // neither __init__ nor __post_init__ runs, and frozen classes work
      nb::object instance = shallow_copy(node.origin);
      for (uint32_t i = 0; i < node.children; ++i) {
        set_field(instance, PyTuple_GET_ITEM(node.keys.ptr(), i), build(at, leaf));
      }
      return instance;
    }
    default: break;
  }
  nb::object children = steal_or_throw(PyTuple_New(node.children));
  for (uint32_t i = 0; i < node.children; ++i) {
    PyTuple_SET_ITEM(children.ptr(), i, build(at, leaf).release().ptr());
  }
  switch (node.kind) {
    case Kind::named_tuple: return node.origin.attr("_make")(children);
    case Kind::list_like: return node.origin(children);
    case Kind::registered: return node.origin(node.keys, children);
    default: return children;
  }
}

std::string Tree::step(const Node& node, uint32_t child) const {
  switch (node.kind) {
    case Kind::dict:
    case Kind::dict_like: return "[" + shown(PyList_GET_ITEM(node.keys.ptr(), child)) + "]";
    case Kind::named_tuple:
    case Kind::data_class: return "." + nb::cast<std::string>(nb::handle(PyTuple_GET_ITEM(node.keys.ptr(), child)));
    default: return "[" + std::to_string(child) + "]";
  }
}

std::string Tree::path(size_t leaf) const {
  size_t node = 0;
  std::string text;
  path(node, leaf, text);
  return text;
}

// Walks until `leaf` leaves have been passed; true when this is the place.
bool Tree::path(size_t& at, size_t& leaf, std::string& text) const {
  const Node& node = nodes_[at++];
  if (node.kind == Kind::leaf) {
    return leaf-- == 0;
  }
  Descent guard;
  for (uint32_t i = 0; i < node.children; ++i) {
    size_t length = text.size();
    text += step(node, i);
    if (path(at, leaf, text)) {
      return true;
    }
    text.resize(length);
  }
  return false;
}

void Tree::skip(size_t& at) const {
  // Nodes are in preorder: those that remain to be passed are counted.
  for (size_t left = 1; left > 0; --left) {
    left += nodes_[at++].children;
  }
}

bool Tree::matches(const Tree& other, std::vector<size_t>& order, std::string& place) const {
  size_t node = 0, other_node = 0, other_leaf = 0;
  return matches(node, other, other_node, other_leaf, order, place);
}

bool Tree::matches(size_t& at, const Tree& other, size_t& other_at, size_t& other_leaf, std::vector<size_t>& order,
    std::string& place) const {
  const Node &node = nodes_[at++], &other_node = other.nodes_[other_at++];
  auto type = [](const Node& n) { // origins are classes, or instances to copy
    return n.kind == Kind::dict_like || n.kind == Kind::data_class
               ? reinterpret_cast<PyObject*>(Py_TYPE(n.origin.ptr()))
               : n.origin.ptr();
  };
  if (node.kind != other_node.kind || node.children != other_node.children || type(node) != type(other_node)) {
    return false;
  }
  if (node.kind == Kind::leaf) {
    order.push_back(other_leaf++);
    return true;
  }
  if (node.kind == Kind::registered && !node.keys.equal(other_node.keys)) {
    return false;
  }
  Descent guard;
  std::vector<std::pair<size_t, size_t>> children; // of the other: node and leaf
  for (uint32_t i = 0; i < node.children; ++i) {
    children.emplace_back(other_at, other_leaf);
    size_t end = other_at;
    for (other.skip(end); other_at < end; ++other_at) {
      other_leaf += other.nodes_[other_at].kind == Kind::leaf;
    }
  }
  bool keyed = node.kind == Kind::dict || node.kind == Kind::dict_like;
  for (uint32_t i = 0; i < node.children; ++i) {
    Py_ssize_t k = i;
    if (keyed) {
      k = PySequence_Index(other_node.keys.ptr(), PyList_GET_ITEM(node.keys.ptr(), i));
      if (k < 0) {
        PyErr_Clear();
        return false;
      }
    }
    auto [child, leaf] = children[static_cast<size_t>(k)];
    size_t length = place.size();
    place += step(node, i);
    if (!matches(at, other, child, leaf, order, place)) {
      return false;
    }
    place.resize(length);
  }
  return true;
}

// The part of `prefix` that goes with a child of `node`; null when the containers differ.
nb::object Tree::child_of(const Node& node, nb::handle prefix, uint32_t child) const {
  PyObject* p = prefix.ptr();
  if (node.kind == Kind::dict || node.kind == Kind::dict_like || (node.kind == Kind::data_class && PyDict_Check(p))) {
    if (!PyDict_Check(p) || PyDict_GET_SIZE(p) != static_cast<Py_ssize_t>(node.children)) {
      return {};
    }
    PyObject* key = node.kind == Kind::data_class ? PyTuple_GET_ITEM(node.keys.ptr(), child)
                                                  : PyList_GET_ITEM(node.keys.ptr(), child);
    return nb::borrow(PyDict_GetItem(p, key));
  }
  if (node.kind == Kind::data_class) {
    return Py_TYPE(p) == Py_TYPE(node.origin.ptr()) ? nb::getattr(prefix, PyTuple_GET_ITEM(node.keys.ptr(), child))
                                                    : nb::object();
  }
  if ((PyTuple_Check(p) || PyList_Check(p)) && PySequence_Fast_GET_SIZE(p) == static_cast<Py_ssize_t>(node.children)) {
    return nb::borrow(PySequence_Fast_GET_ITEM(p, child));
  }
  return {};
}

void Tree::spread(nb::handle prefix, const char* prefix_name, const std::string& name, Leaves& out, const char* op,
    const char* hint) const {
  size_t node = 0;
  spread(node, prefix, {op, prefix_name, hint}, name, out);
}

void Tree::spread(size_t& at, nb::handle prefix, const Spread& words, const std::string& place, Leaves& out) const {
  PyObject* p = prefix.ptr();
  const Node& node = nodes_[at];
  if (node.kind == Kind::registered) {
    // An instance of the same class stands for a tuple of its children.
    PyObject* functions = registered(Py_TYPE(p));
    if (functions && PyTuple_Check(functions) && node.origin.is(nb::handle(PyTuple_GET_ITEM(functions, 1)))) {
      nb::object parts = nb::borrow(PyTuple_GET_ITEM(functions, 0))(prefix);
      nb::object children = PyTuple_Check(parts.ptr()) && PyTuple_GET_SIZE(parts.ptr()) == 2
                                ? nb::steal(PySequence_Tuple(PyTuple_GET_ITEM(parts.ptr(), 0)))
                                : nb::object();
      if (!children.is_valid()) {
        PyErr_Clear();
        core::fail<core::TypeError>("register_tree_node", "flatten of ", Py_TYPE(p)->tp_name, " returned ",
            shown(parts), "; it should return a pair (children, auxiliary data).");
      }
      return spread(at, children, words, place, out);
    }
  }
  bool container =
      PyTuple_Check(p) || PyList_Check(p) || PyDict_Check(p) || has_attribute(Py_TYPE(p), "__dataclass_fields__");
  if (!container) {
    size_t end = at;
    for (skip(end); at < end; ++at) {
      if (nodes_[at].kind == Kind::leaf) {
        out.push_back(nb::borrow(prefix));
      }
    }
    return;
  }
  ++at;
  Descent guard;
  if (node.kind == Kind::leaf || node.kind == Kind::none) {
    core::fail(words.op, words.prefix_name, " has ", shown(prefix), " where ", place, " is a single value.");
  }
  for (uint32_t i = 0; i < node.children; ++i) {
    nb::object child = child_of(node, prefix, i);
    if (!child.is_valid()) {
      core::fail(words.op, words.prefix_name, " does not fit: it has ", shown(prefix), " where ", place,
          " is a container of ", node.children, " with the entry ", place, step(node, i), ". ", words.hint);
    }
    spread(at, child, words, place + step(node, i), out);
  }
}

void bind_trees(nb::module_& m) {
  registry = nb::dict().release().ptr();
  class_attribute = PyUnicode_InternFromString("__mlx_tree_node__");
  m.def(
      "_tree_node",
      [](nb::handle cls) -> nb::object {
        PyObject* found = PyType_Check(cls.ptr()) ? registered(reinterpret_cast<PyTypeObject*>(cls.ptr())) : nullptr;
        return found ? nb::borrow(found) : nb::none();
      },
      nb::arg("cls"), nb::sig("def _tree_node(cls: type[typing.Any]) -> typing.Any"));
  m.def(
      "register_tree_node",
      [](nb::handle cls, nb::handle flatten, nb::handle unflatten) {
        if (!PyType_Check(cls.ptr())) {
          core::fail<core::TypeError>("register_tree_node", "cls is ", shown(cls), "; it should be a class.");
        }
        nb::object functions = nb::make_tuple(flatten, unflatten);
        bool fixed = PyType_HasFeature(reinterpret_cast<PyTypeObject*>(cls.ptr()), Py_TPFLAGS_IMMUTABLETYPE) ||
                     !PyType_HasFeature(reinterpret_cast<PyTypeObject*>(cls.ptr()), Py_TPFLAGS_HEAPTYPE);
        int failed = fixed ? PyDict_SetItem(registry, cls.ptr(), functions.ptr())
                           : PyType_Type.tp_setattro(cls.ptr(), class_attribute, functions.ptr());
        if (failed) {
          throw nb::python_error();
        }
      },
      nb::arg("cls"), nb::arg("flatten"), nb::arg("unflatten"),
      nb::sig("def register_tree_node(cls: type[_T], "
              "flatten: collections.abc.Callable[[_T], tuple[collections.abc.Sequence[typing.Any], typing.Any]], "
              "unflatten: collections.abc.Callable[[typing.Any, tuple[typing.Any, ...]], _T]) -> None"),
      R"(Teaches the function transforms that instances of a class are containers.

Lists, tuples, dictionaries, NamedTuples, dataclasses and their nestings need
no registration. Subclasses of ``cls`` are not included.

Args:
    cls (type): The class.
    flatten (callable): Given an instance, returns a pair: a sequence of its
        children, and auxiliary data from which, with the children, an equal
        instance can be made.
    unflatten (callable): Given the auxiliary data and a tuple of children,
        returns an instance.

Raises:
    TypeError: If ``cls`` is not a class.

Example:
    >>> class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    >>> mx.register_tree_node(Pair, lambda p: ((p.a, p.b), None), lambda _, ab: Pair(*ab))
    >>> mx.grad(lambda p: p.a * p.b)(Pair(mx.array(2.0), mx.array(3.0))).a
    array(3, dtype=float32)
)");
}

} // namespace mlx::python
