// Reading by index: slice, squeeze, gather and expand_dims nodes, as few as the expression needs.
#include "python/src/indexing/indexing.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/convert.h"
#include "python/src/indexing/at_once.h"
#include "python/src/indexing/index_plan.h"
#include "python/src/runtime/exceptions.h"

namespace mlx::python {

namespace {

using Kind = AxisIndex::Kind;

// x[i], the commonest: one slice and one squeeze.
array get_row(const array& a, int64_t i) {
  const Shape& shape = a.shape();
  core::Dim length = shape[0];
  if (0 - length > i || length <= i) {
    core::fail<core::AxisError>("getitem", "index ", i, " is out of range for axis 0 with length ", length, ".");
  }
  core::Dim at = i < 0 ? length + i : core::Dim(i);
  Shape start(shape.size(), 0), stop = shape, strides(shape.size(), 1);
  start[0] = at;
  stop[0] = at + 1;
  return core::squeeze(core::slice(a, std::move(start), std::move(stop), std::move(strides)), Axes{0});
}

// Ranges and singles; single axes are dropped. base_axis[i] is where axis i of `a` went.
array take_parts(const array& a, const IndexPlan& plan, Axes& base_axis) {
  Axes dropped;
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    base_axis.push_back(static_cast<int>(i - dropped.size()));
    if (plan.axes[i].kind == Kind::single) {
      dropped.push_back(static_cast<int>(i));
    }
  }
  if (!plan.has_parts) {
    return a;
  }
  Shape start, stop, strides;
  plan.bounds(a.shape(), start, stop, strides);
  array base = core::slice(a, std::move(start), std::move(stop), std::move(strides));
  return dropped.empty() ? base : core::squeeze(base, dropped);
}

// Integer arrays; their axes end at result position `to`.
array take_gathers(const array& base, const IndexPlan& plan, const Axes& base_axis, int to, core::OutOfBounds mode,
    const std::optional<array>& fill_value) {
  std::vector<array> indices;
  Axes axes;
  for (size_t i = 0; i < plan.axes.size(); ++i) {
    if (plan.axes[i].kind == Kind::gather) {
      indices.push_back(*plan.axes[i].indices);
      axes.push_back(base_axis[i]);
    }
  }
  if (axes.size() == 1 && axes[0] == to) {
    return core::take(base, indices[0], axes[0], mode, fill_value);
  }
  Shape sizes = base.shape();
  for (int axis : axes) {
    sizes[static_cast<size_t>(axis)] = 1;
  }
  array gathered = core::gather(base, indices, axes, sizes, mode, fill_value);
  int front = gathered.ndim() - base.ndim(); // axes of the indices
  for (int& axis : axes) {
    axis += front;
  }
  gathered = core::squeeze(gathered, axes);
  if (to == 0 || front == 0) {
    return gathered;
  }
  Axes order; // the rest before `to`, the indices' axes, the rest after
  for (int i = 0; i < to; ++i) {
    order.push_back(front + i);
  }
  for (int i = 0; i < front; ++i) {
    order.push_back(i);
  }
  for (int i = front + to; i < gathered.ndim(); ++i) {
    order.push_back(i);
  }
  return core::transpose(gathered, order);
}

// Result positions of None, given the number of axes that the integer arrays make and where these stand.
Axes new_axes(const IndexPlan& plan, int gathered_ndim, int gathered_at) {
  Axes axes;
  int position = 0;
  bool placed = plan.gathers == 0;
  auto place = [&] {
    if (!placed && position == gathered_at) {
      position += gathered_ndim;
      placed = true;
    }
  };
  for (const IndexItem& item : plan.items) {
    if (item.kind == IndexItem::Kind::new_axis) {
      place();
      axes.push_back(position++);
    } else if (item.kind == IndexItem::Kind::axis) {
      Kind kind = plan.axes[static_cast<size_t>(item.axis)].kind;
      if (kind == Kind::whole || kind == Kind::range) {
        place();
        ++position;
      }
    }
  }
  return axes;
}

} // namespace

array get_item(const array& a, nb::handle index) {
  if (PyLong_CheckExact(index.ptr()) && a.ndim() > 0) {
    int overflow = 0;
    long long i = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (!overflow) {
      return get_row(a, i);
    }
  }
  return get_item(a, index, core::OutOfBounds::raise);
}

array get_item(const array& a, nb::handle index, core::OutOfBounds mode, const std::optional<array>& fill_value) {
  array kept = a; // code of the user's that is part of the index may bind the handle to another array
  IndexPlan plan = plan_index("getitem", kept, index, Masks::positions, mode == core::OutOfBounds::raise);
  Axes base_axis;
  array result = take_parts(plan.added.empty() ? kept : core::expand_dims(kept, plan.added), plan, base_axis);
  int gathered_ndim = 0;
  IndexPlan::Placement before;
  if (plan.gathers > 0) {
    before = plan.gather_placement();
    int rest = result.ndim() - plan.gathers;
    result = take_gathers(result, plan, base_axis, before.axes, mode, fill_value);
    gathered_ndim = result.ndim() - rest;
  }
  return plan.has_new_axes ? core::expand_dims(result, new_axes(plan, gathered_ndim, before.axes + before.new_axes))
                           : result;
}

PyObject* get_item_slot(PyObject* self, PyObject* index) noexcept {
  return guarded(
      [&] {
        if (std::optional<array> view = view_at_once(held(self), index)) {
          return wrap(*std::move(view));
        }
        return wrap(get_item(read(self), nb::handle(index)));
      },
      static_cast<PyObject*>(nullptr));
}

int set_item_slot(PyObject* self, PyObject* index, PyObject* value) noexcept {
  return guarded(
      [&] {
        if (!value) {
          core::fail<core::TypeError>("delitem", "elements of an array cannot be deleted.");
        }
        compute_for_write(self, value);
        if (!write_at_once(held(self), index, value)) {
          rebind(self, update_item(read(self), nb::handle(index), nb::handle(value)));
        }
        return 0;
      },
      -1);
}

} // namespace mlx::python
