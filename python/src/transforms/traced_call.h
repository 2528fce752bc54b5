// One call of a Python function whose work is recorded: trees of arguments and outputs, and the arrays in them.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "mlx_core/eval/fork.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/gil.h"
#include "python/src/trees/trees.h"

namespace nb = nanobind;

namespace mlx::python {

// A tree, its leaves that are no arrays, and where the arrays go. It holds no array, so that arrays live as long as the
// graph, not as what remembers the shape of a call.
class ArrayTree {
 public:
  // Moves the arrays of `root` to the end of `arrays`.
  ArrayTree(nb::handle root, std::vector<array>& arrays);

  size_t array_count() const { return positions_.size(); }
  // The tree around other arrays, of which there are array_count(); nullopt becomes None.
  nb::object build(std::span<const array> arrays) const;
  nb::object build(std::span<const std::optional<array>> arrays) const;
  // The same of arrays that are needed no more, with other leaves, by their numbers.
  using Replaced = std::vector<std::pair<size_t, nb::object>>;
  nb::object build_of(std::span<array> arrays, const Replaced& others = {}) const;
  // The leaves that are no arrays.
  const Leaves& others() const { return leaves_; }
  // The same tree with, at each array, what `value(i)` gives, and None at other leaves.
  template <typename Value>
  nb::object build_values(Value&& value) const {
    Leaves leaves(tree_.leaf_count(), nb::none());
    for (size_t i = 0; i < positions_.size(); ++i) {
      leaves[positions_[i]] = value(i);
    }
    return tree_.build(leaves);
  }
  // For each array of this tree, what `values`, a tree like this one, has in its place. None stands for a whole
  // subtree.
  std::vector<nb::object> match(
      nb::handle values, const char* op, const char* values_name, const char* name, const char* verb = "Return") const;
  // Where an array is: "['layers'][2].weight".
  std::string path(size_t i) const { return tree_.path(positions_[i]); }
  // Shows the collector what it owns.
  void traverse(Traversal& owned) const {
    owned(leaves_);
    tree_.traverse(owned);
  }

 private:
  void check_count(size_t given) const;

  // Owns Python objects and may be let go with a graph, on any thread.
  Leaves leaves_;
  Tree tree_;
  std::vector<size_t> positions_;
};

// The arguments of a call, and once it ran, its output.
struct TracedCall {
  TracedCall(nb::handle args, nb::handle kwargs, std::vector<array>& arrays)
      : positional(args, arrays), named(kwargs, arrays) {}
  ArrayTree positional; // a tuple
  ArrayTree named;      // a dict
  std::optional<ArrayTree> output;
  std::optional<ArrayTree> residuals; // what the function returned beside it, for a rule

  // fun(*args, **kwargs) with these arrays in the arguments; the arrays of the output. `before` gets args and kwargs.
  using Before = std::function<void(nb::handle args, nb::handle kwargs)>;
  std::vector<array> run(nb::handle fun, const std::vector<array>& arrays, const Before& before = {});
  // Where fun returns a pair: the arrays of the output, then those of the residuals.
  std::vector<array> run_with_residuals(
      const char* op, nb::handle fun, const std::vector<array>& arrays, const Before& before = {});
  nb::object named_arguments(std::span<const array> arrays) const {
    return named.build(arrays.subspan(positional.array_count(), named.array_count()));
  }

 private:
  nb::object result_of(nb::handle fun, const std::vector<array>& arrays, const Before& before);
};

// While the graph that a function made is walked through, no evaluation may let parts of it go. The interpreter lock is
// released to wait for the one in progress.
class EvaluationHold {
 public:
  ~EvaluationHold() { release(); }
  void hold() {
    WithoutGil released;
    core::hold_evaluation();
    held_ = true;
  }
  void release() {
    if (std::exchange(held_, false)) {
      core::release_evaluation();
    }
  }

 private:
  bool held_ = false;
};

// Deletes something that owns Python objects, from any thread.
template <typename T>
void delete_locked(const T* object) {
  if (Py_IsInitialized()) { // after that they are gone or leak
    nb::gil_scoped_acquire locked;
    delete object;
  }
}
template <typename T, typename... Args>
std::shared_ptr<T> make_locked(Args&&... args) {
  return std::shared_ptr<T>(new T(std::forward<Args>(args)...), delete_locked<T>);
}

} // namespace mlx::python
