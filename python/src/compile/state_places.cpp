// Walking the containers of a state.
#include "python/src/compile/state_places.h"

#include "mlx_core/error.h"
#include "python/src/array/convert.h"
#include "python/src/trees/descent.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

class StateWalk {
 public:
  std::vector<StateLeaf> leaves;

  void visit(nb::handle o) {
    Descent guard(" while walking a state");
    if (is_array(o)) {
      leaves.push_back({nb::borrow(o), here_});
    } else if (PyDict_Check(o.ptr())) {
      Entries entries(o.ptr());
      for (const auto& [key, value] : entries) {
        step(key, false, value);
      }
    } else if (PyList_Check(o.ptr()) || PyTuple_Check(o.ptr())) {
      Items items(o.ptr());
      for (size_t i = 0; i < items.size(); ++i) {
        step(nb::int_(i), false, items[i]);
      }
    } else if (nb::hasattr(o.type(), "__dataclass_fields__")) {
      nb::object fields = nb::cast<nb::dict>(o.type().attr("__dataclass_fields__"));
      Entries entries(fields.ptr());
      for (const auto& [name, field] : entries) {
        nb::object value = nb::getattr(o, name);
        step(name, true, value);
      }
    }
  }

 private:
  void step(nb::handle key, bool is_attribute, nb::handle child) {
    here_.steps_.push_back({nb::borrow(key), is_attribute});
    visit(child);
    here_.steps_.pop_back();
  }

  StatePlace here_;
};

std::string StatePlace::text() const {
  std::string text;
  for (const Step& step : steps_) {
    text += step.is_attribute ? "." + nb::cast<std::string>(nb::str(step.key))
                              : "[" + nb::cast<std::string>(nb::repr(step.key)) + "]";
  }
  return text;
}

void StatePlace::assign(nb::handle root, nb::handle value) const {
  nb::object at = nb::borrow(root);
  for (size_t i = 0; i + 1 < steps_.size(); ++i) {
    at = steps_[i].is_attribute ? nb::getattr(at, steps_[i].key) : nb::object(at[steps_[i].key]);
  }
  if (steps_.empty() || PyTuple_Check(at.ptr())) {
    core::fail("compile", "outputs", text(), " is directly in a tuple, where no other array can be put; use a list.");
  }
  const Step& last = steps_.back();
  int failed = last.is_attribute ? PyObject_SetAttr(at.ptr(), last.key.ptr(), value.ptr())
                                 : PyObject_SetItem(at.ptr(), last.key.ptr(), value.ptr());
  if (failed) {
    throw nb::python_error();
  }
}

std::vector<StateLeaf> state_leaves(nb::handle root) {
  StateWalk walk;
  if (root.is_valid() && !root.is_none()) {
    walk.visit(root);
  }
  return std::move(walk.leaves);
}

} // namespace mlx::python
