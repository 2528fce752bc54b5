// Comparing what a function was given with what it left.
#include "python/src/transforms/argument_edits.h"

namespace mlx::python {

namespace {

Leaves handles_in(nb::handle args, nb::handle kwargs) {
  Leaves leaves;
  Tree::collect(args, leaves);
  Tree::collect(kwargs, leaves);
  std::erase_if(leaves, [](const nb::object& leaf) { return !is_array(leaf); });
  return leaves;
}

} // namespace

void ArgumentEdits::watch(nb::handle args, nb::handle kwargs) {
  given_ = handles_in(args, kwargs);
  for (const nb::object& handle : given_) {
    before_.push_back(read(handle));
  }
  changes_.watch(args_, args);
  changes_.watch(kwargs_, kwargs);
}

size_t ArgumentEdits::take(std::vector<array>& outputs) {
  size_t results = outputs.size();
  changed_.clear();
  for (size_t i = 0; i < given_.size(); ++i) {
    const array& now = read(given_[i]);
    if (now.id() != before_[i].id()) {
      outputs.push_back(now);
      changed_.push_back(i);
      rebind(given_[i].ptr(), before_[i]); // the handle changes, so that what holds it has not
    }
  }
  edited_ = EditedArrays(changes_.take(), outputs);
  given_.clear();
  before_.clear();
  return outputs.size() - results;
}

void ArgumentEdits::apply(std::span<const array> outputs) {
  std::span<const array> last = outputs.last(changed_.size() + edited_.count());
  if (!changed_.empty()) {
    Leaves caller = handles_in(args_, kwargs_); // as many, and in the same places
    for (size_t i = 0; i < changed_.size() && changed_[i] < caller.size(); ++i) {
      rebind(caller[changed_[i]].ptr(), last[i]);
    }
  }
  edited_.apply(last.subspan(changed_.size()));
}

} // namespace mlx::python
