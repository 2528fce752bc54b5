// Taking calls apart and putting them together again around other arrays.
#include "python/src/transforms/traced_call.h"

#include "mlx_core/error.h"
#include "python/src/trees/descent.h"

namespace mlx::python {

ArrayTree::ArrayTree(nb::handle root, std::vector<array>& arrays) : tree_(root, leaves_) {
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (is_array(leaves_[i])) {
      arrays.push_back(read(leaves_[i]));
      positions_.push_back(i);
      leaves_[i] = nb::none();
    }
  }
}

nb::object ArrayTree::build(std::span<const array> arrays) const {
  std::vector<array> copies(arrays.begin(), arrays.end());
  return build_of(copies);
}

nb::object ArrayTree::build_of(std::span<array> arrays, const Replaced& others) const {
  check_count(arrays.size());
  core::SmallVector<nb::object, 8> leaves;
  leaves.reserve(leaves_.size());
  for (size_t i = 0, next = 0; i < leaves_.size(); ++i) {
    bool is_array = next < positions_.size() && positions_[next] == i;
    leaves.push_back(is_array ? nb::steal(wrap(std::move(arrays[next++]))) : leaves_[i]);
  }
  for (const auto& [at, leaf] : others) {
    leaves[at] = leaf;
  }
  return tree_.build({leaves.begin(), leaves.size()});
}

void ArrayTree::check_count(size_t given) const {
  if (given < positions_.size()) { // functions of the user's that return another number of arrays when called again
    core::fail<std::runtime_error>("tree", "a container with ", positions_.size(), " arrays is to be built around ",
        given, ": a function returned different containers at different times.");
  }
}

nb::object ArrayTree::build(std::span<const std::optional<array>> arrays) const {
  check_count(arrays.size());
  return build_values([&](size_t i) { return arrays[i] ? nb::steal(wrap(*arrays[i])) : nb::object(nb::none()); });
}

std::vector<nb::object> ArrayTree::match(
    nb::handle values, const char* op, const char* values_name, const char* name, const char* verb) const {
  Leaves spread;
  std::string hint = verb + std::string(" a container of the same kind and length; None stands for zeros.");
  tree_.spread(values, values_name, name, spread, op, hint.c_str());
  std::vector<nb::object> out;
  size_t used = 0;
  for (size_t position : positions_) {
    out.push_back(spread[position]);
    used += is_array(out.back());
  }
  // An array in the place of a container is handed down to everything in it, which is meant for None only.
  Leaves given;
  Tree::collect(values, given);
  size_t arrays = 0;
  for (const nb::object& leaf : given) {
    arrays += is_array(leaf);
  }
  if (used > arrays) {
    core::fail(op, values_name, " has ", arrays, " arrays where ", name, " has ", used, ". ", verb,
        " a container like ", name, ", with None for zeros.");
  }
  return out;
}

nb::object TracedCall::result_of(nb::handle fun, const std::vector<array>& arrays, const Before& before) {
  nb::object args = positional.build(std::span(arrays).first(positional.array_count()));
  nb::object kwargs = named_arguments(arrays);
  if (before) {
    before(args, kwargs);
  }
  Descent guard(" in a transformed function");
  nb::object result = nb::steal(PyObject_Call(fun.ptr(), args.ptr(), kwargs.ptr()));
  if (!result.is_valid()) {
    throw nb::python_error();
  }
  return result;
}

std::vector<array> TracedCall::run(nb::handle fun, const std::vector<array>& arrays, const Before& before) {
  nb::object result = result_of(fun, arrays, before);
  std::vector<array> outputs;
  output.emplace(result, outputs);
  return outputs;
}

std::vector<array> TracedCall::run_with_residuals(
    const char* op, nb::handle fun, const std::vector<array>& arrays, const Before& before) {
  nb::object result = result_of(fun, arrays, before);
  PyObject* o = result.ptr();
  Py_ssize_t several = PyTuple_Check(o) || PyList_Check(o) ? PySequence_Fast_GET_SIZE(o) : 0;
  if (several != 2) {
    std::string count = several ? " of " + std::to_string(several) : std::string();
    core::fail<core::TypeError>(op, "the forward rule returned a ", Py_TYPE(o)->tp_name, count,
        "; it should return a pair: the output, and the residuals.");
  }
  nb::object first = nb::borrow(PySequence_Fast_GET_ITEM(o, 0)), second = nb::borrow(PySequence_Fast_GET_ITEM(o, 1));
  std::vector<array> outputs;
  output.emplace(first, outputs);
  residuals.emplace(second, outputs);
  return outputs;
}

} // namespace mlx::python
