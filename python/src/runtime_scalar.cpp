// Arithmetic of numbers without a value. Whatever would need the value raises; the function is then recorded for that
// very number.
#include "python/src/runtime_scalar.h"

#include "mlx_core/ops.h"
#include "python/src/convert.h"
#include "python/src/made.h"

namespace mlx::python {

namespace {

struct RuntimeScalar {
  array value;
};

PyTypeObject* scalar_type = nullptr;
PyObject* needs_value = nullptr; // derives from BaseException, so that `except Exception` does not hide it

[[noreturn]] void fail_for_value() {
  PyErr_SetString(needs_value, "the value of a number is needed while a function is recorded");
  throw nb::python_error();
}

// The operand as a scalar of the same kind; nullopt when it is an array or something else, which answers itself.
std::optional<array> number(nb::handle o) {
  if (is_runtime_scalar(o.ptr())) {
    return nb::inst_ptr<RuntimeScalar>(o)->value;
  }
  if (PyFloat_CheckExact(o.ptr()) || PyLong_Check(o.ptr())) {
    return to_array({o.ptr()}, core::float64);
  }
  if (PyComplex_CheckExact(o.ptr())) {
    return to_array({o.ptr()}, core::complex128);
  }
  return std::nullopt;
}

// Only operations that IEEE arithmetic defines to the bit, so that float arithmetic here and in Python agree.
using Op = array (*)(const array&, const array&, StreamOrDevice);
template <Op op, bool reflected>
nb::object binary(nb::handle_t<RuntimeScalar> self, nb::handle other) {
  std::optional<array> right = number(other);
  if (!right) {
    return nb::borrow(Py_NotImplemented);
  }
  const array& left = made<RuntimeScalar>(self).value;
  if (op == &core::divide && (left.dtype().is_complex() || right->dtype().is_complex())) {
    fail_for_value(); // Python divides complex numbers in its own way
  }
  return make_runtime_scalar(reflected ? op(*right, left, {}) : op(left, *right, {}));
}

// PyNumber slots that need the value.
PyObject* refuse(PyObject*) {
  PyErr_SetString(needs_value, "the value of a number is needed while a function is recorded");
  return nullptr;
}
PyObject* refuse_binary(PyObject* a, PyObject* b) {
  if (is_array(a) || is_array(b)) {
    return Py_NewRef(Py_NotImplemented); // the array answers
  }
  return refuse(a);
}
PyObject* refuse_power(PyObject* a, PyObject* b, PyObject*) { return refuse_binary(a, b); }
PyObject* refuse_compare(PyObject* a, PyObject* b, int) { return refuse_binary(a, b); }
int refuse_bool(PyObject* o) {
  refuse(o);
  return -1;
}
Py_hash_t refuse_hash(PyObject* o) {
  refuse(o);
  return -1;
}

} // namespace

nb::object make_runtime_scalar(array value) { return nb::cast(RuntimeScalar{std::move(value)}); }

bool is_runtime_scalar(PyObject* o) { return Py_TYPE(o) == scalar_type && nb::inst_ready(o); }

array runtime_scalar_to_array(PyObject* o, std::optional<Dtype> like) {
  const array& value = nb::inst_ptr<RuntimeScalar>(nb::handle(o))->value;
  if (value.dtype().is_complex()) {
    bool wide = like == core::float64 || like == core::complex128;
    return core::astype(value, wide ? core::complex128 : core::complex64);
  }
  return core::astype(value, like && like->is_inexact() ? *like : core::float32);
}

void bind_runtime_scalar(nb::module_& m) {
  needs_value = PyErr_NewException("mlx.core._NeedsValue", PyExc_BaseException, nullptr);
  if (!needs_value) {
    throw nb::python_error();
  }
  m.attr("_NeedsValue") = nb::handle(needs_value);
  static PyType_Slot slots[] = {{Py_nb_bool, reinterpret_cast<void*>(refuse_bool)},
      {Py_nb_float, reinterpret_cast<void*>(refuse)}, {Py_nb_int, reinterpret_cast<void*>(refuse)},
      {Py_nb_index, reinterpret_cast<void*>(refuse)}, {Py_nb_power, reinterpret_cast<void*>(refuse_power)},
      {Py_nb_floor_divide, reinterpret_cast<void*>(refuse_binary)},
      {Py_nb_remainder, reinterpret_cast<void*>(refuse_binary)}, {Py_nb_divmod, reinterpret_cast<void*>(refuse_binary)},
      {Py_tp_richcompare, reinterpret_cast<void*>(refuse_compare)}, {Py_tp_hash, reinterpret_cast<void*>(refuse_hash)},
      {Py_tp_repr, reinterpret_cast<void*>(refuse)}, {Py_tp_str, reinterpret_cast<void*>(refuse)}, {0, nullptr}};
  nb::class_<RuntimeScalar> c(m, "_RuntimeScalar", nb::type_slots(slots),
      "A float argument of a compiled function whose value is given at each call.");
  scalar_type = reinterpret_cast<PyTypeObject*>(c.ptr());
  refuse_new(c);
  auto value_sig = [](const char* text) { return nb::sig(text); };
  c.def("__add__", &binary<core::add, false>, value_sig("def __add__(self, other: object) -> object"))
      .def("__radd__", &binary<core::add, true>, value_sig("def __radd__(self, other: object) -> object"))
      .def("__sub__", &binary<core::subtract, false>, value_sig("def __sub__(self, other: object) -> object"))
      .def("__rsub__", &binary<core::subtract, true>, value_sig("def __rsub__(self, other: object) -> object"))
      .def("__mul__", &binary<core::multiply, false>, value_sig("def __mul__(self, other: object) -> object"))
      .def("__rmul__", &binary<core::multiply, true>, value_sig("def __rmul__(self, other: object) -> object"))
      .def("__truediv__", &binary<core::divide, false>, value_sig("def __truediv__(self, other: object) -> object"))
      .def("__rtruediv__", &binary<core::divide, true>, value_sig("def __rtruediv__(self, other: object) -> object"))
      .def(
          "__neg__",
          [](nb::handle_t<RuntimeScalar> self) {
            return make_runtime_scalar(core::negative(made<RuntimeScalar>(self).value));
          },
          value_sig("def __neg__(self) -> object"))
      .def(
          "__pos__", [](nb::handle_t<RuntimeScalar> self) { return nb::borrow(self); },
          value_sig("def __pos__(self) -> object"))
      .def(
          "__format__", [](nb::handle, nb::handle) -> nb::object { fail_for_value(); },
          value_sig("def __format__(self, spec: object) -> str"))
      .def(
          "__getattr__", [](nb::handle, nb::handle) -> nb::object { fail_for_value(); },
          value_sig("def __getattr__(self, name: object) -> object"));
}

} // namespace mlx::python
