// Where a recorded function found the array handles it read: variables around it and containers in them. When another
// object is there, the recording no longer fits.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "python/src/traverse.h"

namespace nb = nanobind;

namespace mlx::python {

class NameGuards {
 public:
  // Looks for `handles` in the closure and the globals of fun, of the functions that these refer to, and in lists,
  // tuples, dicts and attributes of objects there. Handles there that hold one of `constants` (ids) were read by
  // somebody who does not say so, a module of the user's; they are watched, too.
  NameGuards(
      nb::handle fun, const std::unordered_set<PyObject*>& handles, const std::unordered_set<uintptr_t>& constants);
  NameGuards() = default;

  // The handles whose reading was not noted.
  const std::vector<nb::object>& unnoted() const { return unnoted_; }

  // The name of the first place that holds another object now ("params['w']"); empty when all are as they were.
  std::string changed() const;
  bool hold() const {
    for (const Place& place : places_) {
      if (place.read() != place.expected) {
        return false;
      }
    }
    return true;
  }

  void traverse(Traversal& owned) const {
    owned(unnoted_);
    for (const Place& place : places_) {
      owned(place.container);
      owned(place.key);
    }
  }

 private:
  struct Place {
    nb::object container; // a cell, dict or list
    nb::object key;       // of a dict; null for a cell
    Py_ssize_t index;     // of a list
    PyObject* expected;   // kept alive by the recording
    std::string name;
    PyObject* read() const; // borrowed; null when there is nothing
  };
  class Search;
  std::vector<Place> places_;
  std::vector<nb::object> unnoted_;
};

} // namespace mlx::python
