// Running sums, products, extrema and log-sum-exponentials along an axis; and differences, which undo sums.

#include <limits>

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/on_views.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/ops/reduce/linear_recurrence.h"

namespace mlx::core {

namespace {

constexpr OpInfo infos[] = {
    {.name = "cumsum",
        .primitive = "CumSum",
        .summary = "The sums of the elements up to each along an axis.",
        .example = ">>> mx.cumsum(mx.array([1, 2, 3]))\narray([1, 3, 6], dtype=int32)",
        .details = "axis None scans the flattened array. With reverse the scan runs from the end. When not inclusive, "
                   "an element's own "
                   "value is left out of its result, and the first is 0. The sum is computed in dtype when that is "
                   "given; bool "
                   "is summed in int32, and float16 and bfloat16 are carried in float32."},
    {.name = "cumprod",
        .primitive = "CumProd",
        .summary = "The products of the elements up to each along an axis.",
        .example = ">>> mx.cumprod(mx.array([1, 2, 3]))\narray([1, 2, 6], dtype=int32)",
        .details = "axis None scans the flattened array. With reverse the scan runs from the end. When not inclusive, "
                   "an element's own "
                   "value is left out of its result, and the first is 1. The product is computed in dtype when that is "
                   "given. The derivatives are right with any number of zeros, to every order."},
    {.name = "cummax",
        .primitive = "CumMax",
        .summary = "The maxima of the elements up to each along an axis.",
        .example = ">>> mx.cummax(mx.array([1, 3, 2]))\narray([1, 3, 3], dtype=int32)",
        .details =
            "axis None scans the flattened array. With reverse the scan runs from the end. When not inclusive, an "
            "element's own "
            "value is left out of its result, and the first is -inf or the lowest integer. NaN from the first NaN on. "
            "Equal maxima so far share the derivative equally. Complex numbers are ordered by real, then imaginary "
            "part."},
    {.name = "cummin",
        .primitive = "CumMin",
        .summary = "The minima of the elements up to each along an axis.",
        .example = ">>> mx.cummin(mx.array([3, 1, 2]))\narray([3, 1, 1], dtype=int32)",
        .details =
            "axis None scans the flattened array. With reverse the scan runs from the end. When not inclusive, an "
            "element's own "
            "value is left out of its result, and the first is inf or the highest integer. NaN from the first NaN on. "
            "Equal minima so far share the derivative equally. Complex numbers are ordered by real, then imaginary "
            "part."},
};
const OpInfo& info_of(ScanOp op) { return infos[static_cast<size_t>(op)]; }

} // namespace

class Scan final : public Primitive, public OnViews {
 public:
  Scan(ScanOp op, int axis, bool reverse, bool inclusive)
      : op_(op), axis_(axis), reverse_(reverse), inclusive_(inclusive) {}
  const char* name() const override { return info_of(op_).primitive; }
  Dependence dependence() const override { return Dependence::contracts_axes; }
  Role role() const override { return op_ == ScanOp::sum ? Role::sum : Role::ordinary; }
  void visit(ParamVisitor& v) const override {
    v("axis", axis_);
    v("reverse", reverse_);
    v("inclusive", inclusive_);
  }
  Specs infer(Operands operands) const override { return {Spec{operands[0].shape(), operands[0].dtype()}}; }
  int reusable_operand() const override { return inclusive_ ? 0 : -1; } // an exclusive one writes where it is to read
  void eval(Operands operands, std::span<array> outputs, Kernels& kernels) const override {
    const array& x = operands[0];
    array& y = outputs[0];
    bool taken = y.take_over(x);
    if (!taken) {
      y.allocate();
    }
    kernels.run(kernel::Scan{op_, taken ? y.view() : x.view(), axis_, reverse_, inclusive_, y.view()});
  }
  void run_on(std::span<const View> operands, const View& output, Kernels& kernels) const override {
    kernels.run(kernel::Scan{op_, operands[0], axis_, reverse_, inclusive_, output});
  }
  Tangents jvp(Operands primals, const Tangents& tangents, Operands outputs) const override {
    if (!tangents[0]) {
      return {std::nullopt};
    }
    if (op_ == ScanOp::sum) {
      return {applied(self(*this), {*tangents[0]})};
    }
    // An exclusive scan is the inclusive one, moved on by one place.
    const array &x = primals[0], &t = *tangents[0];
    array moved = op_ == ScanOp::prod ? prod_jvp(x, t, outputs[0]) : extremum_jvp(t, Winners(*this, x, outputs[0]));
    return {inclusive_ ? moved : previous(moved, axis_, reverse_)};
  }
  Tangents vjp(Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool>) const override {
    if (!cotangents[0]) {
      return {std::nullopt};
    }
    if (op_ == ScanOp::sum) {
      return {applied(make_primitive<Scan>(op_, axis_, !reverse_, inclusive_), {*cotangents[0]})};
    }
    const array& x = primals[0];
    array ct = inclusive_ ? *cotangents[0] : previous(*cotangents[0], axis_, !reverse_);
    return {op_ == ScanOp::prod ? prod_vjp(x, ct, outputs[0]) : extremum_vjp(ct, Winners(*this, x, outputs[0]))};
  }
  Mapped vmap(Operands operands, const MapAxes& axes) const override {
    int axis = axis_ + (axis_ >= *axes[0] ? 1 : 0);
    return {{applied(make_primitive<Scan>(op_, axis, reverse_, inclusive_), {operands[0]})}, {*axes[0]}};
  }

 private:
  // The product of all before each element.
  array products_before(const array& y) const {
    return inclusive_ ? previous(y, axis_, reverse_, array(1, y.dtype())) : y;
  }
  // y_j = x_j y_{j-1}, so dy_j = x_j dy_{j-1} + y_{j-1} dx_j
  array prod_jvp(const array& x, const array& t, const array& y) const {
    return linear_recurrence(x, zero_times(t, products_before(y)), axis_, reverse_);
  }
  array prod_vjp(const array& x, const array& ct, const array& y) const {
    array g = linear_recurrence(previous(conj_of(x), axis_, !reverse_), ct, axis_, !reverse_);
    return zero_times(g, conj_of(products_before(y)));
  }

  // Which elements equal the extremum when they are met; whether it stays as it was before each element; and how many
  // equal ones there are so far: y_j is the mean of those, m_j = stays_j m_{j-1} + won_j x_j over count_j.
  struct Winners {
    Winners(const Scan& scan, const array& x, const array& result)
        : y(scan.inclusive_ ? result : applied(make_primitive<Scan>(scan.op_, scan.axis_, scan.reverse_, true), {x})),
          won(equal(x, y)),
          stays(equal(y, previous(y, scan.axis_, scan.reverse_))),
          count(y) {
      if (x.dtype().is_inexact()) { // a NaN wins and stays, and equals nothing
        won = logical_or(won, isnan(x));
        stays = logical_or(stays, isnan(previous(y, scan.axis_, scan.reverse_)));
      }
      // In float32 also for the 16-bit floats, which cannot count far.
      wide = wide_of(x.dtype());
      Dtype counted = real_of(wide);
      count = linear_recurrence(astype(stays, counted), astype(won, counted), scan.axis_, scan.reverse_);
      stays = astype(stays, wide);
    }
    array y, won, stays, count;
    Dtype wide;
  };
  array extremum_jvp(const array& t, const Winners& w) const {
    array of_winners = where(w.won, astype(t, w.wide), array(0, w.wide));
    return astype(divide(linear_recurrence(w.stays, of_winners, axis_, reverse_), w.count), t.dtype());
  }
  array extremum_vjp(const array& ct, const Winners& w) const {
    array shared = divide(astype(ct, w.wide), w.count);
    array g = linear_recurrence(previous(w.stays, axis_, !reverse_), shared, axis_, !reverse_);
    return where(w.won, astype(g, ct.dtype()), array(0, ct.dtype()));
  }

  ScanOp op_;
  int axis_;
  bool reverse_, inclusive_;
};

namespace {

array scanned(ScanOp op, const array& a, int axis, bool reverse, bool inclusive, const StreamOrDevice& s) {
  StreamScope on(s);
  int at = normalize_axis(info_of(op).name, axis, a.ndim());
  array x = op == ScanOp::sum && a.dtype().is_bool() ? astype(a, int32) : a;
  return applied(make_primitive<Scan>(op, at, reverse, inclusive), {x});
}

} // namespace

array cumsum(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return scanned(ScanOp::sum, a, axis, reverse, inclusive, s);
}
array cumsum(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cumsum(flatten(a), 0, reverse, inclusive, s);
}
array cumprod(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return scanned(ScanOp::prod, a, axis, reverse, inclusive, s);
}
array cumprod(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cumprod(flatten(a), 0, reverse, inclusive, s);
}
array cummax(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return scanned(ScanOp::max, a, axis, reverse, inclusive, s);
}
array cummax(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cummax(flatten(a), 0, reverse, inclusive, s);
}
array cummin(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  return scanned(ScanOp::min, a, axis, reverse, inclusive, s);
}
array cummin(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return cummin(flatten(a), 0, reverse, inclusive, s);
}

// --- cumulative_sum and cumulative_prod: the Array API's scans ---

static constexpr OpInfo cumulative_sum_info{.name = "cumulative_sum",
    .summary = "The sums of the elements up to each along an axis, in the dtype of sum().",
    .example = ">>> mx.cumulative_sum(mx.array([1, 2, 3]), include_initial=True)\narray([0, 1, 3, 6], dtype=int32)",
    .details =
        "As cumsum, but bool and integers below 32 bits are summed in 32 bits. With include_initial the result has one "
        "element more along the axis, the 0 that the sum begins with."};
static constexpr OpInfo cumulative_prod_info{.name = "cumulative_prod",
    .summary = "The products of the elements up to each along an axis, in the dtype of prod().",
    .example = ">>> mx.cumulative_prod(mx.array([1, 2, 3]), include_initial=True)\narray([1, 1, 2, 6], dtype=int32)",
    .details =
        "As cumprod, but bool and integers below 32 bits are multiplied in 32 bits. With include_initial the result "
        "has one element more along the axis, the 1 that the product begins with."};

namespace {

array cumulated(const OpInfo& info, ScanOp op, const array& a, std::optional<int> axis, std::optional<Dtype> dtype,
    bool include_initial, bool reverse, bool inclusive) {
  if (include_initial && !inclusive) {
    fail(info.name,
        "include_initial=True with inclusive=False: the initial value is in an exclusive scan already; leave "
        "one of them out.");
  }
  array x = astype(axis ? a : flatten(a), dtype.value_or(summed_dtype(a.dtype())));
  int at = normalize_axis(info.name, axis.value_or(0), x.ndim());
  array y = scanned(op, x, at, reverse, inclusive, {});
  if (!include_initial) {
    return y;
  }
  Shape shape = x.shape();
  shape[static_cast<size_t>(at)] = 1;
  array initial = full(std::move(shape), array(op == ScanOp::prod ? 1 : 0, y.dtype()), y.dtype());
  return concatenate(reverse ? std::vector<array>{y, initial} : std::vector<array>{initial, y}, at);
}

} // namespace

array cumulative_sum(const array& a, std::optional<int> axis, std::optional<Dtype> dtype, bool include_initial,
    bool reverse, bool inclusive, StreamOrDevice s) {
  StreamScope on(s);
  return cumulated(cumulative_sum_info, ScanOp::sum, a, axis, dtype, include_initial, reverse, inclusive);
}
array cumulative_prod(const array& a, std::optional<int> axis, std::optional<Dtype> dtype, bool include_initial,
    bool reverse, bool inclusive, StreamOrDevice s) {
  StreamScope on(s);
  return cumulated(cumulative_prod_info, ScanOp::prod, a, axis, dtype, include_initial, reverse, inclusive);
}

static constexpr OpInfo logcumsumexp_info{.name = "logcumsumexp",
    .summary = "log(cumsum(exp(a))) along an axis, without overflow.",
    .accepts = Dtypes::inexact,
    .example = ">>> mx.logcumsumexp(mx.array([0.0, 0.0]))\narray([0, 0.693147], dtype=float32)",
    .details =
        "axis None scans the flattened array. With reverse the scan runs from the end. When not inclusive, an "
        "element's own "
        "value is left out of its result, and the first is -inf. While all elements so far are -inf so is the result, "
        "with "
        "derivative 0. float16 and bfloat16 are computed in float32."};
array logcumsumexp(const array& a, int axis, bool reverse, bool inclusive, StreamOrDevice s) {
  StreamScope on(s);
  int at = normalize_axis("logcumsumexp", axis, a.ndim());
  Dtype out = inexact_of(a.dtype()), wide = wide_of(out);
  array x = astype(a, wide), zero = array(0, wide);
  // With m the largest so far, y = m + log(s), s_j = exp(m_{j-1} - m_j) s_{j-1} + exp(x_j - m_j): no exponent is above
  // 0, and s is at least about 1. Any m gives the same value, so m has no derivative. Infinities that equal an infinite
  // m are no distance from it, and share the sum. While m is -inf there is no sum.
  array nothing(-std::numeric_limits<float>::infinity(), wide);
  array m = stop_gradient(cummax(x, at, reverse)), some = not_equal(m, nothing);
  array shift = where(some, m, zero);
  array kept = where(previous(some, at, reverse), exp(gap(previous(shift, at, reverse), shift)), zero);
  array total = linear_recurrence(kept, exp(gap(x, shift)), at, reverse);
  array y = astype(add(log(where(some, total, array(1, wide))), m), out);
  return inclusive ? y : previous(y, at, reverse, astype(nothing, out));
}
array logcumsumexp(const array& a, bool reverse, bool inclusive, StreamOrDevice s) {
  return logcumsumexp(flatten(a), 0, reverse, inclusive, s);
}

static constexpr OpInfo diff_info{.name = "diff",
    .summary = "The n-th differences of neighbours along an axis (the last by default).",
    .example = ">>> mx.diff(mx.array([1, 4, 9, 16]))\narray([3, 5, 7], dtype=int32)",
    .details =
        "Each difference makes the axis shorter by one, down to 0. The difference of bools is whether they differ."};
array diff(const array& a, int n, int axis, StreamOrDevice s) {
  StreamScope on(s);
  if (n < 0) {
    fail("diff", "n is ", n, "; the number of differences cannot be negative.");
  }
  auto at = static_cast<size_t>(normalize_axis("diff", axis, a.ndim()));
  if (Dim length = a.shape()[at]; surely_equal(a.size(), 0) || (!length.is_symbolic() && length <= n)) {
    Shape left = a.shape(); // empty: there is nothing to subtract, up to billions of times
    left[at] = larger_of(length - n, 0);
    return slice(a, Shape(left.size(), 0), left);
  }
  constexpr int most = 1 << 16;
  if (n > most) {
    fail("diff", "n is ", n, "; of axis ", axis, " of shape ", a.shape(), " at most ", most,
        " differences of differences can be taken.");
  }
  array y = a;
  for (int k = 0; k < n && !surely_equal(y.shape()[at], 0); ++k) {
    Shape start(y.shape().size(), 0), stop = y.shape();
    start[at] = 1;
    array upper = slice(y, start, stop);
    start[at] = 0;
    stop[at] = larger_of(stop[at] - 1, 0);
    array lower = slice(y, std::move(start), std::move(stop));
    y = y.dtype().is_bool() ? not_equal(upper, lower) : subtract(upper, lower);
  }
  return y;
}

std::span<const OpInfo* const> scan_ops() {
  static constexpr const OpInfo* ops[] = {&infos[0], &infos[1], &infos[2], &infos[3], &cumulative_sum_info,
      &cumulative_prod_info, &logcumsumexp_info, &diff_info};
  return ops;
}

namespace {

template <array (*f)(const array&, int, bool, bool, StreamOrDevice)>
std::vector<array> scanning(const Parts& p) {
  return {f(p[0], p.integer("axis"), p.flag("reverse"), p.flag("inclusive"), {})};
}

} // namespace

std::span<const Remake> scan_remakes() {
  static constexpr Remake rows[] = {
      {"CumSum", scanning<cumsum>},
      {"CumProd", scanning<cumprod>},
      {"CumMax", scanning<cummax>},
      {"CumMin", scanning<cummin>},
      {"LinearRecurrence",
          [](const Parts& p) {
            int axis = p.integer("axis");
            Parts::require(p[0].shape() == p[1].shape() && p[0].dtype() == p[1].dtype() && p[0].dtype().is_inexact() &&
                               axis >= 0 && axis < p[0].ndim(),
                "the operands of a linear recurrence do not fit.");
            return std::vector<array>{linear_recurrence(p[0], p[1], axis, p.flag("reverse"))};
          }},
  };
  return rows;
}

} // namespace mlx::core
