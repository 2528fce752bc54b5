// What is in a list, tuple or dict at one moment, owned.
//
// Code of the user's runs in many places: __index__, __hash__, __eq__, __array__, attributes, flatten functions, and
// destructors behind any of these. It may change the container that is being walked, so that a borrowed item is gone
// and a length is no longer true. Whoever walks a container of the user's across such code walks one of these instead.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "mlx_core/small_vector.h"

namespace nb = nanobind;

namespace mlx::python {

// The items of a list or tuple, or of an instance of a subclass. A tuple does not change, so that it is only kept.
class Items {
 public:
  explicit Items(PyObject* list_or_tuple) : count_(static_cast<size_t>(PySequence_Fast_GET_SIZE(list_or_tuple))) {
    if (PyTuple_Check(list_or_tuple)) {
      tuple_ = nb::borrow(list_or_tuple);
      return;
    }
    list_.reserve(count_);
    for (size_t i = 0; i < count_; ++i) { // which runs no code but this
      list_.push_back(nb::borrow(PyList_GET_ITEM(list_or_tuple, static_cast<Py_ssize_t>(i))));
    }
  }
  Items(const Items&) = delete;
  Items& operator=(const Items&) = delete;

  size_t size() const { return count_; }
  // Lives as long as this.
  PyObject* operator[](size_t i) const {
    return tuple_.is_valid() ? PyTuple_GET_ITEM(tuple_.ptr(), static_cast<Py_ssize_t>(i)) : list_[i].ptr();
  }

 private:
  size_t count_;
  nb::object tuple_;
  core::SmallVector<nb::object, 6> list_;
};

// The keys and values of a dict, or of an instance of a subclass, in the dict's own order.
class Entries {
 public:
  struct Entry {
    nb::object key, value;
  };
  explicit Entries(PyObject* dict) {
    entries_.reserve(static_cast<size_t>(PyDict_GET_SIZE(dict)));
    Py_ssize_t position = 0;
    PyObject *key = nullptr, *value = nullptr;
    while (PyDict_Next(dict, &position, &key, &value)) { // which runs no code but this
      entries_.push_back({nb::borrow(key), nb::borrow(value)});
    }
  }
  Entries(const Entries&) = delete;
  Entries& operator=(const Entries&) = delete;

  size_t size() const { return entries_.size(); }
  const Entry* begin() const { return entries_.begin(); }
  const Entry* end() const { return entries_.end(); }

 private:
  core::SmallVector<Entry, 4> entries_;
};

} // namespace mlx::python
