// The arguments of a call that are differentiated: which they are, their arrays, and trees like them.
#pragma once

#include "python/src/transforms/primals.h"
#include "python/src/transforms/transformed.h"

namespace mlx::python {

// What argnums and argnames say.
class ArgumentChoice {
 public:
  // argnums is 0 when neither is given. Names are kept once.
  ArgumentChoice(const char* op, std::optional<Axes> argnums, nb::handle argnames);

  size_t position_count() const { return argnums_.size(); }
  const std::vector<nb::object>& names() const { return argnames_; }
  void traverse(Traversal& owned) const { owned(argnames_); }
  // As a value, for Transformation::settings().
  nb::object settings() const;
  // Places among the call's values: positional ones in order, then keywords in the order of argnames.
  core::SmallVector<size_t, 2> places(const char* op, const CallArguments& arguments) const;

 private:
  size_t keyword_place(const char* op, const CallArguments& arguments, nb::handle argname) const;

  Axes argnums_;
  std::vector<nb::object> argnames_;
};

// The chosen arguments of one call of a transformation. Valid during the call.
class ChosenArguments {
 public:
  ChosenArguments(const Transformation& transformation, const ArgumentChoice& choice, const CallArguments& arguments);

  const std::vector<array>& primals() const { return primals_; }
  // The function's result with these arrays in place of the primals.
  nb::object call(const std::vector<array>& inputs);
  // What has one object for each primal, in the form of the gradient: a tree like the argument for one position, a
  // tuple of trees for several; with names a pair of that (or None) and a dict. Static leaves are themselves.
  nb::object form(std::span<const nb::object> objects) const;

 private:
  struct Selected {
    size_t value; // its place among the call's values
    Tree tree;
    size_t first_leaf;
  };
  std::string leaf_name(size_t leaf) const;

  const Transformation& transformation_;
  const ArgumentChoice& choice_;
  const CallArguments& arguments_;
  core::SmallVector<Selected, 2> selected_;
  Leaves leaves_;              // static ones, and None in the places of primals
  std::vector<size_t> places_; // of the primals among the leaves
  std::vector<array> primals_;
};

} // namespace mlx::python
