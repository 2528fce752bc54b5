// Turning all leaves of a tree into arrays, and comparing such trees.
#include "python/src/trees/array_leaves.h"

#include "mlx_core/error.h"
#include "python/src/transforms/bind_transforms.h"

namespace mlx::python {

std::vector<array> ArrayLeaves::arrays(const NumberDtypes& dtypes) const {
  std::vector<array> out;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    PyObject* leaf = leaves_[i].ptr();
    std::optional<array> a =
        is_array(leaf) ? read(leaf) : try_to_array(leaf, i < dtypes.size() ? dtypes[i] : std::nullopt);
    if (!a) {
      core::fail<core::TypeError>(op_, name(i), " is a ", class_name(leaf), "; it should be an array or a number.");
    }
    out.push_back(std::move(*a));
  }
  return out;
}

nb::object ArrayLeaves::build(std::span<const array> arrays) const {
  Leaves leaves;
  for (const array& a : arrays) {
    leaves.push_back(nb::steal(wrap(a)));
  }
  return tree_.build(leaves);
}

void ArrayLeaves::order_like(const ArrayLeaves& model) {
  std::vector<size_t> order;
  std::string place;
  if (!model.tree_.matches(tree_, order, place)) {
    core::fail(op_, name_, " and ", model.name_, " are different containers, or hold different ones at ", model.name_,
        place, ". Return the same containers with as many entries.");
  }
  Leaves ordered;
  for (size_t i : order) {
    ordered.push_back(leaves_[i]);
  }
  leaves_ = std::move(ordered);
}

void check_like(const char* op, const ArrayLeaves& model, const std::vector<array>& model_arrays,
    const NumberDtypes& adopted, const ArrayLeaves& leaves, const std::vector<array>& arrays, const char* way_out) {
  for (size_t i = 0; i < arrays.size(); ++i) {
    const array &a = model_arrays[i], &b = arrays[i];
    bool same_shape = a.shape() == b.shape();
    if (same_shape && a.dtype() == b.dtype()) {
      continue;
    }
    if (same_shape && model.is_number(i) && !adopted[i]) {
      throw NumberAdopts{i, b.dtype()};
    }
    core::fail(op, model.name(i), " has shape ", a.shape(), " and dtype ", a.dtype(), ", but ", leaves.name(i),
        " has shape ", b.shape(), " and dtype ", b.dtype(), ". ", way_out);
  }
}

} // namespace mlx::python
