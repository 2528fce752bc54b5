// Writing by index: x[index] = value, x.at[index].add(value) and its like, as slice_update, scatter and where
// nodes.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/convert.h"
#include "python/src/indexing/index_plan.h"
#include "python/src/indexing/indexing.h"
#include "python/src/indexing/mask_positions.h"

namespace mlx::python {

namespace {

using Kind = AxisIndex::Kind;
using core::Dim;

// One call, for its error messages and what it does with the elements.
struct Writer {
  const char* op;
  Update how;
  core::OutOfBounds mode = core::OutOfBounds::raise;

  array converted(const array& a, nb::handle value) const;
  [[noreturn]] void does_not_fit(const Shape& value, const Shape& selection) const;
  array aligned(const array& value, const Shape& selection) const;
  array combined(const array& x, const array& v) const;
  array scattered(const array& base, const IndexPlan& plan, const array& value, const Shape& gathered) const;
  array scattered(const array& base, const std::vector<array>& indices, const array& updates, const Axes& axes) const;
  array masked_values(const array& mask, const array& value, const Shape& rest) const;
  array write_masked(const array& a, const array& mask, const array& value) const;
  array write_planned(const array& a, const IndexPlan& plan, array v) const;
  array write(const array& now, nb::handle index, nb::handle value) const;
  static array masked(const array& mask, const array& yes, const array& no);
};

array Writer::converted(const array& a, nb::handle value) const {
  bool list = PyList_Check(value.ptr()) || PyTuple_Check(value.ptr());
  std::optional<array> made = list ? array_from_python(value) : try_to_array(value.ptr(), a.dtype());
  if (!made) {
    core::fail<core::TypeError>(op, "a ", Py_TYPE(value.ptr())->tp_name,
        " cannot be written to elements of an array; give a number, an array, or a list of numbers.");
  }
  return core::astype(*made, a.dtype());
}

void Writer::does_not_fit(const Shape& value, const Shape& selection) const {
  core::fail(op, "a value of shape ", value, " cannot be broadcast to the selected part of shape ", selection, ".");
}

// value with exactly the axes of `selection`, each as long or 1. Surplus leading axes of length 1 go, as in NumPy.
array Writer::aligned(const array& value, const Shape& selection) const {
  Shape shape = value.shape();
  while (shape.size() > selection.size() && shape[0] == 1) {
    shape.erase(shape.begin());
  }
  if (shape.size() > selection.size()) {
    does_not_fit(value.shape(), selection);
  }
  while (shape.size() < selection.size()) {
    shape.insert(shape.begin(), Dim(1));
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!(shape[i] == selection[i]) && !(shape[i] == 1)) {
      does_not_fit(value.shape(), selection);
    }
  }
  return shape == value.shape() ? value : core::reshape(value, shape);
}

// The shape of a[index]'s result, and for each of its axes where the update has it: an axis of `a`, or what follows.
struct Selection {
  static constexpr int from_new_axis = -1, from_indices = -2;
  Shape shape;
  Axes source;
};

Selection selection_of(const array& a, const IndexPlan& plan, const Shape& gathered) {
  Selection selection;
  auto add = [&](Dim length, int source) {
    selection.shape.push_back(length);
    selection.source.push_back(source);
  };
  auto add_gathered = [&] {
    for (Dim length : gathered) {
      add(length, Selection::from_indices);
    }
  };
  IndexPlan::Placement before = plan.gather_placement();
  size_t position = static_cast<size_t>(before.axes + before.new_axes);
  for (const IndexItem& item : plan.items) {
    if (plan.gathers > 0 && selection.shape.size() == position) {
      position = SIZE_MAX;
      add_gathered();
    }
    if (item.kind == IndexItem::Kind::new_axis) {
      add(1, Selection::from_new_axis);
    } else if (item.kind == IndexItem::Kind::axis) {
      const AxisIndex& index = plan.axes[static_cast<size_t>(item.axis)];
      if (index.kind == Kind::whole) {
        add(a.shape()[static_cast<size_t>(item.axis)], item.axis);
      } else if (index.kind == Kind::range) {
        add(index.length, item.axis);
      }
    }
  }
  if (plan.gathers > 0 && position != SIZE_MAX) {
    add_gathered();
  }
  return selection;
}

// value, whose axes are those of the selection, with the axes of the indices in front and then one for each axis of the
// array (1 where that is a single index or gathered).
array arranged(const array& value, const Selection& selection, int ndim) {
  Axes order;
  Shape shape;
  for (size_t i = 0; i < selection.source.size(); ++i) {
    if (selection.source[i] == Selection::from_indices) {
      order.push_back(static_cast<int>(i));
      shape.push_back(value.shape()[i]);
    }
  }
  size_t front = shape.size();
  shape.resize(front + static_cast<size_t>(ndim), Dim(1));
  for (size_t i = 0; i < selection.source.size(); ++i) {
    if (selection.source[i] != Selection::from_indices) {
      order.push_back(static_cast<int>(i));
    }
    if (selection.source[i] >= 0) {
      shape[front + static_cast<size_t>(selection.source[i])] = value.shape()[i];
    }
  }
  array moved = order == core::all_axes(value.ndim()) ? value : core::transpose(value, order);
  return shape == moved.shape() ? moved : core::reshape(moved, shape);
}

// Elements x that are all different, with v.
array Writer::combined(const array& x, const array& v) const {
  switch (how) {
    case Update::set: return core::broadcast_to(v, x.shape());
    case Update::add: return core::add(x, v);
    case Update::subtract: return core::subtract(x, v);
    case Update::multiply: return core::multiply(x, v);
    case Update::divide:
      return core::astype(x.dtype().is_integer() ? core::floor_divide(x, v) : core::divide(x, v), x.dtype());
    case Update::maximum: return core::maximum(x, v);
    case Update::minimum: return core::minimum(x, v);
    case Update::power: return core::astype(core::power(x, v), x.dtype());
  }
  return x;
}

array Writer::scattered(const array& base, const IndexPlan& plan, const array& value, const Shape& gathered) const {
  std::vector<array> indices;
  Axes axes;
  Shape shape = gathered; // of the updates: then one entry per axis of base, 1 where indexed
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    bool indexed = plan.axes[i].kind == Kind::gather;
    if (indexed) {
      indices.push_back(*plan.axes[i].indices);
      axes.push_back(static_cast<int>(i));
    }
    shape.push_back(indexed ? Dim(1) : base.shape()[i]);
  }
  array updates = core::broadcast_to(value, shape);
  return core::write_inside(op, base, indices, axes, mode,
      [&](const array& x, const std::vector<array>& inside) { return scattered(x, inside, updates, axes); });
}

array Writer::scattered(
    const array& base, const std::vector<array>& indices, const array& updates, const Axes& axes) const {
  switch (how) {
    case Update::set: return core::scatter(base, indices, updates, axes);
    case Update::add: return core::scatter_add(base, indices, updates, axes);
    case Update::subtract: return core::scatter_add(base, indices, core::negative(updates), axes);
    case Update::multiply: return core::scatter_prod(base, indices, updates, axes);
    case Update::divide: // one rounding where one value divides, and integers divide as integers
      return combined(base, core::scatter_prod(core::ones_like(base), indices, updates, axes));
    case Update::maximum: return core::scatter_max(base, indices, updates, axes);
    case Update::minimum: return core::scatter_min(base, indices, updates, axes);
    case Update::power: { // (x ** v) ** w = x ** (v * w); elements that no index selects are not powers of themselves
      array exponents = core::scatter_prod(core::ones_like(base), indices, updates, axes);
      array selected = core::scatter(
          core::zeros(base.shape(), core::bool_), indices, core::ones(updates.shape(), core::bool_), axes);
      return core::where(selected, combined(base, exponents), base);
    }
  }
  return base;
}

// --- masks: `where`, so that the mask need not be known and may differ between the lanes of vmap ---

// value, which has one entry for each true element of the mask, spread to all elements: each gets the entry numbered by
// the true elements before it.
array Writer::masked_values(const array& mask, const array& value, const Shape& rest) const {
  Shape shape = rest;
  shape.insert(shape.begin(), value.shape()[0]);
  array entries = core::broadcast_to(aligned(value, shape), shape);
  array count = core::cumsum(core::astype(core::flatten(mask), core::int32));
  if (mask.is_available() || value.shape()[0] == 0) {
    int64_t needed = static_cast<int64_t>(mask_positions(op, "the mask", mask)[0].size()), given = value.shape()[0];
    if (needed > given) {
      core::fail(op, "a value of shape ", value.shape(), " has ", given, " entries for the ", needed,
          " true elements of the mask; give one for each, or one for all.");
    }
    if (given == 0) {
      return core::zeros({Dim(1)}, value.dtype());
    }
  }
  array numbers = core::maximum(core::subtract(count, array(1)), array(0));
  Shape whole = mask.shape();
  for (Dim length : rest) {
    whole.push_back(length);
  }
  return core::reshape(core::take(entries, numbers, 0), whole);
}

array Writer::write_masked(const array& a, const array& mask, const array& value) const {
  Shape rest(a.shape().begin() + mask.ndim(), a.shape().end());
  if (core::size_of(mask.shape()) == 0) {
    return a;
  }
  bool one_each = value.ndim() == static_cast<int>(rest.size()) + 1 && !(value.shape()[0] == 1);
  array v = one_each ? masked_values(mask, value, rest) : aligned(value, rest);
  return masked(mask, combined(a, v), a);
}

// `yes` where the mask over the leading axes is true, `no` elsewhere.
array Writer::masked(const array& mask, const array& yes, const array& no) {
  Axes trailing;
  for (int i = mask.ndim(); i < no.ndim(); ++i) {
    trailing.push_back(i);
  }
  return core::where(trailing.empty() ? mask : core::expand_dims(mask, trailing), yes, no);
}

// `a` has the axes that the plan adds.
array Writer::write_planned(const array& a, const IndexPlan& plan, array v) const {
  if (plan.mask) {
    return write_masked(a, *plan.mask, v);
  }
  Shape gathered;
  for (const AxisIndex& axis : plan.axes) {
    if (axis.indices) {
      gathered = core::broadcast_shapes(op, gathered, axis.indices->shape());
    }
  }
  Selection selection = selection_of(a, plan, gathered);
  if (v.ndim() > 0) {
    v = arranged(aligned(v, selection.shape), selection, a.ndim());
  }
  if (!plan.has_parts && plan.gathers == 0) {
    return combined(a, v);
  }
  // An open part may turn out to have no elements; but where there are none, no index array is looked at.
  core::Dim selected = core::size_of(selection.shape);
  if ((plan.gathers > 0 || !selected.is_symbolic()) && selected == 0) {
    return a;
  }
  if (!plan.has_parts) {
    return scattered(a, plan, v, gathered);
  }
  // Ranges and ints: change the part, then write it back. Where nothing is read of it, it is not taken.
  Shape start, stop, strides;
  plan.bounds(a.shape(), start, stop, strides);
  if (plan.gathers == 0 && how == Update::set) {
    return core::slice_update(a, v, std::move(start), std::move(stop), std::move(strides));
  }
  array part = core::slice(a, start, stop, strides);
  array changed = plan.gathers > 0 ? scattered(part, plan, v, gathered) : combined(part, v);
  return core::slice_update(a, changed, start, stop, strides);
}

array Writer::write(const array& now, nb::handle index, nb::handle value) const {
  array a = now; // code of the user's in index and value may bind the handle to another array
  array v = converted(a, value);
  IndexPlan plan = plan_index(op, a, index, Masks::keep_single, mode == core::OutOfBounds::raise);
  if (plan.added.empty()) {
    return write_planned(a, plan, v);
  }
  return core::squeeze(write_planned(core::expand_dims(a, plan.added), plan, v), plan.added);
}

constexpr const char* names[] = {
    "setitem", "at.add", "at.subtract", "at.multiply", "at.divide", "at.maximum", "at.minimum", "at.power"};

} // namespace

array update_item(const array& a, nb::handle index, nb::handle value, Update how, core::OutOfBounds mode) {
  return Writer{names[static_cast<size_t>(how)], how, mode}.write(a, index, value);
}

array apply_to_item(
    const array& a, nb::handle index, core::OutOfBounds mode, const std::function<array(const array&)>& fun) {
  const char* const op = "at.apply";
  auto applied = [&](const array& x) {
    array y = fun(x);
    if (!(y.shape() == x.shape())) {
      core::fail(op, "the function made shape ", y.shape(), " of elements of shape ", x.shape(),
          "; it should be elementwise.");
    }
    return core::astype(y, a.dtype());
  };
  IndexPlan plan = plan_index(op, a, index, Masks::keep_single, mode == core::OutOfBounds::raise);
  if (plan.mask && plan.added.empty()) {
    return core::size_of(plan.mask->shape()) == 0 ? a : Writer{op, Update::set}.masked(*plan.mask, applied(a), a);
  }
  array changed = applied(get_item(a, index, mode));
  return update_item(a, index, nb::steal(wrap(std::move(changed))), Update::set, mode);
}

} // namespace mlx::python
