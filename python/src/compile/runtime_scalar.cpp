// Arithmetic of numbers without a value.
#include "python/src/compile/runtime_scalar.h"

#include <algorithm>

#include "mlx_core/ops.h"
#include "mlx_core/transforms/frame.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/made.h"

namespace mlx::python {

namespace {

struct RuntimeScalar {
  array value;
  nb::object plain;
  uint64_t frame; // of the recording
};

PyTypeObject* scalar_type = nullptr;
PyObject* needs_value = nullptr;           // derives from BaseException, so that `except Exception` does not hide it
thread_local std::vector<uint64_t> needed; // by the recordings with these frames

RuntimeScalar& scalar(PyObject* o) { return *nb::inst_ptr<RuntimeScalar>(nb::handle(o)); }

// Whether `o` is one, inside of its recording.
bool is_open(PyObject* o) {
  if (!is_runtime_scalar(o)) {
    return false;
  }
  const std::vector<core::Frame*>& open = core::Frame::open();
  return std::any_of(open.begin(), open.end(), [&](const core::Frame* f) { return f->id() == scalar(o).frame; });
}
// What `o` is outside of one.
PyObject* plain(PyObject* o) { return is_runtime_scalar(o) ? scalar(o).plain.ptr() : o; }

PyObject* refuse(PyObject* a, PyObject* b = nullptr) {
  for (PyObject* o : {a, b}) {
    if (o && is_open(o)) {
      needed.push_back(scalar(o).frame);
    }
  }
  PyErr_SetString(needs_value, "the value of a number is needed while a function is recorded");
  return nullptr;
}

// Beside another int the result would be an int, which may be too large for what stands for it.
bool stays_int(PyObject* a, PyObject* b) { return PyLong_Check(plain(a)) && PyLong_Check(plain(b)); }

// The operand as a scalar of the same kind; nullopt when it is an array or something else, which answers itself.
std::optional<array> number(PyObject* o) {
  if (is_open(o)) {
    return scalar(o).value;
  }
  o = plain(o);
  if (PyFloat_CheckExact(o) || PyLong_Check(o)) {
    return to_array({o}, core::float64);
  }
  if (PyComplex_CheckExact(o)) {
    return to_array({o}, core::complex128);
  }
  return std::nullopt;
}

using InPython = PyObject* (*)(PyObject*, PyObject*);
using InArrays = array (*)(const array&, const array&, StreamOrDevice);

// Only operations that IEEE arithmetic defines to the bit, so that float arithmetic here and in Python agree.
template <InArrays op, InPython in_python>
PyObject* arithmetic(PyObject* a, PyObject* b) noexcept {
  if (!is_open(a) && !is_open(b)) {
    return in_python(plain(a), plain(b));
  }
  return guarded(
      [&]() -> PyObject* {
        if (stays_int(a, b)) {
          return refuse(a, b);
        }
        std::optional<array> left = number(a), right = number(b);
        if (!left || !right) {
          return Py_NewRef(Py_NotImplemented);
        }
        if (op == InArrays(&core::divide) && (left->dtype().is_complex() || right->dtype().is_complex())) {
          return refuse(a, b); // Python divides complex numbers in its own way
        }
        nb::object result = nb::steal(in_python(plain(a), plain(b)));
        if (!result.is_valid()) { // a division by zero, which another value may not be
          PyErr_Clear();
          return refuse(a, b);
        }
        uint64_t frame = scalar(is_open(a) ? a : b).frame;
        return nb::cast(RuntimeScalar{op(*left, *right, {}), std::move(result), frame}).release().ptr();
      },
      static_cast<PyObject*>(nullptr));
}

template <InPython in_python>
PyObject* refuse_binary(PyObject* a, PyObject* b) {
  if (!is_open(a) && !is_open(b)) {
    return in_python(plain(a), plain(b));
  }
  return is_array(a) || is_array(b) ? Py_NewRef(Py_NotImplemented) : refuse(a, b); // an array answers itself
}
PyObject* refuse_power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (!is_open(a) && !is_open(b)) {
    return PyNumber_Power(plain(a), plain(b), modulus);
  }
  bool whole = PyLong_Check(plain(b)); // an array's power of an int is another operation for each
  return (is_array(a) || is_array(b)) && !whole ? Py_NewRef(Py_NotImplemented) : refuse(a, b);
}
PyObject* refuse_compare(PyObject* a, PyObject* b, int op) {
  if (!is_open(a) && !is_open(b)) {
    return PyObject_RichCompare(plain(a), plain(b), op);
  }
  return is_array(b) ? Py_NewRef(Py_NotImplemented) : refuse(a, b);
}
template <PyObject* (*in_python)(PyObject*)>
PyObject* refuse_unary(PyObject* o) {
  return is_open(o) ? refuse(o) : in_python(plain(o));
}
int refuse_bool(PyObject* o) {
  if (!is_open(o)) {
    return PyObject_IsTrue(plain(o));
  }
  refuse(o);
  return -1;
}
Py_hash_t refuse_hash(PyObject* o) {
  if (!is_open(o)) {
    return PyObject_Hash(plain(o));
  }
  refuse(o);
  return -1;
}
template <array (*op)(const array&, StreamOrDevice), PyObject* (*in_python)(PyObject*)>
PyObject* unary(PyObject* o) noexcept {
  if (!is_open(o)) {
    return in_python(plain(o));
  }
  if (stays_int(o, o)) {
    return refuse(o);
  }
  return guarded(
      [&] {
        const RuntimeScalar& s = scalar(o);
        nb::object result = nb::steal(in_python(s.plain.ptr()));
        return nb::cast(RuntimeScalar{op(s.value, {}), std::move(result), s.frame}).release().ptr();
      },
      static_cast<PyObject*>(nullptr));
}
PyObject* absolute(PyObject* o) noexcept {
  bool complex = PyComplex_Check(plain(o)); // Python's hypot is not ours
  return complex ? refuse_unary<PyNumber_Absolute>(o) : unary<core::abs, PyNumber_Absolute>(o);
}
// isinstance(x, float) and numbers.Real ask for __class__; type(x) cannot be answered so.
PyObject* class_of(PyObject* o, void*) { return Py_NewRef(Py_TYPE(plain(o))); }

PyObject* positive(PyObject* o) { return is_open(o) ? Py_NewRef(o) : Py_NewRef(plain(o)); }

} // namespace

void fail_for_value(nb::handle number) {
  refuse(number.ptr());
  throw nb::python_error();
}

NeededValues::NeededValues() : before_(needed.size()), frame_(core::Frame::open().back()->id()) {}
NeededValues::~NeededValues() { needed.resize(before_); }
bool NeededValues::any() const {
  return std::find(needed.begin() + static_cast<ptrdiff_t>(before_), needed.end(), frame_) != needed.end();
}

nb::object make_runtime_scalar(array value, nb::handle plain) {
  uint64_t frame = value.node()->level;
  return nb::cast(RuntimeScalar{std::move(value), nb::borrow(plain), frame});
}

bool is_runtime_scalar(PyObject* o) { return Py_TYPE(o) == scalar_type && nb::inst_ready(o); }

array runtime_scalar_to_array(PyObject* o, std::optional<Dtype> like) {
  if (!is_open(o)) {
    return to_array({plain(o)}, like);
  }
  const array& value = scalar(o).value;
  if (PyLong_Check(plain(o)) && !(like && like->is_inexact())) {
    fail_for_value(o); // an int beside integers, where it wraps or does not fit
  }
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
  static PyGetSetDef properties[] = {
      {"__class__", class_of, nullptr, "That of the number", nullptr}, {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_getset, properties},
      {Py_nb_add, reinterpret_cast<void*>(&arithmetic<core::add, PyNumber_Add>)},
      {Py_nb_subtract, reinterpret_cast<void*>(&arithmetic<core::subtract, PyNumber_Subtract>)},
      {Py_nb_multiply, reinterpret_cast<void*>(&arithmetic<core::multiply, PyNumber_Multiply>)},
      {Py_nb_true_divide, reinterpret_cast<void*>(&arithmetic<core::divide, PyNumber_TrueDivide>)},
      {Py_nb_negative, reinterpret_cast<void*>(&unary<core::negative, PyNumber_Negative>)},
      {Py_nb_absolute, reinterpret_cast<void*>(&absolute)}, {Py_nb_positive, reinterpret_cast<void*>(&positive)},
      {Py_nb_bool, reinterpret_cast<void*>(&refuse_bool)},
      {Py_nb_float, reinterpret_cast<void*>(&refuse_unary<PyNumber_Float>)},
      {Py_nb_int, reinterpret_cast<void*>(&refuse_unary<PyNumber_Long>)},
      {Py_nb_index, reinterpret_cast<void*>(&refuse_unary<PyNumber_Index>)},
      {Py_nb_power, reinterpret_cast<void*>(&refuse_power)},
      {Py_nb_floor_divide, reinterpret_cast<void*>(&refuse_binary<PyNumber_FloorDivide>)},
      {Py_nb_remainder, reinterpret_cast<void*>(&refuse_binary<PyNumber_Remainder>)},
      {Py_nb_divmod, reinterpret_cast<void*>(&refuse_binary<PyNumber_Divmod>)},
      {Py_tp_richcompare, reinterpret_cast<void*>(&refuse_compare)},
      {Py_tp_hash, reinterpret_cast<void*>(&refuse_hash)},
      {Py_tp_repr, reinterpret_cast<void*>(&refuse_unary<PyObject_Repr>)},
      {Py_tp_str, reinterpret_cast<void*>(&refuse_unary<PyObject_Str>)}, {0, nullptr}};
  nb::class_<RuntimeScalar> c(m, "_RuntimeScalar", nb::type_slots(slots),
      "A float argument of a compiled function whose value is given at each call.");
  scalar_type = reinterpret_cast<PyTypeObject*>(c.ptr());
  refuse_new(c);
  c.def(
       "__format__",
       [](nb::handle_t<RuntimeScalar> self, nb::handle spec) {
         made<RuntimeScalar>(self);
         if (is_open(self.ptr())) {
           fail_for_value(self);
         }
         return nb::steal(PyObject_Format(plain(self.ptr()), spec.ptr()));
       },
       nb::sig("def __format__(self, spec: object) -> str"))
      .def(
          "__getattr__",
          [](nb::handle_t<RuntimeScalar> self, nb::handle name) {
            made<RuntimeScalar>(self);
            if (is_open(self.ptr())) {
              fail_for_value(self);
            }
            return nb::object(nb::getattr(nb::handle(plain(self.ptr())), name));
          },
          nb::sig("def __getattr__(self, name: object) -> object"));
}

} // namespace mlx::python
