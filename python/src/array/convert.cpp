// Numbers and array-likes beside arrays, shapes, axes and streams.
#include "python/src/array/convert.h"
#include "python/src/runtime/gil.h"

#include <limits>

#include "mlx_core/error.h"
#include "mlx_core/eval/at_once.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/shape/size_number.h"
#include "python/src/array/number_arguments.h"
#include "python/src/compile/dim_object.h"
#include "python/src/compile/runtime_scalar.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/runtime/shown.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

PyTypeObject* array_type = nullptr;

PyObject* wrap(array value, PyTypeObject* type) {
  nb::object handle = nb::inst_alloc(nb::handle(reinterpret_cast<PyObject*>(type)));
  new (nb::inst_ptr<array>(handle)) array(std::move(value));
  nb::inst_mark_ready(handle);
  if (open_handle_log) [[unlikely]] {
    open_handle_log->made(handle.ptr());
  }
  return handle.release().ptr();
}

void evaluate(const array& a) {
  if (!a.is_available()) {
    array kept = a; // another thread may rebind the handle meanwhile
#ifndef Py_GIL_DISABLED
    if (core::eval_own_steps({&kept, 1}, 1)) {
      return;
    }
#endif
    if (core::eval_if_cheap({&kept, 1})) {
      return;
    }
    WithoutGil unlocked;
    kept.eval();
  }
}

namespace {

// What a Python int is as a C++ integer: int64 when it fits, else uint64.
struct Integer {
  int64_t value = 0;
  bool above_int64 = false; // `value` holds the bits of a uint64
};

Integer read_int(PyObject* o) {
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow == 0) {
    if (value == -1 && PyErr_Occurred()) {
      throw nb::python_error();
    }
    return {value, false};
  }
  unsigned long long bits = overflow > 0 ? PyLong_AsUnsignedLongLong(o) : 0;
  if (overflow < 0 || PyErr_Occurred()) {
    PyErr_Clear();
    core::fail("array", nb::str(nb::handle(o)).c_str(), " is too large for int64 and uint64; write it as a float.");
  }
  return {static_cast<int64_t>(bits), true};
}

bool fits(Integer i, Dtype dtype) {
  int bits = 8 * dtype.size();
  if (dtype.is_unsigned()) {
    // As MLX has it, a negative int beside uint64 counts modulo 2^64.
    return bits == 64 || (!i.above_int64 && i.value >= 0 && i.value >> bits == 0);
  }
  int64_t top = static_cast<int64_t>(~uint64_t(0) >> (65 - bits));
  return !i.above_int64 && i.value <= top && i.value >= -top - 1;
}

array array_of_int(Integer i, Dtype dtype) {
  return i.above_int64 ? array(static_cast<uint64_t>(i.value), dtype) : array(i.value, dtype);
}

array int_to_array(PyObject* o, std::optional<Dtype> like) {
  if (like && like->is_inexact()) {
    return array(double_of_int(o), *like);
  }
  Integer i = read_int(o);
  if (like && like->is_integer()) {
    if (!fits(i, *like)) {
      core::fail("array", "the int ", nb::str(nb::handle(o)).c_str(), " beside an array of dtype ", *like,
          " does not fit that dtype; convert the array with astype, or write mx.array(", nb::str(nb::handle(o)).c_str(),
          ").");
    }
    return array_of_int(i, *like);
  }
  Dtype own = i.above_int64 ? core::uint64 : fits(i, core::int32) ? core::int32 : core::int64;
  return array_of_int(i, own);
}

// As the int that it is: sizes that fit the dtype are served by one recording, others by another.
array dim_to_array(core::Dim size, std::optional<Dtype> like) {
  if (like && like->is_inexact()) {
    return core::size_number(size, *like);
  }
  if (like && like->is_integer()) {
    int bits = 8 * like->size() - (like->is_unsigned() ? 0 : 1);
    bool fits =
        bits >= 63 || (size < (int64_t{1} << bits) && size >= (like->is_unsigned() ? 0 : -(int64_t{1} << bits)));
    if (!fits) {
      return int_to_array(nb::object(nb::int_(static_cast<int64_t>(size))).ptr(), like); // throws
    }
    return core::size_number(size, *like);
  }
  bool narrow = size <= std::numeric_limits<int32_t>::max() && size >= std::numeric_limits<int32_t>::min();
  return core::size_number(size, narrow ? core::int32 : core::int64);
}

array float_to_array(double value, std::optional<Dtype> like) {
  Dtype dtype = like && like->is_inexact() ? *like : core::float32;
  if (dtype == core::float32) {
    float narrowed = static_cast<float>(value);
    return array::scalar_from_bytes(&narrowed, dtype);
  }
  return array(value, dtype);
}

array complex_to_array(core::complex128_t value, std::optional<Dtype> like) {
  Dtype dtype = like && like->is_complex() ? *like : like == core::float64 ? core::complex128 : core::complex64;
  return array(value, dtype);
}

// Whether an array of dtype `own` that adopts `like` keeps its kind.
bool kind_fits(Dtype own, Dtype like) {
  return own.is_bool() || like.is_complex() || (like.is_floating() && !own.is_complex()) ||
         (like.is_integer() && own.is_integer());
}

// A number of Python's, or nullopt. numpy.float64 and numpy.complex128 are subclasses of float and complex.
std::optional<array> number_to_array(PyObject* o, std::optional<Dtype> like) {
  if (PyFloat_Check(o)) {
    return float_to_array(PyFloat_AS_DOUBLE(o), like);
  }
  if (PyBool_Check(o)) {
    return array(o == Py_True, like.value_or(core::bool_));
  }
  if (PyLong_Check(o)) {
    return int_to_array(o, like);
  }
  if (PyComplex_Check(o)) {
    Py_complex z = PyComplex_AsCComplex(o);
    return complex_to_array({z.real, z.imag}, like);
  }
  if (is_dim(o)) {
    return dim_to_array(dim_of(o), like);
  }
  return std::nullopt;
}

bool has_attribute(PyObject* o, const char* name) {
  return PyObject_HasAttrString(o, name); // swallows errors of properties, which then count as absent
}

} // namespace

bool is_scalar_or_array(PyObject* o) {
  if (is_array(o) || PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o) || is_runtime_scalar(o) || is_dim(o)) {
    return true;
  }
  if (PyUnicode_Check(o) || PyBytes_Check(o) || PyType_Check(o)) {
    return false;
  }
  if (std::optional<NumpyScalar> scalar = numpy_scalar(o)) {
    return scalar->kind != NumpyScalar::Kind::other;
  }
  return has_attribute(o, "__mlx_array__") || PyObject_CheckBuffer(o) || has_attribute(o, "__dlpack__") ||
         has_attribute(o, "__array__");
}

std::optional<array> try_to_array(PyObject* o, std::optional<Dtype> like) {
  if (PyFloat_CheckExact(o)) {
    return float_to_array(PyFloat_AS_DOUBLE(o), like);
  }
  if (is_array(o)) {
    return read(o);
  }
  if (std::optional<array> number = number_to_array(o, like)) {
    return number;
  }
  if (is_runtime_scalar(o)) {
    return runtime_scalar_to_array(o, like);
  }
  if (!is_scalar_or_array(o)) {
    return std::nullopt;
  }
  if (std::optional<NumpyScalar> scalar = numpy_scalar(o)) {
    return number_to_array(scalar->as_python_number().ptr(), like);
  }
  array own = array_from_python(nb::handle(o));
  // An object with __mlx_array__ is an array, not a number: it promotes as arrays do.
  if (like && !has_attribute(o, "__mlx_array__") && kind_fits(own.dtype(), *like)) {
    return core::astype(own, *like);
  }
  return own;
}

array to_array(ScalarOrArray value, std::optional<Dtype> like) {
  if (std::optional<array> converted = try_to_array(value.object, like)) {
    return *std::move(converted);
  }
  core::fail<core::TypeError>("array", "cannot make an array of a ", Py_TYPE(value.object)->tp_name, ".");
}

std::pair<array, array> to_arrays(ScalarOrArray a, ScalarOrArray b) {
  if (is_array(a.object)) {
    const array& left = read(a.object);
    return {left, to_array(b, left.dtype())};
  }
  if (is_array(b.object)) {
    const array& right = read(b.object);
    return {to_array(a, right.dtype()), right};
  }
  return {to_array(a), to_array(b)};
}

// --- shapes and axes ---

namespace {

// One int, or a sequence of them, into anything with push_back. False, without a Python error, when `o` is neither.
template <typename Value, typename Out>
bool read_ints(PyObject* o, Out& out) {
  out.clear();
  auto push = [&](PyObject* item) {
    if constexpr (std::is_same_v<typename Out::value_type, core::Dim>) {
      if (is_dim(item)) { // stays open
        out.push_back(dim_of(item));
        return true;
      }
    }
    if (!PyIndex_Check(item) || PyBool_Check(item)) {
      return false;
    }
    Py_ssize_t value = PyNumber_AsSsize_t(item, PyExc_OverflowError);
    // Far below zero lie the symbolic sizes.
    if ((value == -1 && PyErr_Occurred()) || value > std::numeric_limits<Value>::max() ||
        value < std::numeric_limits<Value>::min() / 2) {
      PyErr_Clear();
      return false;
    }
    out.push_back(static_cast<Value>(value));
    return true;
  };
  if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
    size_t i = 0, n = static_cast<size_t>(PySequence_Fast_GET_SIZE(o));
    PyObject** items = PySequence_Fast_ITEMS(o);
    for (; i < n && PyLong_CheckExact(items[i]); ++i) {
      if (!push(items[i])) {
        return false;
      }
    }
    if (i < n) { // __index__ of the user's may run from here on
      for (Items owned(o); i < n; ++i) {
        if (!push(owned[i])) {
          return false;
        }
      }
    }
    return true;
  }
  if (PyIndex_Check(o) && push(o)) {
    return true;
  }
  if (PyUnicode_Check(o) || PyBytes_Check(o) || !PySequence_Check(o) || is_array(o)) {
    return false;
  }
  nb::object items = items_of_sequence(o);
  return items.is_valid() && read_ints<Value>(items.ptr(), out);
}

nb::handle only_sequence(nb::handle args) {
  if (nb::len(args) == 1) {
    nb::object first = args[0];
    if (!PyLong_Check(first.ptr()) && PySequence_Check(first.ptr()) && !is_array(first)) {
      return first;
    }
  }
  return args;
}

} // namespace

nb::object items_of_sequence(PyObject* o) {
  constexpr Py_ssize_t most = 1 << 20; // a class with __getitem__ alone may answer for ever
  if (PyUnicode_Check(o) || PyBytes_Check(o) || !PySequence_Check(o)) {
    return {};
  }
  nb::object iterator = nb::steal(PyObject_GetIter(o));
  nb::object list = nb::steal(PyList_New(0));
  while (iterator.is_valid() && list.is_valid()) {
    nb::object item = nb::steal(PyIter_Next(iterator.ptr()));
    if (!item.is_valid()) {
      if (PyErr_Occurred()) {
        break;
      }
      return nb::steal(PyList_AsTuple(list.ptr()));
    }
    if (PyList_GET_SIZE(list.ptr()) == most || PyList_Append(list.ptr(), item.ptr()) != 0) {
      break;
    }
  }
  PyErr_Clear();
  return {};
}

bool to_shape(PyObject* o, Shape& out) { return read_ints<int64_t>(o, out); }

bool to_axes(PyObject* o, Axes& out) { return read_ints<int>(o, out); }

nb::object shape_tuple(const Shape& shape) {
  nb::object tuple = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  for (size_t i = 0; i < shape.size(); ++i) {
    PyTuple_SET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i), dim_object(shape[i]).release().ptr());
  }
  return tuple;
}

Shape shape_from_args(const char* op, nb::handle args) {
  Shape shape;
  if (!to_shape(only_sequence(args).ptr(), shape)) {
    core::fail<core::TypeError>(op, "the shape must be ints or one sequence of ints; got ", shown(args), ".");
  }
  return shape;
}

Axes axes_from_args(const char* op, nb::handle args) {
  Axes axes;
  if (!to_axes(only_sequence(args).ptr(), axes)) {
    core::fail<core::TypeError>(op, "the axes must be ints or one sequence of ints; got ", shown(args), ".");
  }
  return axes;
}

} // namespace mlx::python
