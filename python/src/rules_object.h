// Rules of custom functions as Python objects, so that the garbage collector sees what recordings own.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/transforms/custom.h"
#include "python/src/traced_call.h"

namespace nb = nanobind;

namespace mlx::python {

// Python objects that rules refer to.
struct PythonObjects : core::RuleObjects {
  virtual void traverse(Traversal& owned) const = 0;
};
struct PythonCall final : PythonObjects {
  PythonCall(nb::handle args, nb::handle kwargs, std::vector<array>& arrays) : call(args, kwargs, arrays) {}
  void traverse(Traversal& owned) const override { call.traverse(owned); }
  TracedCall call;
};
struct PythonRule final : PythonObjects {
  explicit PythonRule(nb::object rule) : rule(std::move(rule)) {}
  void traverse(Traversal& owned) const override { owned(rule); }
  const nb::object rule;
};

// The object that owns these rules; there is one for all recordings that need them.
nb::object rules_object(std::shared_ptr<const core::CustomRules> rules);
const std::shared_ptr<const core::CustomRules>& rules_of_object(nb::handle object);

void bind_rules_object(nb::module_& m);

} // namespace mlx::python
