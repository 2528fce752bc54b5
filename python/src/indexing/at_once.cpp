// Views and small updates without a graph.
#include "python/src/indexing/at_once.h"

#include <algorithm>

#include "mlx_core/eval/at_once.h"
#include "python/src/array/convert.h"

namespace mlx::python {

namespace {

constexpr int64_t most_elements = 1 << 14; // more are worth a second thread, and looking out for interrupts

// What an index of ints and slices selects.
struct Part {
  int64_t offset = 0; // elements
  core::Sizes sizes;
  core::Strides strides;

  // The index of one axis. False for what is none of these, or outside of the axis.
  bool take(PyObject* item, int64_t length, int64_t stride) {
    if (PyLong_CheckExact(item)) {
      int overflow = 0;
      long long i = PyLong_AsLongLongAndOverflow(item, &overflow);
      if (overflow || i < -length || i >= length) {
        return false;
      }
      offset += (i < 0 ? i + length : i) * stride;
      return true;
    }
    if (!PySlice_Check(item)) {
      return false;
    }
    auto* s = reinterpret_cast<PySliceObject*>(item);
    for (PyObject* bound : {s->start, s->stop, s->step}) {
      if (bound != Py_None && !PyLong_CheckExact(bound)) { // code of the user's would run
        return false;
      }
    }
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(item, &start, &stop, &step) != 0) {
      PyErr_Clear();
      return false;
    }
    Py_ssize_t count = PySlice_AdjustIndices(length, &start, &stop, step);
    offset += count > 0 ? start * stride : 0;
    sizes.push_back(count);
    strides.push_back(count > 1 ? step * stride : 1);
    return true;
  }

  // A whole index.
  bool take_all(PyObject* index, const core::Node& node) {
    size_t axis = 0, axes = node.shape.size();
    auto next = [&](PyObject* item) {
      bool taken = axis < axes && take(item, node.shape[axis], node.strides[axis]);
      ++axis;
      return taken;
    };
    if (PyTuple_CheckExact(index)) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(index); ++i) {
        if (!next(PyTuple_GET_ITEM(index, i))) {
          return false;
        }
      }
    } else if (!next(index)) {
      return false;
    }
    for (; axis < axes; ++axis) {
      sizes.push_back(node.shape[axis]);
      strides.push_back(node.strides[axis]);
    }
    return true;
  }
};

// The element that a number is in such an array. False where that needs looking at.
bool store_number(PyObject* value, core::Dtype dtype, void* element) {
  bool is_float = dtype == core::float32 || dtype == core::float64;
  if (PyFloat_CheckExact(value)) {
    if (is_float) {
      core::store_element(element, dtype, core::complex128_t(PyFloat_AS_DOUBLE(value)));
    }
    return is_float;
  }
  if (!PyLong_CheckExact(value) || !(is_float || dtype == core::int32 || dtype == core::int64)) {
    return false;
  }
  int overflow = 0;
  long long i = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow || i < INT32_MIN || i > INT32_MAX) {
    return false;
  }
  core::store_element(element, dtype, static_cast<int64_t>(i));
  return true;
}

} // namespace

std::optional<array> view_at_once(const array& x, PyObject* index) {
#ifdef Py_GIL_DISABLED
  return std::nullopt; // another thread may bind the handle
#endif
  Part part;
  if (open_handle_log || !core::may_view_now(x) || !part.take_all(index, *x.node())) {
    return std::nullopt;
  }
  bool is_empty = std::find(part.sizes.begin(), part.sizes.end(), 0) != part.sizes.end();
  if (is_empty || std::equal(part.sizes.begin(), part.sizes.end(), x.shape().begin(), x.shape().end())) {
    return std::nullopt; // x[:] is x
  }
  return core::view_now(x, part.offset, Shape(part.sizes.begin(), part.sizes.end()), std::move(part.strides));
}

void compute_for_write(PyObject* handle, PyObject* value) {
#ifdef Py_GIL_DISABLED
  return;
#endif
  if (!open_handle_log && is_array(value) && !held(value).is_available() && core::may_soon_be_written(held(handle)) &&
      core::is_cheap(held(value))) {
    evaluate(held(value));
  }
}

namespace {

// The rows that an integer array of one axis, or a list of ints, selects. False for what is none of these, or selects
// rows that are not there.
bool read_rows(PyObject* index, int64_t length, core::SmallVector<int64_t, 16>& rows) {
  constexpr int64_t most_rows = 256;
  auto add = [&](int64_t i) {
    rows.push_back(i < 0 ? i + length : i);
    return -length <= i && i < length;
  };
  if (PyList_CheckExact(index)) {
    Py_ssize_t count = PyList_GET_SIZE(index);
    bool fits = count > 0 && count <= most_rows;
    for (Py_ssize_t k = 0; fits && k < count; ++k) {
      PyObject* item = PyList_GET_ITEM(index, k);
      int overflow = 0;
      fits = PyLong_CheckExact(item) && add(PyLong_AsLongLongAndOverflow(item, &overflow)) && !overflow;
    }
    return fits;
  }
  if (!is_array(index)) {
    return false;
  }
  const array& indices = held(index);
  if (!indices.is_available() || indices.ndim() != 1 || !indices.dtype().is_integer() || !indices.is_row_contiguous() ||
      indices.size() == 0 || indices.size() > most_rows) {
    return false;
  }
  const auto* from = static_cast<const char*>(indices.raw_data());
  for (int64_t n = indices.size(); n > 0; --n, from += indices.itemsize()) {
    if (!add(core::load_int(from, indices.dtype()))) {
      return false;
    }
  }
  return true;
}

// How a value lies against a part of these lengths.
enum class Match : uint8_t { none, one, same };
Match match(const core::Node& value, std::span<const int64_t> lengths) {
  bool one = value.shape.size() <= lengths.size(), same = value.shape.size() == lengths.size();
  for (size_t i = 0; i < value.shape.size(); ++i) {
    one = one && value.shape[i] == 1;
    same = same && value.shape[i] == lengths[i];
  }
  return same ? Match::same : one ? Match::one : Match::none;
}

// A value whose elements can be copied as they are.
bool is_given(const array& value, const array& x) {
  const core::Node& node = *value.node();
  return node.available() && node.dtype == x.dtype() && node.row_contiguous &&
         !(node.buffer && node.buffer.get() == x.node()->buffer.get());
}

// x[[0, 5]] = an array. Of a row that is named twice the last value counts.
bool write_rows(const array& x, const core::SmallVector<int64_t, 16>& rows, const array& v) {
  if (!is_given(v, x)) {
    return false;
  }
  core::Sizes lengths{static_cast<int64_t>(rows.size())};
  for (size_t i = 1; i < x.shape().size(); ++i) {
    lengths.push_back(x.shape()[i]);
  }
  std::span<const int64_t> all(lengths.begin(), lengths.size());
  int64_t length = core::View::size_of(all.subspan(1));
  if (length == 0 || length > most_elements / lengths[0]) {
    return false;
  }
  Match whole = match(*v.node(), all), each = whole == Match::same ? whole : match(*v.node(), all.subspan(1));
  if (whole == Match::none && each == Match::none) {
    return false;
  }
  const auto* from = static_cast<const char*>(v.raw_data());
  int64_t step = whole == Match::same ? length * x.itemsize() : 0;
  bool one = each == Match::one || (each == Match::none && whole == Match::one);
  for (int64_t row : rows) {
    core::write_now(x, row * length, {length}, {1}, from, one);
    from += step;
  }
  return true;
}

} // namespace

bool write_at_once(const array& x, PyObject* index, PyObject* value) {
#ifdef Py_GIL_DISABLED
  return false; // another thread may be reading the handle
#endif
  if (open_handle_log || !core::may_write_now(x)) {
    return false;
  }
  const core::Node& node = *x.node();
  if (core::SmallVector<int64_t, 16> rows;
      is_array(value) && !node.shape.empty() && !PyTuple_Check(index) && read_rows(index, node.shape[0], rows)) {
    return write_rows(x, rows, held(value));
  }
  Part part;
  if (!part.take_all(index, node)) {
    return false;
  }
  int64_t count = 1;
  for (int64_t length : part.sizes) {
    if (length == 0 || length > most_elements / count) {
      return false;
    }
    count *= length;
  }
  if (!is_array(value)) {
    alignas(16) unsigned char element[16];
    if (!store_number(value, x.dtype(), element)) {
      return false;
    }
    core::write_now(x, part.offset, part.sizes, part.strides, element, true);
    return true;
  }
  const array& v = held(value);
  Match how = is_given(v, x) ? match(*v.node(), {part.sizes.begin(), part.sizes.size()}) : Match::none;
  if (how == Match::none) {
    return false;
  }
  core::write_now(x, part.offset, part.sizes, part.strides, v.raw_data(), how == Match::one);
  return true;
}

} // namespace mlx::python
