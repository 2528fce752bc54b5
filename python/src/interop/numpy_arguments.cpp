// NumPy's dtypes, and results written into NumPy's arrays.
#include "python/src/interop/numpy_arguments.h"

#include "mlx_core/error.h"
#include "mlx_core/interruption.h"
#include "python/src/runtime/argument_errors.h"

namespace mlx::python {

Dtype numpy_dtype(const char* op, nb::handle dtype) {
  if (Dtype own = core::float32; nb::try_cast(dtype, own, false)) {
    return own;
  }
  try {
    nb::object numpy = nb::module_::import_("numpy");
    std::string name = nb::cast<std::string>(nb::str(numpy.attr("dtype")(dtype).attr("name")));
    return dtype_named(name == "bool" ? "bool_" : name);
  } catch (const nb::python_error& error) { // no NumPy, or no dtype of NumPy's
    if (core::is_interruption(error)) throw;
  } catch (const std::invalid_argument&) {}
  core::fail<core::TypeError>(op, "dtype is ", described(dtype), "; it should be a Dtype or a NumPy dtype like one.");
}

nb::object into(const char* op, nb::handle out, array result) {
  nb::object made = nb::steal(wrap(std::move(result)));
  if (out.is_none()) {
    return made;
  }
  nb::object numpy = nb::module_::import_("numpy");
  if (!PyObject_IsInstance(out.ptr(), numpy.attr("ndarray").ptr())) {
    core::fail<core::TypeError>(op, "out is ", described(out), "; it should be a NumPy array or None.");
  }
  numpy.attr("copyto")(out, numpy.attr("asarray")(made), nb::arg("casting") = "same_kind");
  return nb::borrow(out);
}

} // namespace mlx::python
