// Rules of custom functions as Python objects, so that the garbage collector sees what recordings own.
#pragma once

#include <nanobind/nanobind.h>

#include "mlx_core/transforms/custom.h"
#include "python/src/traced_call.h"

namespace nb = nanobind;

namespace mlx::python {

// What the rules of one call of a custom_function refer to.
struct PythonRules final : core::RuleObjects {
  PythonRules(nb::handle args, nb::handle kwargs, std::vector<array>& arrays, const nb::object& vjp,
      const nb::object& jvp, const nb::object& vmap)
      : call(args, kwargs, arrays), vjp(vjp), jvp(jvp), vmap(vmap) {}
  void traverse(Traversal& owned) const {
    call.traverse(owned);
    owned(vjp);
    owned(jvp);
    owned(vmap);
  }

  TracedCall call;
  const nb::object vjp, jvp, vmap;
};

// The object that owns these rules; there is one for all recordings that need them.
nb::object rules_object(std::shared_ptr<const core::CustomRules> rules);
const std::shared_ptr<const core::CustomRules>& rules_of_object(nb::handle object);

void bind_rules_object(nb::module_& m);

} // namespace mlx::python
