// mlx.core.AxisError, ArgumentError and linalg.LinAlgError, and which Python exception each C++ exception becomes.
#include "python/src/runtime/exceptions.h"

#include <new>
#include <stdexcept>
#include <string>

#include "mlx_core/backend/matrix_task.h"
#include "mlx_core/debug.h"
#include "mlx_core/error.h"
#include "mlx_core/interrupt.h"
#include "python/src/ops/bind_linalg.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/gil.h"

namespace mlx::python {

// An argument of a wrong type is a TypeError to Python and NumPy, and a ValueError in MLX: either `except` catches it.
PyObject* argument_error = nullptr;

namespace {

// ValueError and IndexError at once, so that either `except` catches it.
PyObject* axis_error = nullptr;

// A matrix without a result is a ValueError, as NumPy's LinAlgError is, and a RuntimeError, as in MLX.
PyObject* linalg_error = nullptr;

PyObject* two_in_one(
    nb::module_& m, const char* module, const char* name, const char* doc, PyObject* first, PyObject* second) {
  nb::object bases = nb::make_tuple(nb::handle(first), nb::handle(second));
  PyObject* made = PyErr_NewExceptionWithDoc((std::string(module) + "." + name).c_str(), doc, bases.ptr(), nullptr);
  if (!made) {
    throw nb::python_error();
  }
  m.attr(name) = nb::handle(made);
  return made;
}

// nanobind's cast says no more than that it failed.
const char* const not_converted = "a Python object could not be converted to the C++ type that is needed";

} // namespace

void set_python_error() noexcept {
  try {
    throw;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (const core::Interrupted& e) {
    WithoutGil::stop_if_leaving();
    if (!PyErr_Occurred()) { // what the signal handler raised is pending
      PyErr_SetString(PyExc_KeyboardInterrupt, e.what());
    }
  } catch (const nb::builtin_exception& e) {
    PyObject* types[] = {PyExc_RuntimeError, PyExc_StopIteration, PyExc_IndexError, PyExc_KeyError, PyExc_ValueError,
        PyExc_TypeError, PyExc_BufferError, PyExc_ImportError, PyExc_AttributeError};
    size_t type = static_cast<size_t>(e.type());
    PyErr_SetString(type < std::size(types) ? types[type] : PyExc_RuntimeError, e.what());
  } catch (const core::TypeError& e) {
    PyErr_SetString(argument_error, e.what());
  } catch (const std::bad_cast&) {
    PyErr_SetString(argument_error, not_converted);
  } catch (const core::LinalgError& e) {
    PyErr_SetString(linalg_error, e.what());
  } catch (const std::invalid_argument& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const std::out_of_range& e) {
    PyErr_SetString(axis_error, e.what());
  } catch (const std::bad_alloc& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const core::NonFiniteError& e) {
    PyErr_SetString(PyExc_FloatingPointError, e.what());
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "an exception that is no std::exception");
  }
}

void bind_exceptions(nb::module_& m) {
  axis_error = two_in_one(m, "mlx.core", "AxisError",
      "An axis or index out of range. Both a ValueError and an IndexError.", PyExc_ValueError, PyExc_IndexError);
  argument_error = two_in_one(m, "mlx.core", "ArgumentError",
      "An argument of a wrong type. Both a TypeError and a ValueError.", PyExc_TypeError, PyExc_ValueError);
  // std::invalid_argument, std::out_of_range and the rest differ from nanobind's own table only in the classes of ours.
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const core::TypeError& e) {
      PyErr_SetString(argument_error, e.what());
    } catch (const core::LinalgError& e) {
      PyErr_SetString(linalg_error, e.what());
    } catch (const std::out_of_range& e) {
      PyErr_SetString(axis_error, e.what());
    } catch (const core::NonFiniteError& e) {
      PyErr_SetString(PyExc_FloatingPointError, e.what());
    } catch (const std::bad_cast&) {
      PyErr_SetString(argument_error, not_converted);
    }
  });
}

void bind_linalg_error(nb::module_& m) {
  linalg_error = two_in_one(m, "mlx.core.linalg", "LinAlgError",
      "A matrix without the result that is asked for: a singular one without inverse, say. Both a ValueError, as "
      "NumPy's "
      "error of this name, and a RuntimeError.",
      PyExc_ValueError, PyExc_RuntimeError);
}

} // namespace mlx::python
