// RuntimeScalar: what a recorded function is given in the place of a number whose value changes from call to call. It
// behaves like that number as far as arithmetic goes, says that it is a float (or int), and has no value: whatever
// needs one stops the recording, and the function is recorded for that very number.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "mlx_core/array.h"

namespace nb = nanobind;

namespace mlx::python {

// `value`: a float64 or complex128 scalar, which stands for the number `plain`, a float, complex or an int that float32
// holds (may_be_runtime_int). A new object. Outside of the recording that `value` belongs to, on other threads above
// all, it is `plain`.
nb::object make_runtime_scalar(core::array value, nb::handle plain);
bool is_runtime_scalar(PyObject* o);
// Of an int, Python's or NumPy's; float32 holds it, so that no conversion depends on the way it takes.
bool may_be_runtime_int(PyObject* o);
// Recordings differ in the sign of such an int, so that arithmetic knows in which range its results are.
bool is_negative_int(PyObject* o);
// What the numbers of NumPy, beside an array, count as.
bool counts_as_int(PyObject* o);
bool counts_as_complex(PyObject* o);
// Beside an array of dtype `like` it is converted to that dtype, as a Python number is.
core::array runtime_scalar_to_array(PyObject* o, std::optional<core::Dtype> like);

// Throws what says that the value of this number, or of some number, is needed.
[[noreturn]] void fail_for_value(nb::handle number = {});
bool is_failure_for_value(const nb::python_error& error);
// Whether a value of the innermost recording of this thread was needed in the meantime, even where the function caught
// what was thrown.
class NeededValues {
 public:
  NeededValues();
  ~NeededValues();
  NeededValues(const NeededValues&) = delete;
  NeededValues& operator=(const NeededValues&) = delete;
  bool any() const;

 private:
  size_t before_;
  uint64_t frame_;
};

void bind_runtime_scalar(nb::module_& m);

} // namespace mlx::python
