// Comparing the containers that a function was given with what they were, and carrying the differences over.
#include "python/src/transforms/container_changes.h"

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

size_t ContainerChanges::add(Kind kind, nb::handle original, nb::handle given, size_t count) {
  containers_.push_back({kind, nb::borrow(original), nb::borrow(given), entries_.size(), count});
  return entries_.size();
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
  } else if (PyList_Check(o)) {
    Py_ssize_t n = std::min(PyList_GET_SIZE(o), PyList_GET_SIZE(g));
    add(Kind::list, original, given, static_cast<size_t>(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
      nb::handle child = PyList_GET_ITEM(g, i);
      entries_.push_back({nb::borrow(child), node_of(child), {}});
    }
    for (Py_ssize_t i = 0; i < std::min(n, PyList_GET_SIZE(o)); ++i) {
      watch(PyList_GET_ITEM(o, i), PyList_GET_ITEM(g, i));
    }
  } else if (PyDict_CheckExact(o)) {
    watch_dict(original, given);
  } else { // an instance of a dataclass, of a registered class, or of a subclass of dict: the tree made another of it
    if (PyDict_Check(o)) {
      watch_dict(original, given);
    }
    watch_attributes(original, given);
  }
}

void ContainerChanges::watch_dict(nb::handle original, nb::handle given) {
  PyObject *key, *child;
  size_t first = add(Kind::dict, original, given, static_cast<size_t>(PyDict_GET_SIZE(given.ptr())));
  for (Py_ssize_t at = 0; PyDict_Next(given.ptr(), &at, &key, &child);) {
    entries_.push_back({nb::borrow(child), node_of(child), {}});
  }
  size_t i = first, end = entries_.size();
  for (Py_ssize_t at = 0; i < end && PyDict_Next(original.ptr(), &at, &key, &child); ++i) {
    if (!is_array(child)) {
      nb::object before = nb::borrow(child), now = entries_[i].given;
      watch(before, now);
    }
  }
}

void ContainerChanges::watch_attributes(nb::handle original, nb::handle given) {
  nb::object from = dict_of(original), to = dict_of(given);
  if (!from.is_valid() || !to.is_valid()) {
    return;
  }
  PyObject *key, *child;
  size_t first = add(Kind::attributes, original, given, static_cast<size_t>(PyDict_GET_SIZE(to.ptr())));
  for (Py_ssize_t at = 0; PyDict_Next(to.ptr(), &at, &key, &child);) {
    entries_.push_back({nb::borrow(child), node_of(child), nb::borrow(key)});
  }
  for (size_t i = first, end = entries_.size(); i < end; ++i) {
    nb::object now = entries_[i].given;
    if (PyObject* before = PyDict_GetItemWithError(from.ptr(), entries_[i].key.ptr())) {
      watch(nb::borrow(before), now);
    }
  }
}

bool ContainerChanges::unchanged(const Entry& entry, PyObject* now) const {
  return entry.given.ptr() == now && (!entry.node || read(now).node() == entry.node);
}

// Without looking for keys: a list, or a dict with the keys of the original in their order.
bool ContainerChanges::unchanged(const Container& c) const {
  PyObject* given = c.given.ptr();
  if (c.kind == Kind::list) {
    bool same = PyList_GET_SIZE(given) == static_cast<Py_ssize_t>(c.count);
    for (size_t i = 0; same && i < c.count; ++i) {
      same = unchanged(entries_[c.first + i], PyList_GET_ITEM(given, i));
    }
    return same;
  }
  if (c.kind == Kind::dict) {
    PyObject *key, *value, *original_key, *original_value;
    bool same = PyDict_GET_SIZE(given) == static_cast<Py_ssize_t>(c.count);
    Py_ssize_t at = 0, original_at = 0;
    for (size_t i = 0; same && i < c.count; ++i) {
      same = PyDict_Next(given, &at, &key, &value) &&
             PyDict_Next(c.original.ptr(), &original_at, &original_key, &original_value) && key == original_key &&
             unchanged(entries_[c.first + i], value);
    }
    return same;
  }
  return false;
}

// The caller's object in the place of an entry.
nb::object ContainerChanges::original_of(const Container& c, size_t entry) const {
  PyObject* o = c.original.ptr();
  if (c.kind == Kind::list) {
    bool there = static_cast<Py_ssize_t>(entry) < PyList_GET_SIZE(o);
    return there ? nb::borrow(PyList_GET_ITEM(o, entry)) : nb::object();
  }
  if (c.kind == Kind::attributes) {
    nb::object now = dict_of(c.original);
    return nb::borrow(PyDict_GetItemWithError(now.ptr(), entries_[c.first + entry].key.ptr()));
  }
  PyObject *key, *value = nullptr;
  Py_ssize_t at = 0;
  for (size_t i = 0; i <= entry; ++i) {
    if (!PyDict_Next(o, &at, &key, &value)) {
      return {};
    }
  }
  return nb::borrow(value);
}

// The caller's object for one that the function was given; else the object itself.
Edit::Value ContainerChanges::translated(nb::handle now) const {
  for (const Container& c : containers_) {
    if (c.given.is(now)) {
      return {c.original, false};
    }
  }
  for (const Container& c : containers_) {
    for (size_t i = 0; i < c.count; ++i) {
      const Entry& entry = entries_[c.first + i];
      if (!entry.given.is(now)) {
        continue;
      }
      if (!unchanged(entry, now.ptr())) {
        return {nb::steal(wrap(read(now))), true}; // updated in place; the caller's own handle stays as it is
      }
      if (nb::object original = original_of(c, i); original.is_valid()) {
        return {original, false};
      }
    }
  }
  return {nb::borrow(now), true};
}

void ContainerChanges::compare(const Container& c, std::vector<Edit>& edits) const {
  if (unchanged(c)) {
    return;
  }
  if (c.kind == Kind::list) {
    Edit edit{Edit::Kind::whole_list, c.original, nb::none(), {}};
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(c.given.ptr()); ++i) {
      edit.values.push_back(translated(PyList_GET_ITEM(c.given.ptr(), i)));
    }
    edits.push_back(std::move(edit));
    return;
  }
  bool attributes = c.kind == Kind::attributes;
  Edit::Kind set = attributes ? Edit::Kind::set_attribute : Edit::Kind::set_item;
  Edit::Kind remove = attributes ? Edit::Kind::delete_attribute : Edit::Kind::delete_item;
  nb::object now = attributes ? dict_of(c.given) : c.given;
  nb::object known = nb::steal(PySet_New(nullptr));
  auto compare_key = [&](nb::handle key, const Entry& entry) {
    check(PySet_Add(known.ptr(), key.ptr()));
    PyObject* value = PyDict_GetItemWithError(now.ptr(), key.ptr());
    if (!value && PyErr_Occurred()) {
      throw nb::python_error();
    }
    if (!value) {
      edits.push_back({remove, c.original, nb::borrow(key), {}});
    } else if (!unchanged(entry, value)) {
      edits.push_back({set, c.original, nb::borrow(key), {translated(value)}});
    }
  };
  PyObject *key, *value;
  Py_ssize_t at = 0;
  for (size_t i = 0; i < c.count; ++i) {
    const Entry& entry = entries_[c.first + i];
    if (attributes) {
      compare_key(entry.key, entry);
    } else if (PyDict_Next(c.original.ptr(), &at, &key, &value)) {
      compare_key(nb::borrow(key), entry);
    }
  }
  at = 0;
  while (PyDict_Next(now.ptr(), &at, &key, &value)) {
    if (PySet_Contains(known.ptr(), key) == 0) {
      edits.push_back({set, c.original, nb::borrow(key), {translated(value)}});
    }
  }
}

std::vector<Edit> ContainerChanges::take() {
  std::vector<Edit> edits;
  for (const Container& container : containers_) {
    compare(container, edits);
  }
  containers_.clear();
  entries_.clear();
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
