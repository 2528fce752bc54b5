// Counting how often values occur: bincount, histogram.
#include <cmath>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/deciding_values.h"

namespace mlx::core {

namespace {

constexpr int64_t most_bins = int64_t{1} << 31;

// The sums of the weights (1 by default) at each index; those outside of [0, bins) do not count.
array counts(const array& index, const std::optional<array>& weights, int64_t bins) {
  array at = flatten(index), ones = full(at.shape(), array(1, int32));
  array added = weights ? flatten(*weights) : ones;
  array counted = logical_and(greater_equal(at, array(0, int64)), less(at, array(bins, int64)));
  added = where(counted, added, array(0, added.dtype()));
  array place = where(counted, at, array(0, int64));
  Shape updates = added.shape();
  updates.push_back(1);
  return scatter_add(zeros({bins}, added.dtype()), {place}, reshape(added, updates), {0});
}

} // namespace

static constexpr OpInfo bincount_info{.name = "bincount",
    .summary = "How often each of the numbers 0, 1, 2, ... occurs in x, or the sum of the weights at it.",
    .example = ">>> mx.bincount(mx.array([0, 1, 1, 3]))\narray([1, 2, 0, 1], dtype=int32)",
    .details =
        "There are as many as the largest number takes, at least minlength: x is evaluated. With length= there are so "
        "many, larger numbers are left out, and nothing is evaluated, which transforms and compiled functions need. "
        "Raises TypeError unless x holds integers, ValueError when one is negative."};
array bincount(const array& x, const std::optional<array>& weights, int64_t minlength, std::optional<int64_t> length,
    StreamOrDevice s) {
  StreamScope on(s);
  if (x.dtype().is_inexact()) {
    fail<TypeError>("bincount", "x has dtype ", x.dtype(), "; only integers are counted.");
  }
  if (weights && !(weights->shape() == x.shape())) {
    fail("bincount", "weights have shape ", weights->shape(), " but x has shape ", x.shape(), ".");
  }
  if (minlength < 0 || minlength > most_bins || length.value_or(0) < 0 || length.value_or(0) > most_bins) {
    fail("bincount", "minlength is ", minlength, " and length is ", length.value_or(0),
        "; they must be from 0 to 2147483648.");
  }
  array numbers = astype(x, int64);
  int64_t bins = length.value_or(minlength);
  if (!length && !(x.size() == 0)) {
    auto [least, most] =
        deciding("bincount", "x", x, "give length= (the number of entries that the result shall have).",
            [&] { return std::pair(min(numbers).item<int64_t>(), max(numbers).item<int64_t>()); });
    if (least < 0 || most >= most_bins) {
      fail("bincount", "x holds ", least < 0 ? least : most, "; numbers must be from 0 to 2147483647.");
    }
    bins = std::max(bins, most + 1);
  }
  return counts(numbers, weights, bins);
}

static constexpr OpInfo histogram_info{.name = "histogram",
    .summary = "How many elements of a lie in each of several intervals, and the edges of these.",
    .example =
        ">>> count, edges = mx.histogram(mx.array([1.0, 2.0, 2.5, 4.0]), 3)\n>>> count\narray([1, 2, 1], dtype=int32)\n"
        ">>> edges\narray([1, 2, 3, 4], dtype=float32)",
    .details =
        "bins is the number of intervals of equal width between the limits of range, by default the least and the "
        "largest element, or an array of the edges, ascending. The last interval holds its upper "
        "edge. With weights the sums of these; with density they are divided by the sum of all and by the widths."};
std::vector<array> histogram(
    const array& a, const array& edges, const std::optional<array>& weights, bool density, StreamOrDevice s) {
  StreamScope on(s);
  if (edges.ndim() != 1 || edges.shape(0) < 2) {
    fail("histogram", "the edges have shape ", edges.shape(), "; there must be at least two, along one axis.");
  }
  if (weights && !(weights->shape() == a.shape())) {
    fail("histogram", "weights have shape ", weights->shape(), " but a has shape ", a.shape(), ".");
  }
  if (a.dtype().is_complex()) {
    fail<TypeError>("histogram", "a has dtype ", a.dtype(), "; complex numbers have no order.");
  }
  int64_t bins = static_cast<int64_t>(edges.shape(0)) - 1;
  Dtype dtype = promote_types(a.dtype(), edges.dtype());
  array x = astype(flatten(a), dtype), limits = astype(edges, dtype);
  array last = reshape(slice(limits, Shape{bins}, Shape{bins + 1}), {});
  array at = astype(searchsorted(limits, x, "right"), int64) - 1;
  at = where(equal(x, last), array(bins - 1, int64), at);
  array found = counts(where(isnan(x), array(-1, int64), at), weights, bins);
  if (density) {
    array widths = astype(diff(edges), edges.dtype().is_inexact() ? edges.dtype() : float32);
    found = divide(astype(found, widths.dtype()), multiply(widths, astype(sum(found), widths.dtype())));
  }
  return {found, edges};
}

namespace {

void check_range(double low, double high) {
  if (!std::isfinite(low) || !std::isfinite(high) || low > high) {
    fail("histogram", "the range is from ", low, " to ", high, "; its limits must be finite and ascend.");
  }
}

// As linspace, with the derivatives by the least and the largest element. Where their values are not known yet, as
// inside vmap, nobody looks whether they are finite.
array edges_between_extremes(const array& a, int bins, Dtype dtype) {
  array wide = astype(a, float64), low = min(wide), high = max(wide);
  if (a.node()->level == 0 || !batched_view(a)) {
    try {
      check_range(low.item<double>(), high.item<double>());
    } catch (const NoValue&) { // a recorded function
    }
  }
  array half = where(equal(low, high), array(0.5, float64), array(0.0, float64));
  low = subtract(low, half), high = add(high, half);
  array place = arange(0, bins + 1, 1, float64);
  array edges = add(low, divide(multiply(subtract(high, low), place), array(static_cast<double>(bins), float64)));
  return astype(where(equal(place, array(static_cast<double>(bins), float64)), high, edges), dtype);
}

} // namespace

std::vector<array> histogram(const array& a, int bins, std::optional<std::pair<double, double>> range,
    const std::optional<array>& weights, bool density, StreamOrDevice s) {
  StreamScope on(s);
  if (bins < 1) {
    fail("histogram", "bins is ", bins, "; there must be at least one interval.");
  }
  Dtype dtype = a.dtype() == float64 ? float64 : float32;
  if (!range && !(a.size() == 0) && !a.dtype().is_complex()) {
    return histogram(a, edges_between_extremes(a, bins, dtype), weights, density, s);
  }
  auto [low, high] = range.value_or(std::pair(0.0, 1.0));
  check_range(low, high);
  if (low == high) {
    low -= 0.5;
    high += 0.5;
  }
  return histogram(a, linspace(low, high, bins + 1, dtype), weights, density, s);
}

std::span<const OpInfo* const> counting_ops() {
  static constexpr const OpInfo* ops[] = {&bincount_info, &histogram_info};
  return ops;
}

} // namespace mlx::core
