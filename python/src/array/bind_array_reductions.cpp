// The methods of the array class that reduce axes; each is the function of mlx.core of its name. NumPy's functions call
// them with a dtype and an out of its own.
#include <array>

#include "mlx_core/ops.h"
#include "python/src/array/bind_array.h"
#include "python/src/interop/numpy_arguments.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

// A reduction over some axes, and over all of them.
struct Reduction {
  const char* name;
  array (*some)(const array&, const Axes&, bool, StreamOrDevice);
  array (*all)(const array&, bool, StreamOrDevice);
};

// NumPy hands a dtype to these,
constexpr std::array typed_reductions = {
    Reduction{"sum", &core::sum, &core::sum},
    Reduction{"prod", &core::prod, &core::prod},
    Reduction{"mean", &core::mean, &core::mean},
};
// and none to these.
constexpr std::array reductions = {
    Reduction{"min", &core::min, &core::min},
    Reduction{"max", &core::max, &core::max},
    Reduction{"logsumexp", &core::logsumexp, &core::logsumexp},
    Reduction{"all", &core::all, &core::all},
    Reduction{"any", &core::any, &core::any},
};

struct Spread {
  const char* name;
  array (*some)(const array&, const Axes&, bool, double, StreamOrDevice);
  array (*all)(const array&, bool, double, StreamOrDevice);
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

std::string signature(const char* name, const char* parameters) {
  return "def " + std::string(name) + "(self, " + parameters + ", " + numpy_out_parameter +
         ", stream: Stream | Device | DeviceType | None = None) -> array";
}

constexpr const char* over_axes = "axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False, *";
constexpr const char* over_axes_typed =
    "axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False, *, dtype: Dtype | None = None";

} // namespace

void bind_array_reductions(ArrayClass& c) {
  for (const Reduction& r : typed_reductions) {
    c.def(
        r.name,
        [some = r.some, all = r.all, name = r.name](const array& a, const std::optional<Axes>& axis, bool keepdims,
            nb::handle dtype, nb::handle out, StreamOrDevice s) {
          auto reduce = [&](const array& x) { return axis ? some(x, *axis, keepdims, s) : all(x, keepdims, s); };
          if (dtype.is_none()) {
            return into(name, out, reduce(a));
          }
          Dtype given = numpy_dtype(name, dtype); // the result's, too
          return into(name, out, core::astype(reduce(core::astype(a, given, s)), given, s));
        },
        "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "dtype"_a = nb::none(), "out"_a = nb::none(),
        "stream"_a = nb::none(), nb::sig(signature(r.name, over_axes_typed).c_str()), see(r.name).c_str());
  }
  for (const Reduction& r : reductions) {
    c.def(
        r.name,
        [some = r.some, all = r.all, name = r.name](const array& a, const std::optional<Axes>& axis, bool keepdims,
            nb::handle out,
            StreamOrDevice s) { return into(name, out, axis ? some(a, *axis, keepdims, s) : all(a, keepdims, s)); },
        "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "out"_a = nb::none(), "stream"_a = nb::none(),
        nb::sig(signature(r.name, over_axes).c_str()), see(r.name).c_str());
  }
  for (const Spread& r : spreads) {
    c.def(
        r.name,
        [some = r.some, all = r.all, name = r.name](const array& a, const std::optional<Axes>& axis, bool keepdims,
            double ddof, std::optional<double> correction, nb::handle dtype, nb::handle out, StreamOrDevice s) {
          double n = ddof_of(name, ddof, correction);
          array x = dtype.is_none() ? a : core::astype(a, numpy_dtype(name, dtype), s);
          return into(name, out, axis ? some(x, *axis, keepdims, n, s) : all(x, keepdims, n, s));
        },
        "axis"_a = nb::none(), "keepdims"_a = false, "ddof"_a = 0, nb::kw_only(), "correction"_a = nb::none(),
        "dtype"_a = nb::none(), "out"_a = nb::none(), "stream"_a = nb::none(),
        nb::sig(signature(r.name,
            "axis: int | collections.abc.Sequence[int] | None = None, keepdims: bool = False, "
            "ddof: int = 0, *, correction: float | None = None, dtype: Dtype | None = None")
                .c_str()),
        see(r.name).c_str());
  }
  for (const ArgReduction& r : arg_reductions) {
    c.def(
        r.name,
        [one = r.one, all = r.all, name = r.name](const array& a, std::optional<int> axis, bool keepdims,
            nb::handle out,
            StreamOrDevice s) { return into(name, out, axis ? one(a, *axis, keepdims, s) : all(a, keepdims, s)); },
        "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "out"_a = nb::none(), "stream"_a = nb::none(),
        nb::sig(signature(r.name, "axis: int | None = None, keepdims: bool = False, *").c_str()), see(r.name).c_str());
  }
}

} // namespace mlx::python
