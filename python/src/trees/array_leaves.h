// Trees whose leaves are all arrays: what loops carry and branches return.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "python/src/array/convert.h"
#include "python/src/trees/trees.h"

namespace mlx::python {

// Dtypes for the numbers in a tree; none for a number that keeps its own.
using NumberDtypes = std::vector<std::optional<Dtype>>;

class ArrayLeaves {
 public:
  // op and name, which says what the tree is, are for errors.
  ArrayLeaves(const char* op, std::string name, nb::handle root)
      : op_(op), name_(std::move(name)), tree_(root, leaves_) {}

  size_t count() const { return leaves_.size(); }
  bool is_number(size_t leaf) const { return !is_array(leaves_[leaf]); }
  std::string name(size_t leaf) const { return name_ + tree_.path(leaf); }
  nb::handle leaf(size_t i) const { return leaves_[i]; }
  // The leaves; numbers with these dtypes. Throws TypeError, naming the place, when something turns into no array.
  std::vector<array> arrays(const NumberDtypes& dtypes = {}) const;
  // The tree around other arrays, as many as there are leaves.
  nb::object build(std::span<const array> arrays) const;
  nb::object build(std::span<const nb::object> handles) const { return tree_.build(handles); }
  // Puts the leaves into the order that `model` has them in. Throws ValueError when the containers differ.
  void order_like(const ArrayLeaves& model);

 private:
  const char* op_;
  std::string name_;
  Leaves leaves_;
  Tree tree_;
};

// A number was written where the dtype turned out to be another: to be done again with that dtype.
struct NumberAdopts {
  size_t leaf;
  Dtype dtype;
};
// Throws unless each array has the shape and dtype of the one in the model: NumberAdopts when the model's leaf is a
// number that has adopted no dtype yet, else ValueError with both names.
void check_like(const char* op, const ArrayLeaves& model, const std::vector<array>& model_arrays,
    const NumberDtypes& adopted, const ArrayLeaves& leaves, const std::vector<array>& arrays, const char* way_out);

} // namespace mlx::python
