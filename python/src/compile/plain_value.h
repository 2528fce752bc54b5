// Values that Python code can tell apart only by comparing them: numbers, flags, strings, bytes, None.
#pragma once

#include <Python.h>

#include <cstring>

namespace mlx::python {

// Exact types only: what a subclass adds is seen by code of the user's.
inline bool is_plain_value(PyObject* o) {
  return o == Py_None || o == Py_Ellipsis || o == Py_NotImplemented || PyBool_Check(o) || PyLong_CheckExact(o) ||
         PyFloat_CheckExact(o) || PyComplex_CheckExact(o) || PyUnicode_CheckExact(o) || PyBytes_CheckExact(o);
}

// Of two plain values of one type. Floats by bits: 0.0 is not -0.0, and NaN is NaN.
inline bool equal_plain_values(PyObject* a, PyObject* b) {
  if (a == b) {
    return true;
  }
  if (PyFloat_CheckExact(a)) {
    double x = PyFloat_AS_DOUBLE(a), y = PyFloat_AS_DOUBLE(b);
    return std::memcmp(&x, &y, sizeof(x)) == 0;
  }
  if (PyComplex_CheckExact(a)) {
    Py_complex x = PyComplex_AsCComplex(a), y = PyComplex_AsCComplex(b);
    return std::memcmp(&x, &y, sizeof(x)) == 0;
  }
  if (a == Py_None || a == Py_Ellipsis || PyBool_Check(a)) {
    return false;
  }
  return PyObject_RichCompareBool(a, b, Py_EQ) == 1; // of built-in types, which run no code of the user's
}

} // namespace mlx::python
