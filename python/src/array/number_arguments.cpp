// Reading arguments that are a number among other things.
#include "python/src/array/number_arguments.h"

#include <limits>

#include "mlx_core/error.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/shown.h"

namespace mlx::python {

namespace {

// The error of Python's that is set, which does not say where.
[[noreturn]] void fail_to_read(const char* op, const char* name, nb::handle o) {
  if (PyErr_ExceptionMatches(PyExc_OverflowError) && PyLong_Check(o.ptr())) {
    PyErr_Clear();
    nb::object bits = o.attr("bit_length")();
    PyErr_Format(PyExc_OverflowError,
        "[%s] %s is an int of %S bits, which is too large for a float; write float('inf') where that is meant.", op,
        name, bits.ptr());
  } else if (PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    core::fail<core::TypeError>(op, name, " is ", described(o), "; it should be a number.");
  }
  throw nb::python_error();
}

} // namespace

int int_of(const char* op, const char* name, nb::handle o) {
  int overflow = 0;
  nb::object integer = nb::steal(PyNumber_Index(o.ptr()));
  long value = integer.is_valid() ? PyLong_AsLongAndOverflow(integer.ptr(), &overflow) : -1;
  if (value == -1 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  if (overflow || value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    core::fail<core::TypeError>(op, name, " is ", shown(integer), ", which is out of range.");
  }
  return static_cast<int>(value);
}

double double_of(const char* op, const char* name, nb::handle o) {
  double value = PyFloat_AsDouble(o.ptr());
  if (value == -1 && PyErr_Occurred()) {
    fail_to_read(op, name, o);
  }
  return value;
}

double double_of_int(PyObject* o) {
  double value = PyLong_AsDouble(o);
  if (value == -1 && PyErr_Occurred()) {
    fail_to_read("array", "the number", o);
  }
  return value;
}

} // namespace mlx::python
