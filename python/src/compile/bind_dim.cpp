// Dim: a size that a shapeless recording leaves open, as Python sees it: an int in everything that can be asked of it.
//
// It is no subclass of int, whose value C code would read without our knowing. It says that it is one (isinstance asks
// __class__), and everything that needs the number asks __index__, __float__, __hash__ and the like, which note it.
#include "python/src/compile/dim_object.h"

#include "mlx_core/size_arithmetic.h"
#include "python/src/array/convert.h"
#include "python/src/runtime/bind.h"
#include "python/src/runtime/made.h"

namespace mlx::python {

using core::Dim;
using core::SizeError;

namespace {

struct OpenSize {
  Dim size;
  int64_t hint;
  uint64_t trace; // that it belongs to
};

PyTypeObject* dim_type = nullptr;
thread_local uint64_t shown_count = 0;

Dim now(const OpenSize& open) { return core::SymbolTrace::is_open(open.trace) ? open.size : Dim(open.hint); }

// The other operand: a Dim or an int that is small enough for one.
std::optional<Dim> size_of(nb::handle o) {
  if (is_dim(o.ptr())) {
    return dim_of(o.ptr());
  }
  if (PyLong_Check(o.ptr())) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(o.ptr(), &overflow);
    if (overflow == 0 && value >= -(1ll << 62)) {
      return Dim(value);
    }
  }
  return std::nullopt;
}

nb::object not_ours() { return nb::borrow(Py_NotImplemented); }
nb::object taken(PyObject* result) {
  if (!result) {
    throw nb::python_error();
  }
  return nb::steal(result);
}

// What Python does with the size as an int, which is noted. Arrays answer for themselves.
using NumberOp = PyObject* (*)(PyObject*, PyObject*);
nb::object with_number(NumberOp op, Dim a, nb::handle other, bool reflected) {
  if (is_array(other)) {
    return not_ours();
  }
  nb::object left = nb::int_(static_cast<int64_t>(a)), right = dim_number(other);
  return reflected ? taken(op(right.ptr(), left.ptr())) : taken(op(left.ptr(), right.ptr()));
}

// A method of int, on the size as a number.
auto as_number(const char* method) {
  return [method](const OpenSize& d, nb::args args) -> nb::object {
    return nb::int_(static_cast<int64_t>(now(d))).attr(method)(*args);
  };
}

// --- arithmetic that stays open ---

Dim plus(Dim a, Dim b) { return a + b; }
Dim minus(Dim a, Dim b) { return a - b; }
Dim times(Dim a, Dim b) { return a * b; }
Dim quotient(Dim a, Dim b) { return floor_divide(a, b); }
Dim remainder(Dim a, Dim b) { return a - floor_divide(a, b) * b; }
// 2 ** b for known b.
std::optional<Dim> power_of_two(Dim b) {
  return !b.is_symbolic() && b >= 0 && b < 62 ? std::optional<Dim>(int64_t{1} << static_cast<int64_t>(b))
                                              : std::nullopt;
}

// Each gives nullopt for what only numbers can do, such as an error that Python has its own words for.
using SizeOp = std::optional<Dim> (*)(Dim, Dim);
template <Dim (*op)(Dim, Dim)>
std::optional<Dim> always(Dim a, Dim b) {
  return op(a, b);
}
template <Dim (*op)(Dim, Dim)>
std::optional<Dim> unless_zero(Dim a, Dim b) {
  return b == 0 ? std::nullopt : std::optional(op(a, b));
}
std::optional<Dim> shifted_left(Dim a, Dim b) {
  std::optional<Dim> factor = power_of_two(b);
  return factor ? std::optional(a * *factor) : std::nullopt;
}
std::optional<Dim> shifted_right(Dim a, Dim b) {
  std::optional<Dim> divisor = power_of_two(b);
  return divisor ? std::optional(floor_divide(a, *divisor)) : std::nullopt;
}
// The lower bits.
std::optional<Dim> masked(Dim a, Dim b) {
  if (a.is_symbolic() && b.is_symbolic()) {
    return std::nullopt;
  }
  Dim open = a.is_symbolic() ? a : b;
  int64_t mask = a.is_symbolic() ? b : a;
  bool lower = mask >= 0 && mask < (int64_t{1} << 61) && (mask & (mask + 1)) == 0;
  return lower ? std::optional(remainder(open, mask + 1)) : std::nullopt;
}
std::optional<Dim> raised(Dim a, Dim b) {
  if (b.is_symbolic() || b < 0 || b > 8) {
    return std::nullopt;
  }
  Dim out = 1;
  for (int64_t i = 0; i < b; ++i) {
    out = out * a;
  }
  return out;
}

std::optional<Dim> computed(SizeOp op, Dim a, Dim b) {
  try {
    return op(a, b);
  } catch (const SizeError&) { // beyond int64, which is no matter to an int
    return std::nullopt;
  }
}

nb::object binary(SizeOp size_op, NumberOp number_op, const OpenSize& self, nb::handle other, bool reflected) {
  Dim a = now(self);
  if (std::optional<Dim> b = size_of(other)) {
    if (std::optional<Dim> result = reflected ? computed(size_op, *b, a) : computed(size_op, a, *b)) {
      return dim_object(*result);
    }
  }
  return with_number(number_op, a, other, reflected);
}

template <int number_op>
PyObject* compared(PyObject* x, PyObject* y) {
  return PyObject_RichCompare(x, y, number_op);
}
bool answer(int op, Dim a, Dim b) {
  switch (op) {
    case Py_EQ: return a == b;
    case Py_NE: return !(a == b);
    case Py_LT: return a < b;
    case Py_LE: return a <= b;
    case Py_GT: return a > b;
    default: return a >= b;
  }
}
template <int op>
nb::object comparison(const OpenSize& self, nb::handle other) {
  Dim a = now(self);
  if (std::optional<Dim> b = size_of(other)) {
    return nb::bool_(answer(op, a, *b));
  }
  bool number = PyNumber_Check(other.ptr()) || PyIndex_Check(other.ptr());
  return number ? with_number(compared<op>, a, other, false) : not_ours();
}

nb::object quotient_and_remainder(const OpenSize& self, nb::handle other, bool reflected) {
  Dim a = now(self);
  std::optional<Dim> b = size_of(other);
  std::optional<Dim> whole = !b          ? std::nullopt
                             : reflected ? computed(unless_zero<quotient>, *b, a)
                                         : computed(unless_zero<quotient>, a, *b);
  if (!whole) {
    return with_number(PyNumber_Divmod, a, other, reflected);
  }
  Dim rest = reflected ? *b - *whole * a : a - *whole * *b;
  return nb::make_tuple(dim_object(*whole), dim_object(rest));
}
PyObject* plain_power(PyObject* x, PyObject* y) { return PyNumber_Power(x, y, Py_None); }

PyObject* class_of_number(PyObject*, void*) { return Py_NewRef(reinterpret_cast<PyObject*>(&PyLong_Type)); }
PyGetSetDef properties[] = {
    {"__class__", class_of_number, nullptr, "int", nullptr}, {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot slots[] = {{Py_tp_getset, properties}, {0, nullptr}};

} // namespace

bool is_dim(PyObject* o) { return Py_TYPE(o) == dim_type && nb::inst_ready(o); }
Dim dim_of(PyObject* o) { return now(*nb::inst_ptr<OpenSize>(nb::handle(o))); }
nb::object dim_object(Dim size) {
  core::SymbolTrace* trace = size.is_symbolic() ? core::SymbolTrace::of(size) : nullptr;
  if (!trace) {
    return nb::int_(static_cast<int64_t>(size));
  }
  ++shown_count;
  return nb::cast(OpenSize{size, trace->expression(size).hint, trace->id()});
}
uint64_t dims_shown() { return shown_count; }

bool to_dim(PyObject* o, Dim& out) {
  if (is_dim(o)) {
    out = dim_of(o);
    return true;
  }
  if (!PyIndex_Check(o) || is_array(o)) {
    return false;
  }
  Py_ssize_t value = PyNumber_AsSsize_t(o, PyExc_OverflowError);
  if ((value == -1 && PyErr_Occurred()) || value < std::numeric_limits<Py_ssize_t>::min() / 2) {
    PyErr_Clear();
    return false;
  }
  out = value;
  return true;
}

void bind_dim(nb::module_& m) {
  nb::class_<OpenSize> c(m, "Dim", nb::type_slots(slots), R"(A size of an array that a shapeless recording leaves open.

``x.shape`` and ``x.size`` hold such objects while a function compiled with
``shapeless=True`` is recorded. They are ints to all who ask: ``isinstance(d,
int)`` holds, and whatever works with an int works with them (``type(d) is int``
alone tells them apart). Sums, differences, products, ``//``, ``%``, ``divmod``,
shifts, small powers and masks of lower bits, with ints and with each other, are
again open sizes. Shapes, slices and indices are made of them, and beside an array,
or as ``mx.array(d)``, one is a number that is known at each call. A comparison,
``min``, ``max`` or ``abs`` makes the recording hold for the sizes that compare
alike; whatever needs the number itself (``int(d)``, ``float(d)``, ``range(d)``,
``str(d)``, a hash, ``/``) makes it hold for that number only. Other sizes are
recorded anew. Sizes that a function returns are ints, right for each call.

Example:
    >>> f = mx.compile(lambda x: x.reshape(x.shape[0] * x.shape[1]) / x.shape[0], shapeless=True)
    >>> f(mx.ones((2, 3))).shape, f(mx.ones((4, 5))).shape
    ((6,), (20,))
    >>> mx.compile_stats(f)["traces"]
    1
)");
  dim_type = reinterpret_cast<PyTypeObject*>(c.ptr());
  refuse_new(c);
#define MLX_DIM_BINARY(name, size_op, number_op)                                                                   \
  c.def(                                                                                                           \
       "__" name "__", [](const OpenSize& d, nb::handle o) { return binary(size_op, number_op, d, o, false); },    \
       nb::sig("def __" name "__(self, other: object, /) -> typing.Any"))                                          \
      .def(                                                                                                        \
          "__r" name "__", [](const OpenSize& d, nb::handle o) { return binary(size_op, number_op, d, o, true); }, \
          nb::sig("def __r" name "__(self, other: object, /) -> typing.Any"))
#define MLX_DIM_NUMBER(name, number_op)                                                                             \
  c.def(                                                                                                            \
       "__" name "__", [](const OpenSize& d, nb::handle o) { return with_number(number_op, now(d), o, false); },    \
       nb::sig("def __" name "__(self, other: object, /) -> typing.Any"))                                           \
      .def(                                                                                                         \
          "__r" name "__", [](const OpenSize& d, nb::handle o) { return with_number(number_op, now(d), o, true); }, \
          nb::sig("def __r" name "__(self, other: object, /) -> typing.Any"))
#define MLX_DIM_COMPARISON(name, op) \
  c.def("__" name "__", comparison<op>, nb::sig("def __" name "__(self, other: object, /) -> typing.Any"))
  MLX_DIM_BINARY("add", always<plus>, PyNumber_Add);
  MLX_DIM_BINARY("sub", always<minus>, PyNumber_Subtract);
  MLX_DIM_BINARY("mul", always<times>, PyNumber_Multiply);
  MLX_DIM_BINARY("floordiv", unless_zero<quotient>, PyNumber_FloorDivide);
  MLX_DIM_BINARY("mod", unless_zero<remainder>, PyNumber_Remainder);
  MLX_DIM_BINARY("lshift", shifted_left, PyNumber_Lshift);
  MLX_DIM_BINARY("rshift", shifted_right, PyNumber_Rshift);
  MLX_DIM_BINARY("and", masked, PyNumber_And);
  MLX_DIM_NUMBER("or", PyNumber_Or);
  MLX_DIM_NUMBER("xor", PyNumber_Xor);
  MLX_DIM_NUMBER("truediv", PyNumber_TrueDivide);
  MLX_DIM_COMPARISON("eq", Py_EQ);
  MLX_DIM_COMPARISON("ne", Py_NE);
  MLX_DIM_COMPARISON("lt", Py_LT);
  MLX_DIM_COMPARISON("le", Py_LE);
  MLX_DIM_COMPARISON("gt", Py_GT);
  MLX_DIM_COMPARISON("ge", Py_GE);
#undef MLX_DIM_BINARY
#undef MLX_DIM_NUMBER
#undef MLX_DIM_COMPARISON
  auto itself = [](nb::handle self, nb::args) { return nb::borrow(self); };
  c.def(
       "__pow__",
       [](const OpenSize& d, nb::handle o, nb::handle modulus) -> nb::object {
         return modulus.is_none() ? binary(raised, plain_power, d, o, false)
                                  : taken(PyNumber_Power(nb::int_(static_cast<int64_t>(now(d))).ptr(),
                                        dim_number(o).ptr(), dim_number(modulus).ptr()));
       },
       nb::arg("other"), nb::arg("modulus") = nb::none(),
       nb::sig("def __pow__(self, other: object, modulus: object = None, /) -> typing.Any"))
      .def(
          "__rpow__", [](const OpenSize& d, nb::handle o, nb::args) { return binary(raised, plain_power, d, o, true); },
          nb::sig("def __rpow__(self, other: object, /) -> typing.Any"))
      .def(
          "__divmod__", [](const OpenSize& d, nb::handle o) { return quotient_and_remainder(d, o, false); },
          nb::sig("def __divmod__(self, other: object, /) -> typing.Any"))
      .def(
          "__rdivmod__", [](const OpenSize& d, nb::handle o) { return quotient_and_remainder(d, o, true); },
          nb::sig("def __rdivmod__(self, other: object, /) -> typing.Any"))
      .def(
          "__neg__", [](const OpenSize& d) { return dim_object(0 - now(d)); }, nb::sig("def __neg__(self) -> int"))
      .def(
          "__invert__", [](const OpenSize& d) { return dim_object(-1 - now(d)); },
          nb::sig("def __invert__(self) -> int"))
      .def(
          "__abs__",
          [](const OpenSize& d) {
            Dim size = now(d);
            return dim_object(size < 0 ? 0 - size : size);
          },
          nb::sig("def __abs__(self) -> int"))
      .def(
          "__bool__", [](const OpenSize& d) { return !(now(d) == 0); }, nb::sig("def __bool__(self) -> bool"))
      .def(
          "__round__",
          [](nb::handle self, nb::args digits) -> nb::object {
            bool whole = digits.size() == 0 || digits[0].is_none();
            return whole ? nb::borrow(self) : dim_number(self).attr("__round__")(*digits);
          },
          nb::sig("def __round__(self, ndigits: typing.SupportsIndex | None = None, /) -> int"));
#define MLX_DIM_ITSELF(name) c.def("__" name "__", itself, nb::sig("def __" name "__(self, *args: object) -> int"))
  MLX_DIM_ITSELF("pos");
  MLX_DIM_ITSELF("trunc");
  MLX_DIM_ITSELF("floor");
  MLX_DIM_ITSELF("ceil");
#undef MLX_DIM_ITSELF
  c.def("__index__", as_number("__index__"), nb::sig("def __index__(self) -> int"))
      .def("__int__", as_number("__int__"), nb::sig("def __int__(self) -> int"))
      .def("__float__", as_number("__float__"), nb::sig("def __float__(self) -> float"))
      .def(
          "__complex__",
          [](const OpenSize& d) {
            return taken(PyComplex_FromDoubles(static_cast<double>(static_cast<int64_t>(now(d))), 0));
          },
          nb::sig("def __complex__(self) -> complex"))
      .def("__hash__", as_number("__hash__"), nb::sig("def __hash__(self) -> int"))
      .def("__format__", as_number("__format__"), nb::sig("def __format__(self, spec: str, /) -> str"))
      .def("__repr__", as_number("__repr__"), nb::sig("def __repr__(self) -> str"))
      .def("__str__", as_number("__str__"), nb::sig("def __str__(self) -> str"))
      .def(
          "__array__",
          [](const OpenSize& d, nb::handle dtype, nb::handle) {
            return nb::module_::import_("numpy").attr("array")(static_cast<int64_t>(now(d)), dtype);
          },
          nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none(),
          nb::sig("def __array__(self, dtype: object = None, copy: bool | None = None) -> typing.Any"))
      .def(
          "__getattr__", // bit_length, real, ...
          [](nb::handle self, nb::handle name) -> nb::object {
            for (const char* part : {"real", "numerator"}) {
              if (PyUnicode_CompareWithASCIIString(name.ptr(), part) == 0) {
                return nb::borrow(self);
              }
            }
            taken(PyObject_GetAttr(nb::int_(0).ptr(), name.ptr())); // what no int has is asked of none
            nb::object number = dim_number(self);
            return taken(PyObject_GetAttr(number.ptr(), name.ptr()));
          },
          nb::sig("def __getattr__(self, name: str, /) -> typing.Any"));
}

} // namespace mlx::python
