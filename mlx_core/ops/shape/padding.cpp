// Padding: constants around an array, or its own elements continued beyond its ends.
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linear.h"

namespace mlx::core {

namespace {

enum class Continuation { edge, reflect, symmetric };

// The elements first, first + step, ... along an axis, count of them. step is 1 or -1.
array run(const array& a, int axis, Dim first, Dim count, int64_t step) {
  auto at = static_cast<size_t>(axis);
  Shape start(a.shape().size(), 0), stop = a.shape(), strides(a.shape().size(), 1);
  Dim end = first + count * step;
  start[at] = first;
  stop[at] = end < 0 ? -1 - a.shape()[at] : end; // -1 would be the last element
  strides[at] = step;
  return slice(a, std::move(start), std::move(stop), std::move(strides));
}

// What stands at the positions [from, to) of an axis of length n, all of them before 0 or all behind n - 1. A mirrored
// axis repeats with period 2n, or 2(n - 1) where the mirror stands on the outer elements: forwards, then backwards.
void append_continuation(const array& a, int axis, Continuation mode, Dim begin, Dim end, std::vector<array>& parts) {
  if (begin == end) {
    return;
  }
  auto at = static_cast<size_t>(axis);
  Dim length = a.shape()[at], width = end - begin;
  bool before = begin < 0;
  if (mode == Continuation::edge || (mode == Continuation::reflect && length == 1)) {
    Shape shape = a.shape();
    shape[at] = width;
    parts.push_back(broadcast_to(run(a, axis, before ? Dim(0) : length - 1, 1, 1), shape));
    return;
  }
  Dim skipped = mode == Continuation::reflect ? 1 : 0; // the mirror's own element
  if (width <= length - skipped) {                     // one run, backwards
    parts.push_back(run(a, axis, before ? width - 1 + skipped : length - 1 - skipped, width, -1));
    return;
  }
  int64_t n = length, from = begin, to = end;
  int64_t half = mode == Continuation::reflect ? n - 1 : n, period = 2 * half;
  for (int64_t i = from; i < to;) {
    int64_t phase = (i % period + period) % period;
    bool forwards = phase < half;
    int64_t count = std::min(to - i, (forwards ? half : period) - phase);
    int64_t first = forwards ? phase : mode == Continuation::reflect ? period - phase : period - 1 - phase;
    parts.push_back(run(a, axis, first, count, forwards ? 1 : -1));
    i += count;
  }
}

// As parts, which are nodes each, one for every run of the mirrored axis; where these are many, by their indices
// instead.
constexpr int64_t most_runs = 16;

array gathered(const array& a, int axis, Continuation mode, int64_t low, int64_t high) {
  int64_t n = a.shape(axis), half = mode == Continuation::reflect ? n - 1 : n, period = 2 * half;
  array at = subtract(astype(position_numbers({Dim(low) + Dim(n) + Dim(high)}), int64), array(low, int64));
  array phase = remainder(at, array(period, int64));
  array back = subtract(array(mode == Continuation::reflect ? period : period - 1, int64), phase);
  return take(a, where(less(phase, array(half, int64)), phase, back), axis);
}

array continued(const array& a, int axis, Continuation mode, Dim low, Dim high) {
  Dim n = a.shape(axis);
  if (low == 0 && high == 0) {
    return a;
  }
  if (n == 0) {
    fail("pad", "axis ", axis, " of shape ", a.shape(), " has no elements to pad with; use mode=\"constant\".");
  }
  if (mode != Continuation::edge && n > 1 && (low > n * most_runs || high > n * most_runs)) {
    return gathered(a, axis, mode, low, high);
  }
  std::vector<array> parts;
  append_continuation(a, axis, mode, 0 - low, 0, parts);
  parts.push_back(a);
  append_continuation(a, axis, mode, n, n + high, parts);
  return concatenate(parts, axis);
}

array surrounded(const array& a, const Shape& before, const Shape& after, const array& value) {
  if (value.ndim() > 0 && surely_differ(value.size(), 1)) {
    fail("pad", "constant_values has shape ", value.shape(),
        "; it must be one number. Pad one side at a time for different ones.");
  }
  Shape shape = a.shape(), stop = a.shape();
  for (size_t i = 0; i < shape.size(); ++i) {
    stop[i] += before[i];
    shape[i] += before[i] + after[i];
  }
  check_shape("pad", shape);
  array number = astype(value, a.dtype());
  array whole = broadcast_to(number.ndim() > 0 ? reshape(number, {}) : number, shape);
  return slice_update(whole, a, before, std::move(stop));
}

constexpr OpInfo pad_info{.name = "pad",
    .summary = "The array with elements added before and behind its axes.",
    .example =
        ">>> mx.pad(mx.array([1, 2]), (1, 2))\narray([0, 1, 2, 0, 0], dtype=int32)\n"
        ">>> mx.pad(mx.array([1, 2, 3]), (2, 1), mode=\"reflect\")\narray([3, 2, 1, 2, 3, 2], dtype=int32)",
    .details =
        "pad_width is an int or one (before, after) pair for every axis, or a list of a pair for each. mode is "
        "\"constant\": constant_values, one number, converted to a's dtype; \"edge\": the outermost element; "
        "\"reflect\" and \"symmetric\": the elements mirrored at the outermost one, without and with repeating it, as "
        "often as needed. Differentiable in a and in constant_values. Raises ValueError for a negative width, an "
        "unknown mode, and an axis without elements in a mode other than \"constant\"."};

} // namespace

array pad(const array& a, const Axes& axes, const Shape& low, const Shape& high, const array& value,
    const std::string& mode, StreamOrDevice s) try {
  StreamScope on(s);
  if (axes.size() != low.size() || axes.size() != high.size()) {
    fail("pad", "axes ", axes, ", low ", low, " and high ", high, " must have the same number of entries.");
  }
  normalize_axes("pad", axes, a.ndim()); // throws when one is repeated
  Shape before(a.shape().size(), 0), after(a.shape().size(), 0);
  bool any = false;
  for (size_t i = 0; i < axes.size(); ++i) {
    auto at = static_cast<size_t>(normalize_axis("pad", axes[i], a.ndim()));
    for (Dim width : {low[i], high[i]}) {
      if (!width.is_symbolic() && width < 0) {
        fail("pad", "pad_width (", low[i], ",", high[i], ") of axis ", axes[i],
            " is negative; cut elements off with a slice instead.");
      }
      any = any || width.is_symbolic() || width > 0;
    }
    before[at] = low[i];
    after[at] = high[i];
  }
  if (mode == "constant") {
    return any ? surrounded(a, before, after, value) : a;
  }
  if (mode != "edge" && mode != "reflect" && mode != "symmetric") {
    fail("pad", "mode is \"", mode, "\"; it should be \"constant\", \"edge\", \"reflect\" or \"symmetric\".");
  }
  Continuation continuation = mode == "edge"      ? Continuation::edge
                              : mode == "reflect" ? Continuation::reflect
                                                  : Continuation::symmetric;
  array y = a;
  for (int axis = 0; axis < a.ndim(); ++axis) {
    auto at = static_cast<size_t>(axis);
    y = continued(y, axis, continuation, before[at], after[at]);
  }
  return y;
} catch (const SizeError& error) {
  error.rethrow_in("pad");
}

array pad(const array& a, const std::vector<std::pair<int, int>>& pad_width, const array& value,
    const std::string& mode, StreamOrDevice s) {
  auto rank = static_cast<size_t>(a.ndim());
  if (pad_width.size() != rank && pad_width.size() != 1) {
    fail("pad", "pad_width has ", pad_width.size(), " pairs for an array of shape ", a.shape(),
        "; give one pair for each axis, or one for all of them.");
  }
  Shape low, high;
  for (size_t i = 0; i < rank; ++i) {
    auto [before, after] = pad_width[pad_width.size() == 1 ? 0 : i];
    low.push_back(before);
    high.push_back(after);
  }
  return pad(a, all_axes(a.ndim()), low, high, value, mode, s);
}
array pad(const array& a, int pad_width, const array& value, const std::string& mode, StreamOrDevice s) {
  return pad(a, std::vector<std::pair<int, int>>{{pad_width, pad_width}}, value, mode, s);
}

std::span<const OpInfo* const> padding_ops() {
  static constexpr const OpInfo* ops[] = {&pad_info};
  return ops;
}

} // namespace mlx::core
