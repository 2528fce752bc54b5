// Small updates without a graph.
#include "python/src/indexing/write_at_once.h"

#include <cstdlib>

#include "mlx_core/eval/write_now.h"
#include "python/src/array/convert.h"

namespace mlx::python {

namespace {

using core::Dim;

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

bool write_at_once(const array& x, PyObject* index, PyObject* value) {
#ifdef Py_GIL_DISABLED
  return false; // another thread may be reading the handle
#endif
  if (open_handle_log || !core::may_write_now(x)) {
    return false;
  }
  const core::Node& node = *x.node();
  Part part;
  size_t axis = 0;
  auto next = [&](PyObject* item) {
    bool taken = axis < node.shape.size() && part.take(item, node.shape[axis], node.strides[axis]);
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
  for (; axis < node.shape.size(); ++axis) {
    part.sizes.push_back(node.shape[axis]);
    part.strides.push_back(node.strides[axis]);
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
  const core::Node& given = *v.node();
  if (!given.available() || given.dtype != x.dtype() || !given.row_contiguous ||
      (given.buffer && given.buffer.get() == node.buffer.get()) || given.shape.size() > part.sizes.size()) {
    return false;
  }
  bool one = true, same = given.shape.size() == part.sizes.size();
  for (size_t i = 0; i < given.shape.size(); ++i) {
    one = one && given.shape[i] == 1;
    same = same && given.shape[i] == part.sizes[i];
  }
  if (!one && !same) {
    return false;
  }
  core::write_now(x, part.offset, part.sizes, part.strides, v.raw_data(), !same);
  return true;
}

} // namespace mlx::python
