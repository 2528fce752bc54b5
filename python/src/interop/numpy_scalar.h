// numpy.generic instances, recognised without importing NumPy.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

namespace nb = nanobind;

namespace mlx::python {

// A NumPy scalar beside an array counts as the Python number of its kind.
struct NumpyScalar {
  enum class Kind { boolean, integer, floating, complex, other };
  PyObject* object;
  Kind kind;

  // bool, int, float or complex. Not for Kind::other (strings, dates, records).
  nb::object as_python_number() const {
    switch (kind) {
      case Kind::boolean: {
        int value = PyObject_IsTrue(object);
        return checked(value < 0 ? nullptr : PyBool_FromLong(value));
      }
      case Kind::integer: return checked(PyNumber_Index(object));
      case Kind::floating: return checked(PyNumber_Float(object));
      default: return checked(PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyComplex_Type), object));
    }
  }

 private:
  static nb::object checked(PyObject* result) {
    if (!result) {
      throw nb::python_error();
    }
    return nb::steal(result);
  }
};

// nullopt when `o` is no NumPy scalar.
std::optional<NumpyScalar> numpy_scalar(PyObject* o);

} // namespace mlx::python
