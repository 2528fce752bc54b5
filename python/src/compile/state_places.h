// The arrays of a state that a compiled function changes: where they are in their containers, so that other arrays can
// be put there.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "python/src/trees/traverse.h"

namespace nb = nanobind;

namespace mlx::python {

// A leaf's place: the keys, indices and attribute names that lead to it.
class StatePlace {
 public:
  // Puts `value` there. Throws when the containers on the way are gone.
  void assign(nb::handle root, nb::handle value) const;
  std::string text() const;
  void traverse(Traversal& owned) const {
    for (const Step& step : steps_) {
      owned(step.key);
    }
  }

 private:
  friend class StateWalk;
  struct Step {
    nb::object key;
    bool is_attribute;
  };
  std::vector<Step> steps_;
};

struct StateLeaf {
  nb::object handle; // an array
  StatePlace place;
};

// The arrays in nested lists, tuples, dicts, dataclasses and attributes named by a tree of these, with their places.
std::vector<StateLeaf> state_leaves(nb::handle root);

} // namespace mlx::python
