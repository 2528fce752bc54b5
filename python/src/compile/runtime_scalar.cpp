// Arithmetic of numbers without a value.
#include "python/src/compile/runtime_scalar.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "mlx_core/ops.h"
#include "mlx_core/transforms/frame.h"
#include "python/src/array/convert.h"
#include "python/src/interop/numpy_scalar.h"
#include "python/src/runtime/exceptions.h"
#include "python/src/runtime/made.h"

namespace mlx::python {

namespace {

// The values that an int may have.
struct IntRange {
  double least = 0, most = 0;
  bool within(double low, double high) const { return least >= low && most <= high; }
};
constexpr double largest_int = 1 << 24;                     // of an argument, and what float32 holds
constexpr double largest_result = double(int64_t{1} << 53); // what float64 holds

struct RuntimeScalar {
  array value;
  nb::object plain;
  uint64_t frame; // of the recording
  IntRange range = {};
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

// Both are Python's ints, and so is their sum.
bool stays_int(PyObject* a, PyObject* b) { return PyLong_Check(plain(a)) && PyLong_Check(plain(b)); }

IntRange range_of(PyObject* o) {
  if (is_open(o)) {
    return scalar(o).range;
  }
  double value = PyLong_AsDouble(plain(o));
  PyErr_Clear(); // -1, when it is too large for a double: then the sum does not fit either
  return {value, value};
}

// Where the results of an operation on ints are; nullopt when float64 may not hold one.
using Ranges = std::optional<IntRange> (*)(IntRange, IntRange);
std::optional<IntRange> held(IntRange range) {
  return range.within(-largest_result, largest_result) ? std::optional(range) : std::nullopt;
}
std::optional<IntRange> range_of_sum(IntRange a, IntRange b) { return held({a.least + b.least, a.most + b.most}); }
std::optional<IntRange> range_of_difference(IntRange a, IntRange b) {
  return held({a.least - b.most, a.most - b.least});
}
std::optional<IntRange> range_of_product(IntRange a, IntRange b) {
  auto [least, most] = std::minmax({a.least * b.least, a.least * b.most, a.most * b.least, a.most * b.most});
  return held({least, most});
}
std::optional<IntRange> no_int(IntRange, IntRange) { return IntRange{}; } // a quotient is a float

bool is_numpy_float64(PyObject* o) {
  return PyFloat_Check(o) && std::strcmp(Py_TYPE(o)->tp_name, "numpy.float64") == 0;
}
// Whether Python computes with it as with its value: NumPy does so in the number's own precision.
bool computes_in_python(PyObject* o) {
  return PyFloat_CheckExact(o) || PyLong_Check(o) || PyComplex_CheckExact(o) || is_numpy_float64(o);
}

// The operand as a scalar of the same kind; nullopt when it is an array or something else, which answers itself.
std::optional<array> number(PyObject* o) {
  if (is_open(o)) {
    return scalar(o).value;
  }
  o = plain(o);
  if (PyFloat_CheckExact(o) || PyLong_Check(o) || is_numpy_float64(o)) {
    return to_array({o}, core::float64);
  }
  if (PyComplex_CheckExact(o)) {
    return to_array({o}, core::complex128);
  }
  return std::nullopt;
}

using InPython = PyObject* (*)(PyObject*, PyObject*);
using InArray = array (*)(const array&, StreamOrDevice);
using InArrays = array (*)(const array&, const array&, StreamOrDevice);

// No int is -0.
array without_minus_zero(const array& value) { return core::add(value, array(0.0, core::float64)); }

// Only operations that IEEE arithmetic defines to the bit, so that float arithmetic here and in Python agree.
template <InArrays op, InPython in_python, Ranges ranges>
PyObject* arithmetic(PyObject* a, PyObject* b) noexcept {
  if (!is_open(a) && !is_open(b)) {
    return in_python(plain(a), plain(b));
  }
  return guarded(
      [&]() -> PyObject* {
        bool open_in_numpy =
            (is_open(a) && !computes_in_python(plain(a))) || (is_open(b) && !computes_in_python(plain(b)));
        if (open_in_numpy && !is_array(a) && !is_array(b)) {
          return refuse(a, b);
        }
        std::optional<IntRange> range = stays_int(a, b) ? ranges(range_of(a), range_of(b)) : IntRange{};
        if (!range) {
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
        array value = op(*left, *right, {});
        if (op == InArrays(&core::multiply) && stays_int(a, b)) {
          value = without_minus_zero(value);
        }
        return nb::cast(RuntimeScalar{std::move(value), std::move(result), frame, *range}).release().ptr();
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
  bool whole = counts_as_int(plain(b)); // an array's power of an int is another operation for each
  // A float of at most 1 to the power of a positive int is the C library's, here as in Python, and there is no error.
  if (PyFloat_CheckExact(a) && modulus == Py_None && is_open(b) && PyLong_Check(plain(b)) &&
      scalar(b).range.within(0, largest_result) && PyFloat_AS_DOUBLE(a) > 0 && PyFloat_AS_DOUBLE(a) <= 1) {
    return guarded(
        [&] {
          nb::object result = nb::steal(PyNumber_Power(a, plain(b), modulus));
          array value = core::power(to_array({a}, core::float64), scalar(b).value);
          return nb::cast(RuntimeScalar{std::move(value), std::move(result), scalar(b).frame}).release().ptr();
        },
        static_cast<PyObject*>(nullptr));
  }
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
  if (!computes_in_python(plain(o))) {
    return refuse(o);
  }
  return guarded(
      [&] {
        const RuntimeScalar& s = scalar(o);
        nb::object result = nb::steal(in_python(s.plain.ptr()));
        double most = std::max(std::abs(s.range.least), std::abs(s.range.most));
        IntRange range{op == InArray(&core::abs) ? 0 : -most, most};
        array value = op(s.value, {});
        if (stays_int(o, o)) {
          value = without_minus_zero(value);
        }
        return nb::cast(RuntimeScalar{std::move(value), std::move(result), s.frame, range}).release().ptr();
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

// NumPy's functions and operators need the value.
PyObject* numpy_function(PyObject* self, PyObject* args, PyObject* kwargs) {
  if (is_open(self)) {
    return refuse(self);
  }
  Py_ssize_t count = PyTuple_GET_SIZE(args); // the function, the name of its method, then its inputs
  nb::object inputs = nb::steal(PyTuple_New(std::max<Py_ssize_t>(count - 2, 0)));
  for (Py_ssize_t i = 2; i < count; ++i) {
    PyTuple_SET_ITEM(inputs.ptr(), i - 2, Py_NewRef(plain(PyTuple_GET_ITEM(args, i))));
  }
  nb::object method = nb::steal(PyObject_GetAttr(PyTuple_GET_ITEM(args, 0), PyTuple_GET_ITEM(args, 1)));
  return method.is_valid() ? PyObject_Call(method.ptr(), inputs.ptr(), kwargs) : nullptr;
}

} // namespace

bool may_be_runtime_int(PyObject* o) {
  nb::object whole = nb::steal(PyNumber_Index(o));
  int overflow = 0;
  long value = whole.is_valid() ? PyLong_AsLongAndOverflow(whole.ptr(), &overflow) : 1 << 30;
  PyErr_Clear();
  return overflow == 0 && value >= -(1 << 24) && value <= 1 << 24;
}
bool is_negative_int(PyObject* o) {
  nb::object whole = nb::steal(PyNumber_Index(o));
  bool negative = whole.is_valid() && PyLong_AsDouble(whole.ptr()) < 0;
  PyErr_Clear();
  return negative;
}
bool counts_as_int(PyObject* o) {
  std::optional<NumpyScalar> scalar = PyLong_Check(o) || PyFloat_Check(o) ? std::nullopt : numpy_scalar(o);
  return PyLong_Check(o) || (scalar && scalar->kind == NumpyScalar::Kind::integer);
}
bool counts_as_complex(PyObject* o) {
  std::optional<NumpyScalar> scalar = PyLong_Check(o) || PyFloat_Check(o) ? std::nullopt : numpy_scalar(o);
  return PyComplex_Check(o) || (scalar && scalar->kind == NumpyScalar::Kind::complex);
}

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
  IntRange range = !counts_as_int(plain.ptr())    ? IntRange{}
                   : is_negative_int(plain.ptr()) ? IntRange{-largest_int, -1}
                                                  : IntRange{0, largest_int};
  return nb::cast(RuntimeScalar{std::move(value), nb::borrow(plain), frame, range});
}

bool is_runtime_scalar(PyObject* o) { return Py_TYPE(o) == scalar_type && nb::inst_ready(o); }

array runtime_scalar_to_array(PyObject* o, std::optional<Dtype> like) {
  if (!is_open(o)) {
    return to_array({plain(o)}, like);
  }
  const array& value = scalar(o).value;
  if (counts_as_int(plain(o))) {
    Dtype dtype = like && !like->is_bool() ? *like : core::int32;
    bool wide = dtype == core::int32 || dtype == core::int64;
    if (wide ? !scalar(o).range.within(INT32_MIN, INT32_MAX) : !dtype.is_inexact()) {
      fail_for_value(o); // beside integers which it may not fit
    }
    if (wide) {
      return core::astype(value, dtype);
    }
  }
  if (value.dtype().is_complex()) {
    bool wide = like == core::float64 || like == core::complex128;
    return core::astype(value, wide ? core::complex128 : core::complex64);
  }
  return core::astype(value, like && like->is_inexact() ? *like : core::float32);
}

bool is_failure_for_value(const nb::python_error& error) { return error.matches(needs_value); }

void bind_runtime_scalar(nb::module_& m) {
  needs_value = PyErr_NewException("mlx.core._NeedsValue", PyExc_BaseException, nullptr);
  if (!needs_value) {
    throw nb::python_error();
  }
  m.attr("_NeedsValue") = nb::handle(needs_value);
  static PyGetSetDef properties[] = {
      {"__class__", class_of, nullptr, "That of the number", nullptr}, {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyMethodDef methods[] = {
      {"__array_ufunc__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(&numpy_function)),
          METH_VARARGS | METH_KEYWORDS, "What NumPy's functions call"},
      {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_getset, properties}, {Py_tp_methods, methods},
      {Py_nb_add, reinterpret_cast<void*>(&arithmetic<core::add, PyNumber_Add, range_of_sum>)},
      {Py_nb_subtract, reinterpret_cast<void*>(&arithmetic<core::subtract, PyNumber_Subtract, range_of_difference>)},
      {Py_nb_multiply, reinterpret_cast<void*>(&arithmetic<core::multiply, PyNumber_Multiply, range_of_product>)},
      {Py_nb_true_divide, reinterpret_cast<void*>(&arithmetic<core::divide, PyNumber_TrueDivide, no_int>)},
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
