// mx.array(value): numbers, nested lists and tuples, and dispatch to imported memory.
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/convert.h"
#include "python/src/array/number_arguments.h"
#include "python/src/compile/converted.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/runtime/shown.h"
#include "python/src/trees/owned_items.h"

namespace mlx::python {

namespace {

bool is_list(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o) || PyRange_Check(o); }

constexpr int max_ndim = 64; // also ends a list that contains itself

[[noreturn]] void too_deep() { core::fail("array", "the list is nested more than ", int(max_ndim), " deep."); }

// A list in which every item is the same list is short, and its array is not: what the first items say of the size is
// looked at before everything is walked.
void check_extent(PyObject* list) {
  static const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  double elements = 1;
  nb::object o = nb::borrow(list);
  for (int depth = 0; is_list(o.ptr()); ++depth) {
    if (depth == max_ndim) {
      too_deep();
    }
    Py_ssize_t n = PySequence_Size(o.ptr());
    if (n < 0) {
      throw nb::python_error();
    }
    elements *= static_cast<double>(n);
    if (n == 0 || PyRange_Check(o.ptr())) {
      break;
    }
    o = nb::borrow(PySequence_Fast_GET_ITEM(o.ptr(), 0));
  }
  if (elements > memory) {
    core::fail(
        "array", "the nested lists have ", elements, " elements, more than there are bytes of memory (", memory, ").");
  }
}

// Whether a list holds nothing but Python's own numbers, and lists and tuples of them: no code of the user's runs while
// it is walked, so that it stays as it is.
bool is_plain(PyObject* o, int depth) {
  if (!PyList_CheckExact(o) && !PyTuple_CheckExact(o)) {
    return PyFloat_CheckExact(o) || PyLong_CheckExact(o) || PyBool_Check(o) || PyComplex_CheckExact(o);
  }
  if (depth == max_ndim) {
    too_deep();
  }
  Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  for (Py_ssize_t i = 0; i < n; ++i) {
    if (!is_plain(PySequence_Fast_GET_ITEM(o, i), depth + 1)) {
      return false;
    }
  }
  return true;
}

// The same as nested tuples, as it is now, with NumPy's scalars as Python's numbers. Nobody else has these tuples.
nb::object snapshot(PyObject* o, int depth) {
  if (!is_list(o)) {
    if (is_dim(o)) {
      return dim_number(o);
    }
    std::optional<NumpyScalar> scalar = PyFloat_Check(o) || PyComplex_Check(o) ? std::nullopt : numpy_scalar(o);
    return scalar && scalar->kind != NumpyScalar::Kind::other ? scalar->as_python_number() : nb::borrow(o);
  }
  if (depth == max_ndim) {
    too_deep();
  }
  nb::object range = PyRange_Check(o) ? nb::steal(PySequence_Tuple(o)) : nb::object();
  if (PyRange_Check(o)) {
    if (!range.is_valid()) {
      throw nb::python_error();
    }
    return range;
  }
  Items items(o);
  nb::object tuple = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(items.size())));
  if (!tuple.is_valid()) {
    throw nb::python_error();
  }
  for (size_t i = 0; i < items.size(); ++i) {
    PyTuple_SET_ITEM(tuple.ptr(), static_cast<Py_ssize_t>(i), snapshot(items[i], depth + 1).release().ptr());
  }
  return tuple;
}

// What a nested list holds, found in one pass before anything is allocated. The list is plain, or a snapshot.
struct Contents {
  // Kinds in the order in which a mixed list takes the widest.
  enum Kind { boolean, integer, floating, complex };
  Shape shape;
  bool depth_known = false; // a leaf was met: its depth is ndim
  bool empty = true;
  bool has_arrays = false; // arrays among the leaves: the result is a stack of them
  Kind kind = boolean;
  int64_t smallest = 0, largest = 0;
  bool above_int64 = false;
  std::vector<Py_ssize_t> path; // of the element in hand, for errors

  std::string where() const {
    std::string text;
    for (Py_ssize_t i : path) {
      text += "[" + std::to_string(i) + "]";
    }
    return text.empty() ? "the value" : "element " + text;
  }

  void scan(PyObject* o) {
    int depth = static_cast<int>(path.size());
    if (is_list(o)) {
      scan_list(o, depth);
    } else {
      scan_leaf(o, depth);
    }
  }

  Dtype dtype() const {
    switch (kind) {
      case boolean: return empty ? core::float32 : core::bool_;
      case floating: return core::float32;
      case complex: return core::complex64;
      default: break;
    }
    if (above_int64) {
      if (smallest < 0) {
        core::fail("array", "the list holds ", smallest, " and an int above 2^63 - 1: no integer dtype holds both.");
      }
      return core::uint64;
    }
    bool narrow = smallest >= std::numeric_limits<int32_t>::min() && largest <= std::numeric_limits<int32_t>::max();
    return narrow ? core::int32 : core::int64;
  }

 private:
  void scan_list(PyObject* o, int depth) {
    if (depth >= max_ndim) {
      too_deep();
    }
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    if (depth_known && !has_arrays && depth >= static_cast<int>(shape.size())) {
      core::fail("array", where(), " is a list where the elements before it are numbers.");
    }
    if (depth == static_cast<int>(shape.size())) {
      shape.push_back(n);
    } else if (static_cast<int64_t>(shape[depth]) != n && !has_arrays) {
      core::fail("array", where(), " has length ", n, " where the lists before it have length ", shape[depth],
          ": the nested lists must form a rectangle.");
    }
    path.push_back(0);
    for (Py_ssize_t i = 0; i < n; ++i) {
      path.back() = i;
      scan(PySequence_Fast_GET_ITEM(o, i));
    }
    path.pop_back();
  }

  void scan_leaf(PyObject* o, int depth) {
    if (!scan_number(o)) {
      if (!is_scalar_or_array(o)) {
        core::fail<core::TypeError>("array", where(), " is a ", Py_TYPE(o)->tp_name,
            "; an array is made of numbers, and lists or tuples of them.");
      }
      has_arrays = true; // shapes are checked when stacking
    } else if (!has_arrays && depth < static_cast<int>(shape.size())) {
      core::fail("array", where(),
          " is a number where the elements before it are lists: the nested lists must form a "
          "rectangle.");
    }
    depth_known = true;
    empty = false;
  }

  void widen(Kind other) { kind = std::max(kind, other); }

  bool scan_number(PyObject* o) {
    if (PyFloat_Check(o)) {
      widen(floating);
    } else if (PyBool_Check(o)) {
      // the narrowest kind
    } else if (PyLong_Check(o)) {
      widen(integer);
      scan_int(o);
    } else if (PyComplex_Check(o)) {
      widen(complex);
    } else {
      return false;
    }
    return true;
  }

  void scan_int(PyObject* o) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow == 0) {
      smallest = std::min<int64_t>(smallest, value);
      largest = std::max<int64_t>(largest, value);
      return;
    }
    if (overflow > 0) {
      PyLong_AsUnsignedLongLong(o);
    }
    if (overflow < 0 || PyErr_Occurred()) {
      PyErr_Clear();
      core::fail("array", where(), " is ", shown(o), ", too large for int64 and uint64; write it as a float.");
    }
    above_int64 = true;
  }
};

// Writes the leaves of a scanned list in order; a list that is plain, or a snapshot, so that it has not changed since.
class Writer {
 public:
  Writer(void* to, Dtype dtype) : to_(static_cast<char*>(to)), dtype_(dtype), size_(dtype.size()) {}

  void write(PyObject* o) {
    if (PyFloat_CheckExact(o)) {
      put(PyFloat_AS_DOUBLE(o));
    } else if (is_list(o)) {
      Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
      for (Py_ssize_t i = 0; i < n; ++i) {
        write(PySequence_Fast_GET_ITEM(o, i));
      }
    } else {
      write_number(o);
    }
  }

 private:
  void put(double value) {
    if (dtype_ == core::float32) {
      float narrowed = static_cast<float>(value);
      std::memcpy(to_, &narrowed, sizeof narrowed);
    } else {
      core::store_element(to_, dtype_, core::complex128_t(value));
    }
    to_ += size_;
  }

  void write_number(PyObject* o) {
    if (PyLong_Check(o)) {
      int overflow = 0;
      long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
      if (overflow == 0) {
        core::store_element(to_, dtype_, static_cast<int64_t>(value));
      } else if (dtype_.is_inexact()) {
        core::store_element(to_, dtype_, core::complex128_t(double_of_int(o)));
      } else {
        core::store_element(to_, dtype_, static_cast<uint64_t>(PyLong_AsUnsignedLongLong(o)));
      }
      to_ += size_;
    } else if (PyFloat_Check(o)) {
      put(PyFloat_AS_DOUBLE(o));
    } else {
      Py_complex z = PyComplex_AsCComplex(o);
      core::store_element(to_, dtype_, core::complex128_t(z.real, z.imag));
      to_ += size_;
    }
  }

  char* to_;
  Dtype dtype_;
  int size_;
};

// A list whose items are all floats, the commonest of all: one pass. nullopt when it is not that.
std::optional<array> from_floats(PyObject* list) {
  Py_ssize_t n = PySequence_Fast_GET_SIZE(list);
  if (n == 0 || !PyFloat_CheckExact(PySequence_Fast_GET_ITEM(list, 0))) {
    return std::nullopt;
  }
  array result = array::uninitialized(Shape{static_cast<int64_t>(n)}, core::float32);
  float* to = static_cast<float*>(result.mutable_data());
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(list, i);
    if (!PyFloat_CheckExact(item)) {
      return std::nullopt;
    }
    to[i] = static_cast<float>(PyFloat_AS_DOUBLE(item));
  }
  return result;
}

// Arrays among the leaves: each level of lists is a stack, so that the arrays stay part of their graphs.
array stack_list(PyObject* o, std::vector<Py_ssize_t>& path) {
  if (!is_list(o)) {
    return to_array(ScalarOrArray{o});
  }
  Py_ssize_t n = PySequence_Fast_GET_SIZE(o); // of a snapshot
  std::vector<array> parts;
  Dtype common = core::bool_;
  for (Py_ssize_t i = 0; i < n; ++i) {
    path.push_back(i);
    parts.push_back(stack_list(PySequence_Fast_GET_ITEM(o, i), path));
    common = core::promote_types(common, parts.back().dtype());
    if (!(parts.back().shape() == parts.front().shape())) {
      Contents at;
      at.path = path;
      core::fail("array", at.where(), " has shape ", parts.back().shape(),
          " where the first one of its list has shape ", parts.front().shape(), ": only equal shapes stack.");
    }
    path.pop_back();
  }
  if (n == 0) {
    return array::uninitialized(Shape{0}, core::float32);
  }
  for (array& part : parts) {
    part = core::astype(part, common);
  }
  return core::stack(parts);
}

array from_list(PyObject* list, std::optional<Dtype> dtype) {
  if ((PyList_CheckExact(list) || PyTuple_CheckExact(list)) && (!dtype || *dtype == core::float32)) {
    if (std::optional<array> floats = from_floats(list)) {
      return *std::move(floats);
    }
  }
  check_extent(list);
  nb::object kept = is_plain(list, 0) ? nb::object() : snapshot(list, 0);
  if (kept.is_valid()) {
    list = kept.ptr();
  }
  Contents contents;
  contents.scan(list);
  if (contents.has_arrays) {
    std::vector<Py_ssize_t> path;
    array stacked = stack_list(list, path);
    return dtype ? core::astype(stacked, *dtype) : stacked;
  }
  array result = array::uninitialized(contents.shape, dtype ? *dtype : contents.dtype());
  Writer(result.mutable_data(), result.dtype()).write(list);
  if (PyErr_Occurred()) {
    throw nb::python_error();
  }
  return result;
}

// A number with an explicit dtype wraps and truncates as astype does.
array number_as(PyObject* o, Dtype dtype) {
  array result = array::uninitialized(Shape{}, dtype);
  Writer(result.mutable_data(), dtype).write(o);
  if (PyErr_Occurred()) {
    PyErr_Clear();
    core::fail("array", "val is ", shown(o), ", too large for int64 and uint64; write it as a float.");
  }
  return result;
}

} // namespace

array array_from_python(nb::handle value, std::optional<Dtype> dtype, bool keep_64) {
  PyObject* o = value.ptr();
  if (is_array(o)) {
    return dtype ? core::astype(read(o), *dtype) : read(o);
  }
  if (is_dim(o)) {
    array number = to_array(ScalarOrArray{o});
    return dtype ? core::astype(number, *dtype) : number;
  }
  if (PyFloat_Check(o) || PyLong_Check(o) || PyComplex_Check(o)) {
    return dtype ? number_as(o, *dtype) : to_array(ScalarOrArray{o});
  }
  if (is_list(o)) {
    return from_list(o, dtype);
  }
  std::optional<NumpyScalar> scalar = numpy_scalar(o);
  if (PyUnicode_Check(o) || o == Py_None || PyType_Check(o) || (scalar && scalar->kind == NumpyScalar::Kind::other)) {
    core::fail<core::TypeError>("array", "cannot make an array of a ", Py_TYPE(o)->tp_name, ".");
  }
  if (PyObject_HasAttrString(o, "__mlx_array__")) {
    nb::object made = value.attr("__mlx_array__")();
    if (!is_array(made)) {
      core::fail<core::TypeError>("array", "__mlx_array__ of a ", Py_TYPE(o)->tp_name, " returned a ",
          Py_TYPE(made.ptr())->tp_name, ", not an array.");
    }
    return dtype ? core::astype(read(made), *dtype) : read(made);
  }
  Conversions::note(o);
  keep_64 = keep_64 || (dtype && (*dtype == core::float64 || *dtype == core::complex128));
  if (std::optional<array> imported = import_memory(value, true, keep_64)) {
    return dtype ? core::astype(*imported, *dtype) : *imported;
  }
  core::fail<core::TypeError>("array", "cannot make an array of a ", Py_TYPE(o)->tp_name,
      "; an array is made of numbers, lists and tuples of them, NumPy arrays, and objects with "
      "__dlpack__, __array__ or the buffer protocol.");
}

} // namespace mlx::python
