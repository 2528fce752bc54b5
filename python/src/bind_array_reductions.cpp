// The methods of the array class that reduce axes; each is the function of mlx.core of its name.
#include <array>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/bind_array.h"

namespace mlx::python {

namespace {

// A reduction over some axes, and over all of them.
struct Reduction {
  const char* name;
  array (*some)(const array&, const Axes&, bool, StreamOrDevice);
  array (*all)(const array&, bool, StreamOrDevice);
};

constexpr std::array reductions = {
    Reduction{"sum", &core::sum, &core::sum},
    Reduction{"prod", &core::prod, &core::prod},
    Reduction{"min", &core::min, &core::min},
    Reduction{"max", &core::max, &core::max},
    Reduction{"mean", &core::mean, &core::mean},
    Reduction{"logsumexp", &core::logsumexp, &core::logsumexp},
    Reduction{"all", &core::all, &core::all},
    Reduction{"any", &core::any, &core::any},
};

struct Spread {
  const char* name;
  array (*some)(const array&, const Axes&, bool, int, StreamOrDevice);
  array (*all)(const array&, bool, int, StreamOrDevice);
};

constexpr std::array spreads = {Spread{"var", &core::var, &core::var}, Spread{"std", &core::std, &core::std}};

struct ArgReduction {
  const char* name;
  array (*one)(const array&, int, bool, StreamOrDevice);
  array (*all)(const array&, bool, StreamOrDevice);
};

constexpr std::array arg_reductions = {
    ArgReduction{"argmin", &core::argmin, &core::argmin}, ArgReduction{"argmax", &core::argmax, &core::argmax}};

std::string see(const char* name) { return "See :func:`mlx.core." + std::string(name) + "`."; }

// correction is the Array API's name of ddof.
int ddof_of(const char* op, int ddof, std::optional<int> correction) {
  if (correction && ddof != 0 && *correction != ddof) {
    core::fail(op, "ddof is ", ddof, " and correction is ", *correction, "; they mean the same, so give one of them.");
  }
  return correction.value_or(ddof);
}

} // namespace

void bind_array_reductions(ArrayClass& c) {
  for (const Reduction& r : reductions) {
    c.def(
        r.name,
        [some = r.some, all = r.all](const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
          return axis ? some(a, *axis, keepdims, s) : all(a, keepdims, s);
        },
        nb::arg("axis") = nb::none(), nb::arg("keepdims") = false, nb::kw_only(), nb::arg("stream") = nb::none(),
        see(r.name).c_str());
  }
  for (const Spread& r : spreads) {
    c.def(
        r.name,
        [some = r.some, all = r.all, name = r.name](const array& a, const std::optional<Axes>& axis, bool keepdims,
            int ddof, std::optional<int> correction, StreamOrDevice s) {
          int n = ddof_of(name, ddof, correction);
          return axis ? some(a, *axis, keepdims, n, s) : all(a, keepdims, n, s);
        },
        nb::arg("axis") = nb::none(), nb::arg("keepdims") = false, nb::arg("ddof") = 0, nb::kw_only(),
        nb::arg("correction") = nb::none(), nb::arg("stream") = nb::none(), see(r.name).c_str());
  }
  for (const ArgReduction& r : arg_reductions) {
    c.def(
        r.name,
        [one = r.one, all = r.all](const array& a, std::optional<int> axis, bool keepdims, StreamOrDevice s) {
          return axis ? one(a, *axis, keepdims, s) : all(a, keepdims, s);
        },
        nb::arg("axis") = nb::none(), nb::arg("keepdims") = false, nb::kw_only(), nb::arg("stream") = nb::none(),
        see(r.name).c_str());
  }
}

} // namespace mlx::python
