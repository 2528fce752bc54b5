// Writing by index: x[index] = value as slice_update, scatter and where nodes.
#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/convert.h"
#include "python/src/index_plan.h"
#include "python/src/indexing.h"

namespace mlx::python {

namespace {

using Kind = AxisIndex::Kind;
using core::Dim;

array value_array(const array& a, nb::handle value) {
  bool list = PyList_Check(value.ptr()) || PyTuple_Check(value.ptr());
  std::optional<array> converted = list ? array_from_python(value) : try_to_array(value.ptr(), a.dtype());
  if (!converted) {
    core::fail<core::TypeError>(
        "setitem", "cannot assign a ", Py_TYPE(value.ptr())->tp_name, " to elements of an array.");
  }
  return core::astype(*converted, a.dtype());
}

[[noreturn]] void does_not_fit(const Shape& value, const Shape& selection) {
  core::fail(
      "setitem", "a value of shape ", value, " cannot be broadcast to the selected part of shape ", selection, ".");
}

// value with exactly the axes of `selection`, each as long or 1. Surplus leading axes of length 1 go, as in NumPy.
array aligned(const array& value, const Shape& selection) {
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
    if (!(shape[i] == 1) && !(shape[i] == selection[i])) {
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

array assign_gathered(const array& base, const IndexPlan& plan, const array& value, const Shape& gathered) {
  std::vector<array> indices;
  Axes axes;
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    if (plan.axes[i].kind == Kind::gather) {
      indices.push_back(*plan.axes[i].indices);
      axes.push_back(static_cast<int>(i));
    }
  }
  Shape updates = gathered; // then one entry per axis of base, 1 where indexed
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    updates.push_back(plan.axes[i].kind == Kind::gather ? Dim(1) : base.shape()[i]);
  }
  return core::scatter(base, indices, core::broadcast_to(value, updates), axes);
}

// x[mask] = value: value where the mask is true.
array assign_masked(const array& a, const array& mask, const array& value) {
  Shape rest(a.shape().begin() + mask.ndim(), a.shape().end());
  Shape shape = value.shape();
  while (shape.size() > rest.size() && shape[0] == 1) {
    shape.erase(shape.begin());
  }
  if (shape.size() > rest.size()) {
    core::fail("setitem", "a value of shape ", value.shape(), " assigned through a mask of shape ", mask.shape(),
        " must broadcast to the shape ", rest,
        " of one masked element: how many elements the mask selects depends "
        "on its values. Use mx.where(mask, value, x) with a value of x's shape.");
  }
  array part = aligned(value, rest);
  Axes trailing;
  for (int i = mask.ndim(); i < a.ndim(); ++i) {
    trailing.push_back(i);
  }
  return core::where(trailing.empty() ? mask : core::expand_dims(mask, trailing), part, a);
}

} // namespace

array set_item(const array& a, nb::handle index, nb::handle value) {
  array v = value_array(a, value);
  IndexPlan plan = plan_index("setitem", a, index);
  if (plan.mask) {
    return assign_masked(a, *plan.mask, v);
  }
  Shape gathered;
  for (const AxisIndex& axis : plan.axes) {
    if (axis.indices) {
      gathered = core::broadcast_shapes("setitem", gathered, axis.indices->shape());
    }
  }
  Selection selection = selection_of(a, plan, gathered);
  if (v.ndim() > 0) {
    v = arranged(aligned(v, selection.shape), selection, a.ndim());
  }
  if (!plan.has_parts && plan.gathers == 0) {
    return core::broadcast_to(v, a.shape());
  }
  if (core::size_of(selection.shape) == 0) {
    return a;
  }
  Shape start, stop, strides;
  plan.bounds(a.shape(), start, stop, strides);
  if (plan.gathers == 0) {
    return core::slice_update(a, v, std::move(start), std::move(stop), std::move(strides));
  }
  if (!plan.has_parts) {
    return assign_gathered(a, plan, v, gathered);
  }
  // Integer arrays beside ranges and ints: scatter into the part, then write the part back.
  array part = core::slice(a, start, stop, strides);
  return core::slice_update(a, assign_gathered(part, plan, v, gathered), start, stop, strides);
}

} // namespace mlx::python
