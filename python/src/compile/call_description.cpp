// Describing the leaves of a call.
#include "python/src/compile/call_description.h"

#include "python/src/array/convert.h"
#include "python/src/interop/foreign_arrays.h"
#include "python/src/runtime/shown.h"
#include "python/src/trees/trees.h"

namespace mlx::python {

namespace {

std::string description(nb::handle leaf) {
  if (is_array(leaf)) {
    const array& a = read(leaf);
    return std::string(name_of(a.dtype())) + to_string(a.shape());
  }
  if (is_foreign_array(leaf.ptr())) {
    return foreign_description(leaf);
  }
  return shortened(nb::cast<std::string>(nb::repr(leaf)), 60);
}

} // namespace

CallDescription::CallDescription(const Transformation& transformation, const CallArguments& call, nb::handle inputs) {
  for (size_t i = 0; i < call.values.size(); ++i) {
    add(transformation.argument_name(call, i), call.values[i]);
  }
  if (!inputs.is_none()) {
    add("inputs", inputs);
  }
}

void CallDescription::add(const std::string& name, nb::handle root) {
  Leaves leaves;
  Tree tree(root, leaves);
  for (size_t i = 0; i < leaves.size(); ++i) {
    leaves_.emplace_back(name + tree.path(i), description(leaves[i]));
  }
}

std::string CallDescription::difference(const CallDescription& before) const {
  for (size_t i = 0; i < std::min(leaves_.size(), before.leaves_.size()); ++i) {
    const auto& [name, now] = leaves_[i];
    const auto& [old_name, old] = before.leaves_[i];
    if (name != old_name) {
      return "it has an argument " + name + " where the last call had " + old_name;
    }
    if (now != old) {
      return name + " was " + old + ", is " + now;
    }
  }
  if (leaves_.size() != before.leaves_.size()) {
    return "it has " + std::to_string(leaves_.size()) + " arrays and other values, the last had " +
           std::to_string(before.leaves_.size());
  }
  return "its recording was dropped, or the containers differ in kind";
}

} // namespace mlx::python
