// How C++ exceptions reach Python.
#pragma once

#include <nanobind/nanobind.h>

namespace mlx::python {

// mlx.core.ArgumentError, a TypeError and a ValueError at once: what core::TypeError becomes.
extern PyObject* argument_error;

// Turns the exception being handled into the pending Python error. For slots that nanobind does not wrap.
void set_python_error() noexcept;

// Runs body, and returns what it returns, or `failed` with the Python error set.
template <typename Body, typename Result = std::invoke_result_t<Body>>
Result guarded(Body&& body, Result failed) noexcept {
  try {
    return body();
  } catch (...) {
    set_python_error();
    return failed;
  }
}

} // namespace mlx::python
