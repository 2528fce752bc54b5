// Functions given by samples or coefficients: select, polyval, interp, gradient, unwrap.

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

namespace {

// a[..., from : length - before_end, ...] along an axis.
array part(const array& a, int axis, Dim from, Dim before_end) {
  Shape start(a.shape().size(), 0), stop = a.shape();
  start[static_cast<size_t>(axis)] = from;
  stop[static_cast<size_t>(axis)] = stop[static_cast<size_t>(axis)] - before_end;
  return slice(a, start, stop);
}

Dtype inexact(Dtype dtype) { return dtype.is_inexact() ? dtype : float32; }

void check_vector(const char* op, const char* name, const array& a) {
  if (a.ndim() != 1) {
    fail(op, name, " has shape ", a.shape(), "; it must have one axis.");
  }
}

} // namespace

// --- select ---

static constexpr OpInfo select_info{.name = "select",
    .summary = "Elements of the first of several choices whose condition holds there, else of default.",
    .example =
        ">>> x = mx.arange(4)\n>>> mx.select([x < 1, x > 2], [x + 10, x * 10], -1)\n"
        "array([10, -1, -1, 30], dtype=int32)",
    .details =
        "All broadcast together. The dtype is the one that the choices promote to; a default that is a number "
        "adopts it. Raises ValueError when there are not as many conditions as choices, or none."};
array select(
    const std::vector<array>& conditions, const std::vector<array>& choices, const array& otherwise, StreamOrDevice s) {
  StreamScope on(s);
  if (conditions.size() != choices.size() || choices.empty()) {
    fail("select", "there are ", conditions.size(), " conditions and ", choices.size(),
        " choices; there must be as many of either, at least one.");
  }
  array out = otherwise;
  for (size_t i = choices.size(); i-- > 0;) {
    out = where(conditions[i], choices[i], out);
  }
  return out;
}

// --- polyval ---

static constexpr OpInfo polyval_info{.name = "polyval",
    .summary = "The polynomial with coefficients p, the highest first, at each element of x.",
    .example = ">>> mx.polyval(mx.array([3.0, 0.0, 1.0]), mx.array([0.0, 2.0]))\narray([1, 13], dtype=float32)",
    .details = "By Horner's rule; 0 without coefficients. Raises ValueError unless p has one axis."};
array polyval(const array& p, const array& x, StreamOrDevice s) {
  StreamScope on(s);
  check_vector("polyval", "p", p);
  Dtype dtype = promote_types(p.dtype(), x.dtype());
  array at = astype(x, dtype), y = zeros(x.shape(), dtype);
  constexpr int64_t most = int64_t{1} << 16;
  int64_t count = p.shape(0);
  if (count > most) {
    fail("polyval", "p has shape ", p.shape(), "; at most ", most, " coefficients can be taken.");
  }
  for (int64_t i = 0; i < count; ++i) {
    array coefficient = astype(reshape(slice(p, Shape{i}, Shape{i + 1}), {}), dtype);
    y = i == 0 ? broadcast_to(coefficient, x.shape()) : add(multiply(y, at), coefficient);
  }
  return y;
}

// --- interp ---

static constexpr OpInfo interp_info{.name = "interp",
    .summary = "Straight lines between the points (xp, fp), at each element of x.",
    .example =
        ">>> mx.interp(mx.array([0.5, 1.5, 9.0]), mx.array([0.0, 1.0, 2.0]), mx.array([0.0, 10.0, 40.0]))\n"
        "array([5, 25, 40], dtype=float32)",
    .details =
        "xp ascends. Below and above it the value is left and right: the first and the last of fp by default. With a "
        "period, x and xp are taken modulo it, and xp need not ascend. At a point the derivative is that of the line "
        "behind it. Raises ValueError unless xp and fp have one axis of the same length, at least 1."};
array interp(const array& x, const array& xp, const array& fp, const std::optional<array>& left,
    const std::optional<array>& right, std::optional<double> period, StreamOrDevice s) {
  StreamScope on(s);
  check_vector("interp", "xp", xp);
  if (!(xp.shape() == fp.shape()) || xp.shape(0) < 1) {
    fail("interp", "xp has shape ", xp.shape(), " and fp has shape ", fp.shape(),
        "; both must have the same length, at least 1.");
  }
  Dtype of_x = inexact(promote_types(x.dtype(), xp.dtype()));
  if (of_x.is_complex()) {
    fail("interp", "x has dtype ", x.dtype(), " and xp has dtype ", xp.dtype(), "; complex numbers have no order.");
  }
  Dtype dtype = inexact(promote_types(fp.dtype(), of_x)), wide = wide_of(of_x);
  if (wide != of_x) { // differences may be larger than all there is of 16 bits
    return astype(interp(astype(x, wide), xp, fp, left, right, period), dtype);
  }
  if (wide_of(dtype) != dtype) {
    return astype(interp(x, xp, astype(fp, wide_of(dtype)), left, right, period), dtype);
  }
  array at = astype(x, of_x), points = astype(xp, of_x), values = astype(fp, dtype);
  if (period) {
    if (!(*period != 0) || !std::isfinite(*period)) {
      fail("interp", "period is ", *period, "; it must be a number other than 0.");
    }
    array length(std::abs(*period), of_x);
    array order = argsort(remainder(points, length));
    points = take(remainder(points, length), order);
    values = take(values, order);
    at = remainder(at, length);
    array last = part(points, 0, points.shape(0) - 1, 0), first = part(points, 0, 0, points.shape(0) - 1);
    array behind = part(values, 0, 0, values.shape(0) - 1), before = part(values, 0, values.shape(0) - 1, 0);
    points = concatenate({subtract(last, length), points, add(first, length)});
    values = concatenate({before, values, behind});
  }
  Dim count = points.shape(0);
  array lowest = reshape(part(points, 0, 0, count - 1), {}), highest = reshape(part(points, 0, count - 1, 0), {});
  array at_lowest = reshape(part(values, 0, 0, count - 1), {}), at_highest = reshape(part(values, 0, count - 1, 0), {});
  array y = broadcast_to(at_lowest, at.shape());
  if (count > 1) {
    // The line from point k - 1 to point k.
    array k = clip(astype(searchsorted(points, at, "right"), int64), array(1, int64), size_number(count - 1, int64));
    array x0 = take(points, k - 1), x1 = take(points, k), y0 = take(values, k - 1), y1 = take(values, k);
    array width = x1 - x0, none = equal(width, array(0, of_x));
    array slope = (y1 - y0) / astype(where(none, array(1, of_x), width), dtype);
    y = where(none, y0, y0 + slope * astype(at - x0, dtype));
  }
  if (!period) {
    y = where(less(at, lowest), left ? astype(*left, dtype) : at_lowest, y);
    y = where(greater(at, highest), right ? astype(*right, dtype) : at_highest, y);
    y = where(equal(at, highest), at_highest, y);
  }
  return where(isnan(at), array(std::numeric_limits<double>::quiet_NaN(), dtype), y);
}

// --- gradient ---

static constexpr OpInfo gradient_info{.name = "gradient",
    .summary = "Slopes of a function given by samples, along chosen axes.",
    .example = ">>> mx.gradient(mx.array([1.0, 2.0, 4.0, 7.0]))\narray([1, 1.5, 2.5, 3], dtype=float32)",
    .details =
        "Second order inside: central differences, weighted where samples are not equally far apart; at the ends of "
        "order edge_order, 1 or 2. The distances follow f: one number for all axes, or for each axis a number or the "
        "coordinates of the samples. Of one axis an array, of several a list. Raises ValueError when an axis has "
        "fewer than edge_order + 1 samples."};

namespace {

// Along one axis, by its coordinates or by a distance.
array slopes(const array& f, const array& spacing, int axis, int edge_order) {
  const char* op = "gradient";
  Dim count = f.shape(axis);
  if (count < edge_order + 1) {
    fail(op, "axis ", axis, " of shape ", f.shape(), " has ", count, " samples; edge_order ", edge_order, " takes ",
        edge_order + 1, ".");
  }
  bool even = spacing.ndim() == 0;
  if (!even && (spacing.ndim() != 1 || !(spacing.shape(0) == count))) {
    fail(op, "the coordinates along axis ", axis, " have shape ", spacing.shape(), "; f has shape ", f.shape(), ".");
  }
  array steps = even ? spacing : diff(spacing);
  Shape along(f.shape().size(), 1);
  along[static_cast<size_t>(axis)] = -1;
  // The distances behind samples [from, count - 1 - before_end).
  auto step = [&](Dim from, Dim before_end) { return even ? steps : reshape(part(steps, 0, from, before_end), along); };
  auto samples = [&](Dim from, Dim before_end) { return part(f, axis, from, before_end); };
  std::vector<array> parts;
  if (edge_order == 1) {
    parts.push_back((samples(1, count - 2) - samples(0, count - 1)) / step(0, count - 2));
  } else {
    array d1 = step(0, count - 2), d2 = even ? steps : step(1, count - 3), both = d1 + d2;
    parts.push_back(negative(2 * d1 + d2) / (d1 * both) * samples(0, count - 1) +
                    both / (d1 * d2) * samples(1, count - 2) - d1 / (d2 * both) * samples(2, count - 3));
  }
  if (count > 2) {
    array inner = even ? (samples(2, 0) - samples(0, 2)) / (2 * steps) : f;
    if (!even) {
      array d1 = step(0, 1), d2 = step(1, 0);
      inner = negative(d2) / (d1 * (d1 + d2)) * samples(0, 2) + (d2 - d1) / (d1 * d2) * samples(1, 1) +
              d1 / (d2 * (d1 + d2)) * samples(2, 0);
    }
    parts.push_back(inner);
  }
  if (edge_order == 1) {
    parts.push_back((samples(count - 1, 0) - samples(count - 2, 1)) / step(count - 2, 0));
  } else {
    array d1 = even ? steps : step(count - 3, 1), d2 = step(count - 2, 0), both = d1 + d2;
    parts.push_back(d2 / (d1 * both) * samples(count - 3, 2) - both / (d1 * d2) * samples(count - 2, 1) +
                    (2 * d2 + d1) / (d2 * both) * samples(count - 1, 0));
  }
  return concatenate(parts, axis);
}

} // namespace

std::vector<array> gradient(
    const array& f, const std::vector<array>& spacing, const Axes& axes, int edge_order, StreamOrDevice s) {
  StreamScope on(s);
  if (edge_order != 1 && edge_order != 2) {
    fail("gradient", "edge_order is ", edge_order, "; it must be 1 or 2.");
  }
  if (spacing.size() > 1 && spacing.size() != axes.size()) {
    fail("gradient", "there are ", spacing.size(), " distances for ", axes.size(), " axes; give one, or one for each.");
  }
  Dtype dtype = inexact(f.dtype());
  array x = astype(f, wide_of(dtype)); // differences may be larger than all there is of 16 bits
  std::vector<array> out;
  for (size_t i = 0; i < axes.size(); ++i) {
    array distance = spacing.empty() ? array(1, x.dtype()) : spacing[spacing.size() == 1 ? 0 : i];
    array along = slopes(x, astype(distance, x.dtype()), normalize_axis("gradient", axes[i], f.ndim()), edge_order);
    out.push_back(astype(along, dtype));
  }
  return out;
}

// --- unwrap ---

static constexpr OpInfo unwrap_info{.name = "unwrap",
    .summary = "Angles without jumps: each that is more than discont from the one before is moved by whole periods.",
    .example = ">>> mx.unwrap(mx.array([0.0, 3.0, -3.0]))\narray([0, 3, 3.28319], dtype=float32)",
    .details = "Along an axis, the last by default. discont is at least half a period, which is the default."};
array unwrap(const array& p, std::optional<double> discont, int axis, double period, StreamOrDevice s) {
  StreamScope on(s);
  int at = normalize_axis("unwrap", axis, p.ndim());
  array x = astype(p, inexact(p.dtype()));
  if (x.dtype().is_complex()) {
    fail("unwrap", "p has dtype ", p.dtype(), "; angles are real.");
  }
  if (x.shape(at) < 2) {
    return x;
  }
  array steps = diff(x, 1, at), half(period / 2, x.dtype());
  array short_way = remainder(steps + half, array(period, x.dtype())) - half;
  short_way =
      where(logical_and(equal(short_way, negative(half)), greater(steps, array(0, x.dtype()))), half, short_way);
  array keeps = less(abs(steps), array(std::max(discont.value_or(period / 2), period / 2), x.dtype()));
  // Whole periods: moving by them has no derivative.
  array moved = stop_gradient(where(keeps, array(0, x.dtype()), short_way - steps));
  return concatenate({part(x, at, 0, x.shape(at) - 1), part(x, at, 1, 0) + cumsum(moved, at)}, at);
}

std::span<const OpInfo* const> sampled_ops() {
  static constexpr const OpInfo* ops[] = {&select_info, &polyval_info, &interp_info, &gradient_info, &unwrap_info};
  return ops;
}

} // namespace mlx::core
