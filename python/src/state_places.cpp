// Walking the containers of a state.
#include "python/src/state_places.h"

#include "mlx_core/error.h"
#include "python/src/convert.h"

namespace mlx::python {

class StateWalk {
 public:
  std::vector<StateLeaf> leaves;

  void visit(nb::handle o) {
    if (Py_EnterRecursiveCall(" while walking a state")) {
      throw nb::python_error();
    }
    if (is_array(o)) {
      leaves.push_back({nb::borrow(o), here_});
    } else if (PyDict_Check(o.ptr())) {
      for (auto [key, value] : nb::cast<nb::dict>(o)) {
        step(key, false, value);
      }
    } else if (PyList_Check(o.ptr()) || PyTuple_Check(o.ptr())) {
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o.ptr()); ++i) {
        step(nb::int_(i), false, PySequence_Fast_GET_ITEM(o.ptr(), i));
      }
    } else if (nb::hasattr(o.type(), "__dataclass_fields__")) {
      for (auto [name, field] : nb::cast<nb::dict>(o.type().attr("__dataclass_fields__"))) {
        step(name, true, nb::getattr(o, name));
      }
    }
    Py_LeaveRecursiveCall();
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
