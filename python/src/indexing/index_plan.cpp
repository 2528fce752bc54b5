// Reading index expressions: which axis each item is about, bounds, Ellipsis, integer arrays.
#include "python/src/indexing/index_plan.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/convert.h"
#include "python/src/indexing/mask_positions.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

using core::AxisError;

[[noreturn]] void out_of_range(const char* op, const std::string& index, int axis, core::Dim length) {
  core::fail<AxisError>(op, "index ", index, " is out of range for axis ", axis, " with length ", length, ".");
}

// Whether `o` counts as an int: Python's and NumPy's, and what else has __index__, but not bool and not arrays.
bool is_int(PyObject* o) {
  if (PyLong_Check(o)) {
    return !PyBool_Check(o);
  }
  if (is_dim(o)) {
    return true;
  }
  if (std::optional<NumpyScalar> scalar = numpy_scalar(o)) {
    return scalar->kind == NumpyScalar::Kind::integer;
  }
  return PyIndex_Check(o) && !is_scalar_or_array(o) && !PyBool_Check(o);
}

// A bound or an index; beyond int64, and near its ends, it clips.
core::Dim clipped(PyObject* o) {
  if (is_dim(o)) {
    return dim_of(o);
  }
  int64_t i = PyNumber_AsSsize_t(o, nullptr);
  if (i == -1 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  constexpr int64_t most = int64_t{1} << 61;
  return std::min(std::max(i, -most), most);
}

core::Dim read_index(const char* op, PyObject* o, int axis, core::Dim length) {
  core::Dim i = clipped(o);
  if (i < 0 - length || i >= length) {
    out_of_range(op, nb::str(nb::handle(o)).c_str(), axis, length);
  }
  return i < 0 ? i + length : i;
}

// A slice of an axis of open length, or with open bounds.
AxisIndex read_open_slice(PySliceObject* s, core::Dim length) {
  AxisIndex index;
  index.kind = AxisIndex::Kind::range;
  index.step = s->step == Py_None ? 1 : static_cast<int64_t>(clipped(s->step));
  if (index.step == 0) {
    throw nb::value_error("slice step cannot be zero"); // as Python says it
  }
  bool forwards = index.step > 0;
  core::Dim least = forwards ? 0 : -1, most = forwards ? length : length - 1;
  auto within = [&](PyObject* bound, core::Dim otherwise) {
    if (bound == Py_None) {
      return otherwise;
    }
    core::Dim at = clipped(bound);
    return smaller_of(larger_of(at < 0 ? at + length : at, least), most);
  };
  core::Dim start = within(s->start, forwards ? core::Dim(0) : most),
            stop = within(s->stop, forwards ? most : core::Dim(-1));
  index.start = start;
  index.length =
      (larger_of(forwards ? stop - start : start - stop, 0) + (std::abs(index.step) - 1)) / std::abs(index.step);
  return index;
}

AxisIndex read_slice(const char* op, PyObject* o, core::Dim length) {
  auto* s = reinterpret_cast<PySliceObject*>(o);
  if (s->start == Py_None && s->stop == Py_None && s->step == Py_None) {
    return {};
  }
  bool known = !length.is_symbolic() && !is_dim(s->start) && !is_dim(s->stop) && !is_dim(s->step);
  auto is_bound = [](PyObject* bound) { return bound == Py_None || PyIndex_Check(bound); };
  if (!known && is_bound(s->start) && is_bound(s->stop) && is_bound(s->step)) [[unlikely]] {
    return read_open_slice(s, length);
  }
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(o, &start, &stop, &step) != 0) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Clear();
      core::fail<core::TypeError>(op, "the bounds of a slice must be ints or None; got ", shown(o), ".");
    }
    throw nb::python_error();
  }
  AxisIndex index;
  index.kind = AxisIndex::Kind::range;
  Py_ssize_t count = PySlice_AdjustIndices(static_cast<int64_t>(length), &start, &stop, step);
  index.length = count;
  index.start = count > 0 ? start : 0;
  index.step = count > 0 ? step : 1;
  if (count == length && index.start == 0 && index.step == 1) {
    index.kind = AxisIndex::Kind::whole;
  }
  return index;
}

// Lists hold their values already, so that bad ones can be named here.
void check_known_indices(const char* op, const array& indices, int axis, core::Dim length) {
  int size = indices.itemsize();
  const char* from = static_cast<const char*>(indices.raw_data());
  for (int64_t n = indices.size(); n > 0; --n, from += size) {
    int64_t i = core::load_int(from, indices.dtype());
    if (0 - length > i || length <= i) {
      out_of_range(op, std::to_string(i), axis, length);
    }
  }
}

class Reader {
 public:
  Reader(const char* op, const array& a, Masks masks, bool check_lists)
      : op_(op), a_(a), shape_(a.shape()), masks_(masks), check_lists_(check_lists) {}

  IndexPlan read(nb::handle index) {
    if (PyTuple_Check(index.ptr())) {
      Py_ssize_t n = PyTuple_GET_SIZE(index.ptr());
      for (Py_ssize_t i = 0; i < n; ++i) {
        count(PyTuple_GET_ITEM(index.ptr(), i));
      }
      if (used_ > ndim()) {
        core::fail<AxisError>(op_, "there are ", used_, " indices for an array with ", ndim(), " axes.");
      }
      for (Py_ssize_t i = 0; i < n; ++i) {
        item(PyTuple_GET_ITEM(index.ptr(), i), n == 1);
      }
    } else {
      count(index.ptr());
      if (used_ > ndim()) {
        if (ndim() == 0) {
          core::fail<AxisError>(op_, "a 0-dimensional array has no axis to index.");
        }
        core::fail<AxisError>(op_, "a mask with ", used_, " axes is too large for an array with ", ndim(), " axes.");
      }
      item(index.ptr(), true);
    }
    while (axis_ < ndim()) { // axes not mentioned
      next_axis();
    }
    return std::move(plan_);
  }

 private:
  int ndim() const { return static_cast<int>(shape_.size()); }
  int known_axis() const { return axis_ - static_cast<int>(plan_.added.size()); } // of the array as the user has it
  core::Dim length() const { return shape_[static_cast<size_t>(axis_)]; }
  AxisIndex& next_axis(AxisIndex index = {}) {
    plan_.items.push_back({IndexItem::Kind::axis, axis_++});
    plan_.axes.push_back(std::move(index));
    return plan_.axes.back();
  }

  void count(PyObject* o) {
    if (o == Py_Ellipsis) {
      if (std::exchange(ellipsis_, true)) {
        core::fail(op_, "an index can hold only one Ellipsis (...).");
      }
      forms_.push_back(Form::ellipsis);
    } else if (o == Py_None) {
      forms_.push_back(Form::none);
    } else {
      forms_.push_back(PySlice_Check(o) ? Form::slice : is_int(o) ? Form::integer : Form::array);
      if (forms_.back() == Form::array) {
        arrays_.push_back(index_array(o));
        used_ += arrays_.back().dtype().is_bool() ? arrays_.back().ndim() - 1 : 0;
      }
      ++used_;
    }
  }

  void item(PyObject* o, bool alone) {
    Form form = forms_[next_form_++];
    if (form == Form::none) {
      plan_.items.push_back({IndexItem::Kind::new_axis});
      plan_.has_new_axes = true;
      return;
    }
    if (form == Form::ellipsis) {
      plan_.items.push_back({IndexItem::Kind::ellipsis});
      for (int covered = ndim() - static_cast<int>(plan_.added.size()) - used_; covered > 0; --covered) {
        next_axis();
      }
      return;
    }
    if (form == Form::array) {
      array indices = std::move(arrays_[static_cast<size_t>(next_array_++)]);
      if (indices.dtype().is_bool()) {
        take_mask(std::move(indices), alone);
        return;
      }
      if (check_lists_ && !is_array(o) && indices.is_available() && indices.is_row_contiguous()) {
        check_known_indices(op_, indices, known_axis(), length());
      }
      gather(std::move(indices));
      return;
    }
    if (form == Form::slice) {
      AxisIndex& index = next_axis(read_slice(op_, o, length()));
      plan_.has_parts |= index.kind == AxisIndex::Kind::range;
    } else {
      core::Dim start = read_index(op_, o, known_axis(), length());
      next_axis({.kind = AxisIndex::Kind::single, .start = start, .length = 1, .indices = {}});
      plan_.has_parts = plan_.has_singles = true;
    }
  }

  // The next axis is indexed by an integer array.
  void gather(array indices) {
    next_axis({.kind = AxisIndex::Kind::gather, .indices = std::move(indices)});
    ++plan_.gathers;
  }

  array index_array(PyObject* o) {
    bool list = PyList_Check(o) || PyTuple_Check(o) || PyRange_Check(o);
    if (!list && (PyFloat_Check(o) || PyComplex_Check(o) || !is_scalar_or_array(o))) {
      core::fail<core::TypeError>(op_, "a ", Py_TYPE(o)->tp_name,
          " is no index; indices are ints, slices, None, "
          "Ellipsis, and integer or bool arrays or lists.");
    }
    array indices = array_from_python(nb::handle(o));
    if (list && indices.size() == 0) {
      return core::array::uninitialized(indices.shape(), core::int32);
    }
    if (!indices.dtype().is_integer() && !indices.dtype().is_bool()) {
      core::fail<core::TypeError>(
          op_, "index arrays must hold integers or bools; this one has dtype ", indices.dtype(), ".");
    }
    return indices;
  }

  void take_mask(array mask, bool alone) {
    if (mask.ndim() == 0) {
      shape_.insert(shape_.begin() + axis_, core::Dim(1));
      plan_.added.push_back(axis_);
      mask = core::expand_dims(mask, Axes{0});
    }
    bool fits = true;
    for (int i = 0; fits && i < mask.ndim(); ++i) {
      fits = mask.shape()[static_cast<size_t>(i)] == shape_[static_cast<size_t>(axis_ + i)];
    }
    if (!fits) {
      core::fail<AxisError>(op_, "a mask of shape ", mask.shape(), " does not match the axes from ", known_axis(),
          " on of shape ", a_.shape(), "; it should have one bool for each of their elements.");
    }
    if (alone && masks_ == Masks::keep_single) {
      plan_.mask = std::move(mask);
      return;
    }
    for (array& indices : mask_positions(op_, "the mask", mask)) {
      gather(std::move(indices));
    }
  }

  const char* op_;
  const array& a_;
  Shape shape_; // of the array, with the axes added so far
  Masks masks_;
  bool check_lists_;
  IndexPlan plan_;
  // What each item is. Asked once: an object of the user's may answer differently the next time.
  enum class Form : uint8_t { none, ellipsis, slice, integer, array };
  core::SmallVector<Form, 8> forms_;
  size_t next_form_ = 0;
  std::vector<array> arrays_; // the items that are arrays or lists, in order
  int next_array_ = 0;
  int used_ = 0; // axes that the items are about
  int axis_ = 0;
  bool ellipsis_ = false;
};

} // namespace

IndexPlan plan_index(const char* op, const array& a, nb::handle index, Masks masks, bool check_lists) {
  return Reader(op, a, masks, check_lists).read(index);
}

void IndexPlan::bounds(const Shape& shape, Shape& start, Shape& stop, Shape& strides) const {
  start.resize(axes.size(), 0);
  strides.resize(axes.size(), 1);
  stop = shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    const AxisIndex& index = axes[i];
    if (index.kind == AxisIndex::Kind::range || index.kind == AxisIndex::Kind::single) {
      start[i] = index.start;
      strides[i] = index.step;
      if (index.start.is_symbolic() || index.length.is_symbolic()) { // counted from the end where it walks backwards
        core::Dim covered = index.step == 1 || index.step == -1
                                ? index.length
                                : larger_of((index.length - 1) * std::abs(index.step) + 1, 0);
        start[i] = index.step > 0 ? index.start : index.start - shape[i];
        stop[i] = index.step > 0 ? index.start + covered : index.start - covered - shape[i];
        continue;
      }
      int64_t length = index.length;
      core::Dim end = index.start + (length - 1) * index.step + (index.step > 0 ? 1 : -1);
      // A stop before the first element is written far below zero, where it cannot be read as counted from the end.
      stop[i] = length == 0 ? core::Dim(0) : end < 0 ? -1 - shape[i] : end;
    }
  }
}

IndexPlan::Placement IndexPlan::gather_placement() const {
  Placement before;
  int runs = 0;
  bool inside = false;
  for (const IndexItem& item : items) {
    bool advanced = false;
    if (item.kind == IndexItem::Kind::axis) {
      AxisIndex::Kind kind = axes[static_cast<size_t>(item.axis)].kind;
      advanced = kind == AxisIndex::Kind::gather || kind == AxisIndex::Kind::single;
      before.axes += !advanced && runs == 0;
    } else if (item.kind == IndexItem::Kind::new_axis) {
      before.new_axes += runs == 0;
    }
    runs += advanced && !inside;
    inside = advanced;
  }
  return runs > 1 ? Placement{} : before;
}

} // namespace mlx::python
