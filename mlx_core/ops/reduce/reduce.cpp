// Reductions over axes: sum, prod, max, min, all, any.
#include "mlx_core/ops/reduce.h"
#include "mlx_core/backend/kernels.h"

#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

namespace {

constexpr const char* over_axes =
    "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1.";

bool is_logic(Reduction op) { return op == Reduction::all || op == Reduction::any; }
bool is_extremum(Reduction op) { return op == Reduction::max || op == Reduction::min; }

constexpr OpInfo infos[] = {
    {.name = "sum",
        .primitive = "Sum",
        .summary = "The sum over axes.",
        .example = ">>> mx.sum(mx.array([[1, 2], [3, 4]]), axis=0)\narray([4, 6], dtype=int32)",
        .details =
            "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. bool "
            "and integers below 32 bits are summed in 32 bits; float16 and bfloat16 in float32. With dtype the "
            "elements are converted to it first, and so is the sum."},
    {.name = "prod",
        .primitive = "Prod",
        .summary = "The product over axes.",
        .example = ">>> mx.prod(mx.array([[1, 2], [3, 4]]), axis=0)\narray([3, 8], dtype=int32)",
        .details =
            "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. bool "
            "and integers below 32 bits are multiplied in 32 bits. With dtype the elements are converted to it first, "
            "and "
            "so is the product. The gradient is right with any number of zeros."},
    {.name = "min",
        .primitive = "Min",
        .summary = "The minimum over axes.",
        .example = ">>> mx.min(mx.array([[1, 2], [3, 4]]), axis=0)\narray([1, 2], dtype=int32)",
        .details =
            "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. NaN "
            "where there is one. Equal minima share the derivative equally. Raises over axes without elements."},
    {.name = "max",
        .primitive = "Max",
        .summary = "The maximum over axes.",
        .example = ">>> mx.max(mx.array([[1, 2], [3, 4]]), axis=0)\narray([3, 4], dtype=int32)",
        .details =
            "axis is an int, several, or None for all axes. With keepdims the reduced axes stay, with length 1. NaN "
            "where there is one. Equal maxima share the derivative equally. Raises over axes without elements."},
    {.name = "all",
        .primitive = "All",
        .summary = "Whether every element over axes is true.",
        .differentiable = Differentiable::zero,
        .no_derivative = {"truth values are constant around almost every argument"},
        .example = ">>> mx.all(mx.array([[True, False], [True, True]]), axis=0)\narray([True, False], dtype=bool)",
        .details = over_axes},
    {.name = "any",
        .primitive = "Any",
        .summary = "Whether some element over axes is true.",
        .differentiable = Differentiable::zero,
        .no_derivative = {"truth values are constant around almost every argument"},
        .example = ">>> mx.any(mx.array([[True, False], [False, False]]), axis=0)\narray([True, False], dtype=bool)",
        .details = over_axes},
};
const OpInfo& info_of(Reduction op) {
  switch (op) {
    case Reduction::sum: return infos[0];
    case Reduction::prod: return infos[1];
    case Reduction::min: return infos[2];
    case Reduction::max: return infos[3];
    case Reduction::all: return infos[4];
    case Reduction::any: return infos[5];
  }
  return infos[0];
}

// The reduced array with the reduced axes at length 1 again.
array kept(const array& y, const Axes& axes, bool keepdims) { return keepdims ? y : expand_dims(y, axes); }

// a == b, also where both are NaN.
class Same final : public Elementwise {
 public:
  const char* name() const override { return "Same"; }
  Body body() const override { return Body::nan_equal; }
  MLX_ZERO_DERIVATIVES
};
} // namespace

array same(const array& a, const array& b) {
  if (a.dtype() != b.dtype()) {
    fail("same", "the dtypes ", a.dtype(), " and ", b.dtype(), " differ.");
  }
  return applied(make_primitive<Same>(), {a, b});
}

namespace {

// Which elements are the extremum, and how many of them there are: each has an equal share in it.
std::pair<array, array> winners(const array& x, const array& y, const Axes& axes, bool keepdims) {
  array mask = same(x, kept(y, axes, keepdims));
  return {mask, sum(astype(mask, wide_of(x.dtype())), axes, true)};
}
array shared(const array& g, const array& count) { return astype(divide(g, count), g.dtype()); }

// Entries [from, to) of the first axis.
array rows(const array& a, Dim from, Dim to) {
  Shape start(a.shape().size(), 0), stop = a.shape();
  start.front() = from;
  stop.front() = to;
  return slice(a, std::move(start), std::move(stop));
}

// The product of all other entries of the first axis, at each entry. Products of halves go up a balanced tree and the
// products of what lies outside come down it: no division, so any number of zeros is right, to every order. Along the
// first axis, where halves are blocks of memory.
array product_of_others(const array& x) {
  int64_t n = x.shape().front(), half = n / 2;
  if (n <= 1) {
    return ones_like(x);
  }
  array first = rows(x, 0, half), second = rows(x, half, 2 * half);
  std::vector<array> pairs{multiply(first, second)};
  if (n % 2) {
    pairs.push_back(rows(x, 2 * half, n));
  }
  array outside = product_of_others(concatenate(pairs, 0));
  array outside_pairs = rows(outside, 0, half);
  std::vector<array> parts{multiply(outside_pairs, second), multiply(outside_pairs, first)};
  if (n % 2) {
    parts.push_back(rows(outside, half, half + 1));
  }
  return concatenate(parts, 0);
}

// d prod(x) / d x_i, for x of any rank reduced over axes; in float32 for 16-bit floats.
array prod_partials(const array& narrow, const Axes& axes) {
  array x = astype(narrow, wide_of(narrow.dtype()));
  Axes order = axes, inverse(x.shape().size());
  for (int i = 0; i < x.ndim(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
      order.push_back(i);
    }
  }
  for (size_t i = 0; i < order.size(); ++i) {
    inverse[static_cast<size_t>(order[i])] = static_cast<int>(i);
  }
  array front = transpose(x, order);
  array partials = product_of_others(flatten(front, 0, static_cast<int>(axes.size()) - 1));
  return transpose(reshape(partials, front.shape()), inverse);
}

} // namespace

const char* Reduce::name() const { return info_of(op_).primitive; }

void Reduce::visit(ParamVisitor& v) const {
  v("axes", axes_);
  v("keepdims", keepdims_);
}

Specs Reduce::infer(Operands operands) const {
  const array& x = operands[0];
  Shape shape;
  auto next = axes_.begin();
  for (int i = 0; i < x.ndim(); ++i) {
    Dim length = x.shape()[static_cast<size_t>(i)];
    if (next == axes_.end() || *next != i) {
      shape.push_back(length);
      continue;
    }
    ++next;
    if (is_extremum(op_) && surely_equal(length, 0)) {
      fail(info_of(op_).name, "axis ", i, " of shape ", x.shape(), " has no elements, so there is no ",
          info_of(op_).name, " over it.");
    }
    if (keepdims_) {
      shape.push_back(1);
    }
  }
  return {Spec{std::move(shape), is_logic(op_) ? bool_ : x.dtype()}};
}

void Reduce::eval(Operands operands, std::span<array> outputs, Kernels& kernels) const {
  const array& x = operands[0];
  outputs[0].allocate();
  SmallVector<int64_t, 4> axes(axes_.begin(), axes_.end());
  kernels.run(kernel::Reduce{op_, x.view(), axes, outputs[0].view()});
}

Tangents Reduce::jvp(Operands primals, const Tangents& tangents, Operands outputs) const {
  if (!tangents[0] || is_logic(op_)) {
    return {std::nullopt};
  }
  const array &x = primals[0], &t = *tangents[0];
  switch (op_) {
    case Reduction::sum: return {applied(self(*this), {t})};
    case Reduction::prod: return {astype(sum(zero_times(t, prod_partials(x, axes_)), axes_, keepdims_), t.dtype())};
    default: {
      auto [mask, count] = winners(x, outputs[0], axes_, keepdims_);
      return {sum(where(mask, shared(t, count), array(0, t.dtype())), axes_, keepdims_)};
    }
  }
}

Tangents Reduce::vjp(Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool>) const {
  if (!cotangents[0] || is_logic(op_)) {
    return {std::nullopt};
  }
  const array& x = primals[0];
  array ct = kept(*cotangents[0], axes_, keepdims_);
  switch (op_) {
    case Reduction::sum: return {broadcast_to(ct, x.shape())};
    case Reduction::prod: return {astype(zero_times(ct, conj_of(prod_partials(x, axes_))), ct.dtype())};
    default: {
      auto [mask, count] = winners(x, outputs[0], axes_, keepdims_);
      return {where(mask, shared(ct, count), array(0, ct.dtype()))};
    }
  }
}

Mapped Reduce::vmap(Operands operands, const MapAxes& axes) const {
  Axes around = around_batch(axes_, *axes[0]);
  int batch = *axes[0];
  for (int axis : around) {
    batch -= !keepdims_ && axis < *axes[0] ? 1 : 0;
  }
  return {{applied(make_primitive<Reduce>(op_, std::move(around), keepdims_), {operands[0]})}, {batch}};
}

// --- the public functions ---

Dtype summed_dtype(Dtype dtype) {
  bool narrow = dtype.is_bool() || (dtype.is_integer() && dtype.size() < 4);
  return !narrow ? dtype : dtype.is_unsigned() ? uint32 : int32;
}

namespace {

array reduced(Reduction op, const array& a, const Axes& axes, bool keepdims, const StreamOrDevice& s) {
  StreamScope on(s);
  Axes over = normalize_axes(info_of(op).name, axes, a.ndim());
  Dtype dtype = op == Reduction::sum || op == Reduction::prod ? summed_dtype(a.dtype()) : a.dtype();
  array x = astype(a, dtype);
  if (over.empty()) {
    return is_logic(op) && !x.dtype().is_bool() ? astype(x, bool_) : x;
  }
  return applied(make_primitive<Reduce>(op, std::move(over), keepdims), {x});
}

} // namespace

array sum(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  return reduced(Reduction::sum, a, axes, keepdims, s);
}
array sum(const array& a, bool keepdims, StreamOrDevice s) { return sum(a, all_axes(a.ndim()), keepdims, s); }
array prod(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  return reduced(Reduction::prod, a, axes, keepdims, s);
}
array prod(const array& a, bool keepdims, StreamOrDevice s) { return prod(a, all_axes(a.ndim()), keepdims, s); }
array max(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  return reduced(Reduction::max, a, axes, keepdims, s);
}
array max(const array& a, bool keepdims, StreamOrDevice s) { return max(a, all_axes(a.ndim()), keepdims, s); }
array min(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  return reduced(Reduction::min, a, axes, keepdims, s);
}
array min(const array& a, bool keepdims, StreamOrDevice s) { return min(a, all_axes(a.ndim()), keepdims, s); }
array all(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  return reduced(Reduction::all, a, axes, keepdims, s);
}
array all(const array& a, bool keepdims, StreamOrDevice s) { return all(a, all_axes(a.ndim()), keepdims, s); }
array any(const array& a, const Axes& axes, bool keepdims, StreamOrDevice s) {
  return reduced(Reduction::any, a, axes, keepdims, s);
}
array any(const array& a, bool keepdims, StreamOrDevice s) { return any(a, all_axes(a.ndim()), keepdims, s); }

std::span<const OpInfo* const> reduce_ops() {
  static constexpr const OpInfo* here[] = {&infos[0], &infos[1], &infos[2], &infos[3], &infos[4], &infos[5]};
  static const std::vector<const OpInfo*>& ops =
      *new std::vector<const OpInfo*>(joined({here, statistics_ops(), arg_reduce_ops()}));
  return ops;
}

namespace {

template <array (*f)(const array&, const Axes&, bool, StreamOrDevice)>
std::vector<array> over_axes_of(const Parts& p) {
  return {f(p[0], p.axes("axes"), p.flag("keepdims"), {})};
}

} // namespace

std::span<const Remake> reduce_remakes() {
  static constexpr Remake rows[] = {
      {"Sum", over_axes_of<sum>},
      {"Prod", over_axes_of<prod>},
      {"Max", over_axes_of<max>},
      {"Min", over_axes_of<min>},
      {"All", over_axes_of<all>},
      {"Any", over_axes_of<any>},
      {"ArgReduce",
          [](const Parts& p) {
            return std::vector<array>{p.flag("max") ? argmax(p[0], p.integer("axis"), p.flag("keepdims"))
                                                    : argmin(p[0], p.integer("axis"), p.flag("keepdims"))};
          }},
      {"Same", [](const Parts& p) { return std::vector<array>{same(p[0], p[1])}; }},
  };
  return rows;
}

} // namespace mlx::core
