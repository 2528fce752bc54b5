// Trees of what something is differentiated with respect to: arrays and numbers, among leaves that are neither.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "mlx_core/transforms.h"
#include "python/src/transforms/traced_call.h"

namespace mlx::python {

// A leaf that derivatives do not concern: no array and no number, but a string, a flag, a function, an enum. It stays
// where it is, in what a function gets and in what has the form of its arguments.
bool is_static_leaf(nb::handle leaf);

// A leaf as something to differentiate with respect to: numbers become arrays, what has no gradient is refused with a
// TypeError in which path() says which leaf it is.
array differentiable(const char* op, nb::handle leaf, const std::function<std::string()>& path);

class Primals {
 public:
  // keep: integer and bool arrays are primals, too, whose derivatives are zero; refuse: they raise TypeError.
  enum class Integers : uint8_t { refuse, keep };
  Primals(const char* op, std::string name, nb::handle root, Integers integers = Integers::refuse);

  const std::vector<array>& arrays() const { return arrays_; }
  // "primals[0]['w']"
  std::string name(size_t primal) const { return name_ + tree_.path(positions_[primal]); }
  // The tree around other arrays, one for each primal.
  nb::object build(std::span<const array> values) const;
  // Tangents given as a tree like this one; None is zero, of a container or an array.
  core::Tangents tangents(const char* op, const char* given_name, nb::handle given) const;
  // Shows the collector what it owns.
  void traverse(Traversal& owned) const {
    owned(leaves_);
    tree_.traverse(owned);
  }

 private:
  std::string name_;
  Leaves leaves_; // None in the places of primals
  Tree tree_;
  std::vector<size_t> positions_; // of the primals among the leaves
  std::vector<array> arrays_;
};

// A leaf as a primal.
array primal_of(const char* op, nb::handle leaf, Primals::Integers integers, const std::function<std::string()>& path);

// Cotangents given for what a function returned, as a tree like that: one for each array. None is zero.
core::Tangents cotangents_of(
    const char* op, const ArrayTree& output, const std::vector<core::Spec>& outputs, nb::handle given);

// fun(*args), for an argument tuple.
nb::object called_with(nb::handle fun, nb::handle args);

} // namespace mlx::python
