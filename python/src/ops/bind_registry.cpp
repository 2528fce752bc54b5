// _registry(): what the library knows of each public op, for the tests and the tools that walk over all of them.
#include "mlx_core/registry.h"

#include "python/src/runtime/bind.h"

namespace mlx::python {

namespace {

const char* name_of(core::Dtypes set) {
  switch (set) {
    case core::Dtypes::all: return "all";
    case core::Dtypes::numeric: return "numeric";
    case core::Dtypes::inexact: return "inexact";
    case core::Dtypes::floating: return "floating";
    case core::Dtypes::real: return "real";
    case core::Dtypes::integral: return "integral";
    case core::Dtypes::complex: return "complex";
  }
  return "";
}

const char* name_of(core::Differentiable d) {
  switch (d) {
    case core::Differentiable::yes: return "yes";
    case core::Differentiable::zero: return "zero";
    case core::Differentiable::no: return "no";
  }
  return "";
}

nb::tuple interval(const core::Domain& domain) { return nb::make_tuple(domain.low, domain.high); }

// Arguments of an elementwise op; 0 for any other.
int arity_of(const core::OpInfo& op) { return op.unary ? 1 : op.binary ? 2 : op.ternary ? 3 : 0; }

nb::dict describe(const core::OpInfo& op) {
  bool second = op.second_domain.low != op.second_domain.high;
  nb::dict d;
  d["name"] = op.name;
  d["family"] = std::string(core::family_of(op)).c_str();
  d["primitive"] = op.primitive;
  d["summary"] = op.summary;
  d["accepts"] = name_of(op.accepts);
  d["differentiable"] = name_of(op.differentiable);
  d["reason"] = op.no_derivative.because;
  d["domain"] = interval(op.domain);
  d["second_domain"] = interval(second ? op.second_domain : op.domain);
  d["max_ulp"] = op.max_ulp;
  d["example"] = op.example;
  d["details"] = op.details;
  d["arity"] = arity_of(op);
  return d;
}

} // namespace

void bind_registry(nb::module_& m) {
  m.def(
      "_registry",
      [] {
        nb::list ops;
        for (const core::OpInfo* op : core::registered_ops()) {
          ops.append(describe(*op));
        }
        return ops;
      },
      nb::sig("def _registry() -> list[dict]"),
      "Every public op: name, family, primitive, summary, accepted dtypes, differentiability and the reason where "
      "there is "
      "none, sample domains, error bound in units in the last place, example, details, number of elementwise "
      "arguments.");
}

} // namespace mlx::python
