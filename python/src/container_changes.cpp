// Comparing the containers that a function was given with what they were, and carrying the differences over.
#include "python/src/container_changes.h"

#include <algorithm>

namespace mlx::python {

namespace {

using Edit = ContainerEdit;

void check(int failed) {
  if (failed) {
    throw nb::python_error();
  }
}

// The attributes of an instance that is a tree; null when it has no __dict__, or is no tree.
nb::object attributes_of(nb::handle o) {
  nb::object attributes = nb::steal(PyObject_GetAttrString(o.ptr(), "__dict__"));
  if (!attributes.is_valid()) {
    PyErr_Clear();
  } else if (!PyDict_CheckExact(attributes.ptr())) {
    attributes.reset();
  }
  return attributes;
}

nb::object slots_of(nb::handle o) {
  nb::dict values;
  for (nb::handle field : nb::module_::import_("dataclasses").attr("fields")(o)) {
    nb::object name = field.attr("name");
    if (PyObject_HasAttr(o.ptr(), name.ptr())) {
      values[name] = nb::getattr(o, name);
    }
  }
  return values;
}

const core::Node* node_of(nb::handle o) { return is_array(o) ? read(o).node() : nullptr; }

nb::object dict_of(nb::handle o) {
  nb::object attributes = attributes_of(o);
  if (!attributes.is_valid() &&
      PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o.ptr())), "__dataclass_fields__")) {
    attributes = slots_of(o);
  }
  return attributes;
}

} // namespace

void ContainerEdit::apply() const {
  PyObject* o = target.ptr();
  switch (kind) {
    case Kind::whole_list: {
      nb::list items;
      for (const Value& v : values) {
        items.append(v.object);
      }
      check(PyList_SetSlice(o, 0, PyList_GET_SIZE(o), items.ptr()));
      break;
    }
    case Kind::set_item: check(PyObject_SetItem(o, key.ptr(), values[0].object.ptr())); break;
    case Kind::delete_item: {
      if (PyMapping_HasKey(o, key.ptr())) {
        check(PyObject_DelItem(o, key.ptr()));
      }
      break;
    }
    case Kind::set_attribute: check(PyObject_GenericSetAttr(o, key.ptr(), values[0].object.ptr())); break;
    case Kind::delete_attribute: {
      if (PyObject_HasAttr(o, key.ptr())) {
        check(PyObject_GenericSetAttr(o, key.ptr(), nullptr));
      }
      break;
    }
  }
}

void ContainerChanges::watch(nb::handle original, nb::handle given) {
  PyObject *o = original.ptr(), *g = given.ptr();
  if (o == g || Py_TYPE(o) != Py_TYPE(g) || is_array(o)) {
    return;
  }
  if (PyTuple_Check(o)) {
    for (Py_ssize_t i = 0; i < std::min(PyTuple_GET_SIZE(o), PyTuple_GET_SIZE(g)); ++i) {
      watch(PyTuple_GET_ITEM(o, i), PyTuple_GET_ITEM(g, i));
    }
    return;
  }
  if (PyList_Check(o)) {
    Container c{Kind::list, nb::borrow(original), nb::borrow(given), {}};
    for (Py_ssize_t i = 0; i < std::min(PyList_GET_SIZE(o), PyList_GET_SIZE(g)); ++i) {
      nb::handle child = PyList_GET_ITEM(g, i);
      c.entries.push_back({nb::none(), nb::borrow(child), nb::borrow(PyList_GET_ITEM(o, i)), node_of(child)});
    }
    watch_children(std::move(c));
    return;
  }
  auto keyed = [&](Kind kind, nb::handle from, nb::handle to) {
    Container c{kind, nb::borrow(original), nb::borrow(given), {}};
    PyObject *key, *child;
    for (Py_ssize_t at = 0; PyDict_Next(to.ptr(), &at, &key, &child);) {
      PyObject* before = PyDict_GetItemWithError(from.ptr(), key);
      if (!before && PyErr_Occurred()) {
        throw nb::python_error();
      }
      c.entries.push_back({nb::borrow(key), nb::borrow(child), nb::borrow(before ? before : Py_None), node_of(child)});
    }
    watch_children(std::move(c));
  };
  if (PyDict_Check(o)) {
    keyed(Kind::dict, original, given);
    if (PyDict_CheckExact(o)) {
      return;
    }
  }
  // An instance of a dataclass, of a registered class, or of a subclass of dict: the tree made another one of it.
  nb::object from = dict_of(original), to = dict_of(given);
  if (from.is_valid() && to.is_valid()) {
    keyed(Kind::attributes, from, to);
  }
}

void ContainerChanges::watch_children(Container container) {
  size_t at = containers_.size();
  containers_.push_back(std::move(container));
  for (size_t i = 0; i < containers_[at].entries.size(); ++i) {
    nb::object original = containers_[at].entries[i].original, given = containers_[at].entries[i].given;
    watch(original, given);
  }
}

bool ContainerChanges::unchanged(const Entry& entry, PyObject* now) {
  return entry.given.ptr() == now && (!entry.node || read(now).node() == entry.node);
}

// The caller's object for one that the function was given; else the object itself.
Edit::Value ContainerChanges::translated(nb::handle now) const {
  for (const Container& c : containers_) {
    if (c.given.is(now)) {
      return {c.original, false};
    }
    for (const Entry& entry : c.entries) {
      if (entry.given.is(now)) {
        if (unchanged(entry, now.ptr())) {
          return {entry.original, false};
        }
        return {nb::steal(wrap(read(now))), true}; // updated in place; the caller's own handle stays as it is
      }
    }
  }
  return {nb::borrow(now), true};
}

void ContainerChanges::compare(const Container& c, std::vector<Edit>& edits) const {
  if (c.kind == Kind::list) {
    PyObject* list = c.given.ptr();
    bool same = PyList_GET_SIZE(list) == static_cast<Py_ssize_t>(c.entries.size());
    for (size_t i = 0; same && i < c.entries.size(); ++i) {
      same = unchanged(c.entries[i], PyList_GET_ITEM(list, i));
    }
    if (!same) {
      Edit edit{Edit::Kind::whole_list, c.original, nb::none(), {}};
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
        edit.values.push_back(translated(PyList_GET_ITEM(list, i)));
      }
      edits.push_back(std::move(edit));
    }
    return;
  }
  bool attributes = c.kind == Kind::attributes;
  nb::object now = attributes ? dict_of(c.given) : c.given;
  for (const Entry& entry : c.entries) {
    PyObject* value = PyDict_GetItemWithError(now.ptr(), entry.key.ptr());
    if (value && unchanged(entry, value)) {
      continue;
    }
    if (value) {
      edits.push_back(
          {attributes ? Edit::Kind::set_attribute : Edit::Kind::set_item, c.original, entry.key, {translated(value)}});
    } else if (PyErr_Occurred()) {
      throw nb::python_error();
    } else {
      edits.push_back({attributes ? Edit::Kind::delete_attribute : Edit::Kind::delete_item, c.original, entry.key, {}});
    }
  }
  PyObject *key, *value;
  size_t count = static_cast<size_t>(PyDict_GET_SIZE(now.ptr()));
  size_t deleted = static_cast<size_t>(std::count_if(edits.begin(), edits.end(), [&](const Edit& e) {
    return e.target.is(c.original) && (e.kind == Edit::Kind::delete_item || e.kind == Edit::Kind::delete_attribute);
  }));
  if (count == c.entries.size() && deleted == 0) {
    return; // no new key
  }
  nb::object known = nb::steal(PySet_New(nullptr));
  for (const Entry& entry : c.entries) {
    check(PySet_Add(known.ptr(), entry.key.ptr()));
  }
  for (Py_ssize_t at = 0; PyDict_Next(now.ptr(), &at, &key, &value);) {
    if (PySet_Contains(known.ptr(), key) == 0) {
      edits.push_back({attributes ? Edit::Kind::set_attribute : Edit::Kind::set_item, c.original, nb::borrow(key),
          {translated(value)}});
    }
  }
}

std::vector<Edit> ContainerChanges::take() {
  std::vector<Edit> edits;
  for (const Container& container : containers_) {
    compare(container, edits);
  }
  containers_.clear();
  return edits;
}

EditedArrays::EditedArrays(std::vector<Edit> edits, std::vector<array>& arrays) : edits_(std::move(edits)) {
  for (size_t e = 0; e < edits_.size(); ++e) {
    for (size_t v = 0; v < edits_[e].values.size(); ++v) {
      Edit::Value& value = edits_[e].values[v];
      if (!value.is_new) {
        continue;
      }
      Leaves leaves;
      Tree tree(value.object, leaves);
      std::vector<size_t> found;
      for (size_t i = 0; i < leaves.size(); ++i) {
        if (is_array(leaves[i])) {
          arrays.push_back(read(leaves[i]));
          found.push_back(i);
          leaves[i] = nb::none();
        }
      }
      if (!found.empty()) {
        count_ += found.size();
        places_.push_back({e, v, std::move(tree), std::move(leaves), std::move(found)});
        value.object = nb::none();
      }
    }
  }
}

void EditedArrays::apply(std::span<const array> arrays) {
  size_t next = 0;
  for (Place& place : places_) {
    for (size_t leaf : place.arrays) {
      place.leaves[leaf] = nb::steal(wrap(arrays[next++]));
    }
    edits_[place.edit].values[place.value].object = place.tree.build(place.leaves);
  }
  for (const Edit& edit : edits_) {
    edit.apply();
  }
}

} // namespace mlx::python
