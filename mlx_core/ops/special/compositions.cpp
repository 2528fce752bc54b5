// Special functions that are compositions of other operations, which their derivatives follow from.
#include <limits>

#include "mlx_core/error.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/special/special.h"
#include "mlx_core/special.h"

namespace mlx::core::special {

namespace {

array is_negative(const array& x) { return less(x, number(0, x)); }
constexpr double infinity = std::numeric_limits<double>::infinity();

constexpr OpInfo expit_info{.name = "special.expit",
    .summary = "The logistic function 1 / (1 + exp(-x)); mx.sigmoid.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.expit(mx.array([0.0, 2.0]))\narray([0.5, 0.880797], dtype=float32)"};
constexpr OpInfo log_expit_info{.name = "special.log_expit",
    .summary = "Logarithm of the logistic function, -log(1 + exp(-x)).",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.log_expit(mx.array([-1000.0, 0.0]))\narray([-1000, -0.693147], dtype=float32)"};
constexpr OpInfo xlogy_info{.name = "special.xlogy",
    .summary = "x log(y), and 0 where x is 0.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.xlogy(mx.array([0.0, 2.0]), mx.array([0.0, 3.0]))\narray([0, 2.19722], dtype=float32)",
    .details = "NaN where y is NaN, or negative and x is not 0."};
constexpr OpInfo xlog1py_info{.name = "special.xlog1py",
    .summary = "x log(1 + y), and 0 where x is 0.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example =
        ">>> mx.special.xlog1py(mx.array([0.0, 2.0]), mx.array([-1.0, 0.5]))\narray([0, 0.81093], dtype=float32)",
    .details = "NaN where y is NaN, or below -1 and x is not 0."};
constexpr OpInfo entr_info{.name = "special.entr",
    .summary = "-x log(x) of each element: 0 at 0, -inf for negative ones.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.entr(mx.array([0.0, 0.5, 1.0]))\narray([0, 0.346574, 0], dtype=float32)"};
constexpr OpInfo rel_entr_info{.name = "special.rel_entr",
    .summary = "x log(x / y) for positive x and y, 0 where x is 0 and y is not negative, inf elsewhere.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example =
        ">>> mx.special.rel_entr(mx.array([0.0, 2.0]), mx.array([1.0, 1.0]))\narray([0, 1.38629], dtype=float32)"};
constexpr OpInfo multigammaln_info{.name = "special.multigammaln",
    .summary = "Logarithm of the multivariate gamma function of dimension d.",
    .accepts = Dtypes::floating,
    .max_ulp = 4,
    .example = ">>> mx.special.multigammaln(mx.array(3.0), 2)\narray(1.55019, dtype=float32)",
    .details =
        "d (d - 1) / 4 log(pi) plus the sum of lgamma(a - j / 2) for j = 0, ..., d - 1: of interest for "
        "a > (d - 1) / 2. ValueError for d < 1 and d > 10000."};

// x f, and 0 where x is 0, but not where y is NaN.
array zero_first(const array& x, const array& f, const array& y) { return where(isnan(y), y, zero_times(x, f)); }

} // namespace

array expit(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  return sigmoid(arguments("special.expit", {x})[0]);
}

array log_expit(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  array a = arguments("special.log_expit", {x})[0];
  return negative(logaddexp(number(0, a), negative(a)));
}

array xlogy(const array& x, const array& y, StreamOrDevice s) {
  StreamScope on(s);
  std::vector<array> a = arguments("special.xlogy", {x, y});
  return zero_first(a[0], log(a[1]), a[1]);
}

array xlog1py(const array& x, const array& y, StreamOrDevice s) {
  StreamScope on(s);
  std::vector<array> a = arguments("special.xlog1py", {x, y});
  return zero_first(a[0], log1p(a[1]), a[1]);
}

array entr(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  array a = arguments("special.entr", {x})[0];
  return where(is_negative(a), number(-infinity, a), zero_times(a, negative(log(a))));
}

array rel_entr(const array& x, const array& y, StreamOrDevice s) {
  StreamScope on(s);
  std::vector<array> a = arguments("special.rel_entr", {x, y});
  array inside = zero_first(a[0], apply(SpecialFunction::log_ratio, {a[0], a[1]}), a[1]);
  array outside =
      logical_and(logical_or(is_negative(a[0]), is_negative(a[1])), logical_not(logical_or(isnan(a[0]), isnan(a[1]))));
  return where(outside, number(infinity, a[0]), inside);
}

array multigammaln(const array& a, int d, StreamOrDevice s) {
  StreamScope on(s);
  array x = arguments("special.multigammaln", {a})[0];
  if (d < 1 || d > 10000) {
    fail("special.multigammaln", "d is ", d, "; a dimension is at least 1, and at most 10000 here.");
  }
  if (d == 1) {
    return lgamma(x);
  }
  array halves = multiply(arange(0, d, 1, float32), array(0.5f));
  array terms = lgamma(subtract(expand_dims(x, {-1}), astype(halves, x.dtype())));
  return add(sum(terms, Axes{-1}), number(0.25 * d * (d - 1) * 1.1447298858494001741, x));
}

} // namespace mlx::core::special

namespace mlx::core {

std::span<const OpInfo* const> special_composition_ops() {
  using namespace special;
  static constexpr const OpInfo* ops[] = {
      &expit_info, &log_expit_info, &xlogy_info, &xlog1py_info, &entr_info, &rel_entr_info, &multigammaln_info};
  return ops;
}

} // namespace mlx::core
