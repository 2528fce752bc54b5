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

// Instances of subclasses have such a value, too.
inline bool has_plain_value(PyObject* o) {
  return is_plain_value(o) || PyFloat_Check(o) || PyLong_Check(o) || PyUnicode_Check(o) || PyBytes_Check(o) ||
         PyComplex_Check(o);
}

// Of two plain values, or two that have one, of one type. Floats by bits: 0.0 is not -0.0, and NaN is NaN. What
// built-in types define is asked, so that no code of the user's runs.
inline bool equal_plain_values(PyObject* a, PyObject* b) {
  if (a == b) {
    return true;
  }
  if (PyFloat_Check(a)) {
    double x = PyFloat_AS_DOUBLE(a), y = PyFloat_AS_DOUBLE(b);
    return std::memcmp(&x, &y, sizeof(x)) == 0;
  }
  if (PyComplex_Check(a)) {
    Py_complex x = reinterpret_cast<PyComplexObject*>(a)->cval, y = reinterpret_cast<PyComplexObject*>(b)->cval;
    return std::memcmp(&x, &y, sizeof(x)) == 0;
  }
  if (PyBool_Check(a) || !has_plain_value(a)) { // None and its like
    return false;
  }
  PyTypeObject& type = PyLong_Check(a) ? PyLong_Type : PyUnicode_Check(a) ? PyUnicode_Type : PyBytes_Type;
  PyObject* equal = type.tp_richcompare(a, b, Py_EQ);
  Py_XDECREF(equal);
  return equal == Py_True;
}

} // namespace mlx::python
