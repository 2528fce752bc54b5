// Dim: a size that a shapeless recording leaves open, as Python sees it.
#include "python/src/dim_object.h"

#include "python/src/bind.h"
#include "python/src/convert.h"
#include "python/src/made.h"

namespace mlx::python {

using core::Dim;

namespace {

PyTypeObject* dim_type = nullptr;

// The other operand: a Dim or an int.
std::optional<Dim> size_of(nb::handle o) {
  if (is_dim(o.ptr())) {
    return dim_of(o.ptr());
  }
  if (PyLong_Check(o.ptr()) && !PyBool_Check(o.ptr())) {
    long long value = PyLong_AsLongLong(o.ptr());
    if (value == -1 && PyErr_Occurred()) {
      throw nb::python_error();
    }
    return Dim(value);
  }
  return std::nullopt;
}

nb::object not_ours() { return nb::borrow(Py_NotImplemented); }

// What Python does with the size as an int, which is noted. Arrays answer for themselves.
using NumberOp = PyObject* (*)(PyObject*, PyObject*);
template <NumberOp op>
nb::object with_number(Dim a, nb::handle other, bool reflected) {
  if (is_array(other)) {
    return not_ours();
  }
  nb::object left = nb::int_(static_cast<int64_t>(a)), right = dim_number(other);
  if (reflected) {
    std::swap(left, right);
  }
  PyObject* result = op(left.ptr(), right.ptr());
  if (!result) {
    throw nb::python_error();
  }
  return nb::steal(result);
}

// Arithmetic with ints stays open.
template <NumberOp number_op, bool reflected = false, typename Op>
auto arithmetic(Op op) {
  return [op](Dim a, nb::handle other) -> nb::object {
    if (std::optional<Dim> b = size_of(other)) {
      return dim_object(reflected ? op(*b, a) : op(a, *b));
    }
    return with_number<number_op>(a, other, reflected);
  };
}

template <int number_op>
PyObject* compared(PyObject* x, PyObject* y) {
  return PyObject_RichCompare(x, y, number_op);
}
template <int number_op, typename Op>
auto comparison(Op op) {
  return [op](Dim a, nb::handle other) -> nb::object {
    if (std::optional<Dim> b = size_of(other)) {
      return nb::bool_(op(a, *b));
    }
    return with_number<compared<number_op>>(a, other, false);
  };
}

PyObject* power(PyObject* x, PyObject* y) { return PyNumber_Power(x, y, Py_None); }

// A method of int, on the size as a number.
auto as_number(const char* method) {
  return [method](Dim d, nb::args args) -> nb::object { return nb::int_(static_cast<int64_t>(d)).attr(method)(*args); };
}

// Sizes are not negative, so that rounding toward zero is rounding down, as long as the divisor is positive.
Dim floor_divided(Dim a, Dim b) {
  if (b.is_symbolic() || b > 0) {
    return a / b;
  }
  return nb::cast<int64_t>(nb::int_(static_cast<int64_t>(a)).attr("__floordiv__")(static_cast<int64_t>(b)));
}
Dim remainder(Dim a, Dim b) { return a - floor_divided(a, b) * b; }

} // namespace

bool is_dim(PyObject* o) { return Py_TYPE(o) == dim_type && nb::inst_ready(o); }
Dim dim_of(PyObject* o) { return *nb::inst_ptr<Dim>(nb::handle(o)); }
nb::object dim_object(Dim size) {
  return size.is_symbolic() ? nb::cast(size) : nb::object(nb::int_(static_cast<int64_t>(size)));
}

void bind_dim(nb::module_& m) {
  nb::class_<Dim> c(m, "Dim", R"(A size of an array that a shapeless recording leaves open.

``x.shape`` and ``x.size`` hold such objects while a function compiled with
``shapeless=True`` is recorded. Sums, differences, products, ``//`` and ``%`` with
ints are again open sizes, and shapes may be made of them. Beside an array a
size is a number that is known at each call. Whatever needs it as a number now
(``int(d)``, ``range(d)``, a comparison, a condition, a hash) makes the recording
hold for that number only.

Example:
    >>> f = mx.compile(lambda x: x.reshape(x.shape[0] * x.shape[1]) / x.shape[0], shapeless=True)
    >>> f(mx.ones((2, 3))).shape, f(mx.ones((4, 5))).shape
    ((6,), (20,))
    >>> mx.compile_stats(f)["traces"]
    1
)");
  dim_type = reinterpret_cast<PyTypeObject*>(c.ptr());
  refuse_new(c);
  auto add = [](Dim a, Dim b) { return a + b; };
  auto subtract = [](Dim a, Dim b) { return a - b; };
  auto multiply = [](Dim a, Dim b) { return a * b; };
#define MLX_DIM_BINARY(name, forward, reflected)                                                     \
  c.def("__" name "__", forward, nb::sig("def __" name "__(self, other: object, /) -> typing.Any")); \
  c.def("__r" name "__", reflected, nb::sig("def __r" name "__(self, other: object, /) -> typing.Any"))
#define MLX_DIM_ARITHMETIC(name, number_op, op) \
  MLX_DIM_BINARY(name, arithmetic<number_op>(op), (arithmetic<number_op, true>(op)))
#define MLX_DIM_NUMBER(name, number_op)                                                           \
  MLX_DIM_BINARY(name, ([](Dim d, nb::handle o) { return with_number<number_op>(d, o, false); }), \
      ([](Dim d, nb::handle o) { return with_number<number_op>(d, o, true); }))
#define MLX_DIM_COMPARISON(name, number_op, op)                                 \
  c.def("__" name "__", comparison<number_op>([](Dim a, Dim b) { return op; }), \
      nb::sig("def __" name "__(self, other: object, /) -> typing.Any"))
  MLX_DIM_ARITHMETIC("add", PyNumber_Add, add);
  MLX_DIM_ARITHMETIC("sub", PyNumber_Subtract, subtract);
  MLX_DIM_ARITHMETIC("mul", PyNumber_Multiply, multiply);
  MLX_DIM_ARITHMETIC("floordiv", PyNumber_FloorDivide, floor_divided);
  MLX_DIM_ARITHMETIC("mod", PyNumber_Remainder, remainder);
  MLX_DIM_NUMBER("truediv", PyNumber_TrueDivide);
  MLX_DIM_NUMBER("pow", power);
  MLX_DIM_COMPARISON("eq", Py_EQ, a == b);
  MLX_DIM_COMPARISON("ne", Py_NE, !(a == b));
  MLX_DIM_COMPARISON("lt", Py_LT, a < b);
  MLX_DIM_COMPARISON("le", Py_LE, a <= b);
  MLX_DIM_COMPARISON("gt", Py_GT, a > b);
  MLX_DIM_COMPARISON("ge", Py_GE, a >= b);
#undef MLX_DIM_BINARY
#undef MLX_DIM_ARITHMETIC
#undef MLX_DIM_NUMBER
#undef MLX_DIM_COMPARISON
  c.def("__neg__", as_number("__neg__"), nb::sig("def __neg__(self) -> int"))
      .def("__index__", as_number("__index__"), nb::sig("def __index__(self) -> int"))
      .def("__int__", as_number("__int__"), nb::sig("def __int__(self) -> int"))
      .def("__float__", as_number("__float__"), nb::sig("def __float__(self) -> float"))
      .def("__bool__", as_number("__bool__"), nb::sig("def __bool__(self) -> bool"))
      .def("__hash__", as_number("__hash__"), nb::sig("def __hash__(self) -> int"))
      .def("__format__", as_number("__format__"), nb::sig("def __format__(self, spec: str, /) -> str"))
      .def("__repr__", [](Dim d) { return d.to_string(); }, nb::sig("def __repr__(self) -> str"));
}

} // namespace mlx::python
