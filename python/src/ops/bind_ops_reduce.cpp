// Reductions over axes: sum and its kin, var and std, softmax, argmin and argmax.
#include "mlx_core/error.h"
#include "python/src/ops/bind_ops.h"

namespace mlx::python {

namespace {

// A reduction over given axes, and over all of them.
struct Reduction {
  const char* name;
  array (*over)(const array&, const Axes&, bool, StreamOrDevice);
  array (*all)(const array&, bool, StreamOrDevice);
};
struct Spread {
  const char* name;
  array (*over)(const array&, const Axes&, bool, double, StreamOrDevice);
  array (*all)(const array&, bool, double, StreamOrDevice);
};
struct Search {
  const char* name;
  array (*along)(const array&, int, bool, StreamOrDevice);
  array (*all)(const array&, bool, StreamOrDevice);
};

// Sums and products may be computed in another dtype.
constexpr Reduction typed_reductions[] = {
    {"sum", core::sum, core::sum},
    {"prod", core::prod, core::prod},
};
constexpr Reduction reductions[] = {
    {"min", core::min, core::min},
    {"max", core::max, core::max},
    {"all", core::all, core::all},
    {"any", core::any, core::any},
    {"mean", core::mean, core::mean},
    {"logsumexp", core::logsumexp, core::logsumexp},
};
constexpr Spread spreads[] = {{"var", core::var, core::var}, {"std", core::std, core::std}};
constexpr Search searches[] = {{"argmin", core::argmin, core::argmin}, {"argmax", core::argmax, core::argmax}};

} // namespace

double ddof_of(const char* op, double ddof, std::optional<double> correction) {
  if (correction && ddof != 0 && *correction != ddof) {
    core::fail(op, "ddof is ", ddof, " and correction is ", *correction, "; they mean the same, so give one of them.");
  }
  return correction.value_or(ddof);
}

void bind_ops_reduce(nb::module_& m) {
  for (const Reduction& r : typed_reductions) {
    def_op(
        m, r.name,
        [over = r.over, all = r.all](const array& a, const std::optional<Axes>& axis, bool keepdims,
            std::optional<Dtype> dtype, StreamOrDevice s) {
          if (!dtype) {
            return axis ? over(a, *axis, keepdims, s) : all(a, keepdims, s);
          }
          array x = core::astype(a, *dtype, s); // dtype is the result's, though it be narrower than sums are
          return core::astype(axis ? over(x, *axis, keepdims, s) : all(x, keepdims, s), *dtype, s);
        },
        "a: array, axis: None | int | Sequence[int] = None, keepdims: bool = False, *, dtype: Dtype | None = None",
        "array", "a"_a, "axis"_a = nb::none(), "keepdims"_a = false, nb::kw_only(), "dtype"_a = nb::none());
  }
  for (const Reduction& r : reductions) {
    def_op(
        m, r.name,
        [over = r.over, all = r.all](const array& a, const std::optional<Axes>& axis, bool keepdims, StreamOrDevice s) {
          return axis ? over(a, *axis, keepdims, s) : all(a, keepdims, s);
        },
        "a: array, axis: None | int | Sequence[int] = None, keepdims: bool = False", "array", "a"_a,
        "axis"_a = nb::none(), "keepdims"_a = false);
  }
  for (const Spread& r : spreads) {
    def_op(
        m, r.name,
        [over = r.over, all = r.all, name = r.name](const array& a, const std::optional<Axes>& axis, bool keepdims,
            double ddof, std::optional<double> correction, StreamOrDevice s) {
          double n = ddof_of(name, ddof, correction);
          return axis ? over(a, *axis, keepdims, n, s) : all(a, keepdims, n, s);
        },
        "a: array, axis: None | int | Sequence[int] = None, keepdims: bool = False, ddof: int = 0, *, "
        "correction: float | None = None",
        "array", "a"_a, "axis"_a = nb::none(), "keepdims"_a = false, "ddof"_a = 0, nb::kw_only(),
        "correction"_a = nb::none());
  }
  for (const Search& r : searches) {
    def_op(
        m, r.name,
        [along = r.along, all = r.all](const array& a, std::optional<int> axis, bool keepdims, StreamOrDevice s) {
          return axis ? along(a, *axis, keepdims, s) : all(a, keepdims, s);
        },
        "a: array, axis: None | int = None, keepdims: bool = False", "array", "a"_a, "axis"_a = nb::none(),
        "keepdims"_a = false);
  }
  def_op(
      m, "softmax",
      [](const array& a, const std::optional<Axes>& axis, bool precise, StreamOrDevice s) {
        return axis ? core::softmax(a, *axis, precise, s) : core::softmax(a, precise, s);
      },
      "a: array, axis: None | int | Sequence[int] = None, *, precise: bool = False", "array", "a"_a,
      "axis"_a = nb::none(), nb::kw_only(), "precise"_a = false);
}

} // namespace mlx::python
