// Dim: a size that a shapeless recording leaves open, as Python sees it.
#include "python/src/dim_object.h"

#include <nanobind/operators.h>

#include "python/src/bind.h"
#include "python/src/convert.h"

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

// Arithmetic with ints stays open. With anything else, such as floats, the size is a number, which is noted.
template <typename Op>
auto arithmetic(const char* number_method, Op op) {
  return [number_method, op](Dim a, nb::handle other) -> nb::object {
    if (std::optional<Dim> b = size_of(other)) {
      return dim_object(op(a, *b));
    }
    return is_array(other) ? not_ours() : nb::int_(static_cast<int64_t>(a)).attr(number_method)(other);
  };
}

template <typename Op>
auto comparison(const char* number_method, Op op) {
  return [number_method, op](Dim a, nb::handle other) -> nb::object {
    if (std::optional<Dim> b = size_of(other)) {
      return nb::bool_(op(a, *b));
    }
    return is_array(other) ? not_ours() : nb::int_(static_cast<int64_t>(a)).attr(number_method)(other);
  };
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

bool is_dim(PyObject* o) { return Py_TYPE(o) == dim_type; }
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
  auto plus = arithmetic("__add__", [](Dim a, Dim b) { return a + b; });
  auto times = arithmetic("__mul__", [](Dim a, Dim b) { return a * b; });
#define MLX_DIM_SIG(name, result) nb::sig("def " name "(self, other: object, /) -> " result)
  c.def("__add__", plus, MLX_DIM_SIG("__add__", "typing.Any"))
      .def("__radd__", plus, MLX_DIM_SIG("__radd__", "typing.Any"))
      .def("__mul__", times, MLX_DIM_SIG("__mul__", "typing.Any"))
      .def("__rmul__", times, MLX_DIM_SIG("__rmul__", "typing.Any"))
      .def("__sub__", arithmetic("__sub__", [](Dim a, Dim b) { return a - b; }), MLX_DIM_SIG("__sub__", "typing.Any"))
      .def(
          "__rsub__", arithmetic("__rsub__", [](Dim a, Dim b) { return b - a; }), MLX_DIM_SIG("__rsub__", "typing.Any"))
      .def("__floordiv__", arithmetic("__floordiv__", floor_divided), MLX_DIM_SIG("__floordiv__", "typing.Any"))
      .def("__rfloordiv__", arithmetic("__rfloordiv__", [](Dim a, Dim b) { return floor_divided(b, a); }),
          MLX_DIM_SIG("__rfloordiv__", "typing.Any"))
      .def("__mod__", arithmetic("__mod__", remainder), MLX_DIM_SIG("__mod__", "typing.Any"))
      .def("__rmod__", arithmetic("__rmod__", [](Dim a, Dim b) { return remainder(b, a); }),
          MLX_DIM_SIG("__rmod__", "typing.Any"))
      .def("__eq__", comparison("__eq__", [](Dim a, Dim b) { return a == b; }), MLX_DIM_SIG("__eq__", "typing.Any"))
      .def("__ne__", comparison("__ne__", [](Dim a, Dim b) { return !(a == b); }), MLX_DIM_SIG("__ne__", "typing.Any"))
      .def("__lt__", comparison("__lt__", [](Dim a, Dim b) { return a < b; }), MLX_DIM_SIG("__lt__", "typing.Any"))
      .def("__le__", comparison("__le__", [](Dim a, Dim b) { return a <= b; }), MLX_DIM_SIG("__le__", "typing.Any"))
      .def("__gt__", comparison("__gt__", [](Dim a, Dim b) { return a > b; }), MLX_DIM_SIG("__gt__", "typing.Any"))
      .def("__ge__", comparison("__ge__", [](Dim a, Dim b) { return a >= b; }), MLX_DIM_SIG("__ge__", "typing.Any"));
#undef MLX_DIM_SIG
  auto as_number = [](const char* method) {
    return
        [method](Dim d, nb::args args) -> nb::object { return nb::int_(static_cast<int64_t>(d)).attr(method)(*args); };
  };
  c.def(
       "__truediv__",
       [](Dim d, nb::handle o) -> nb::object {
         return is_array(o) ? not_ours() : nb::int_(static_cast<int64_t>(d)).attr("__truediv__")(dim_number(o));
       },
       nb::sig("def __truediv__(self, other: object, /) -> typing.Any"))
      .def(
          "__rtruediv__",
          [](Dim d, nb::handle o) -> nb::object {
            return is_array(o) ? not_ours() : nb::int_(static_cast<int64_t>(d)).attr("__rtruediv__")(dim_number(o));
          },
          nb::sig("def __rtruediv__(self, other: object, /) -> typing.Any"))
      .def(
          "__neg__", [](Dim d) { return -static_cast<int64_t>(d); }, nb::sig("def __neg__(self) -> int"))
      .def(
          "__index__", [](Dim d) { return static_cast<int64_t>(d); }, nb::sig("def __index__(self) -> int"))
      .def(
          "__int__", [](Dim d) { return static_cast<int64_t>(d); }, nb::sig("def __int__(self) -> int"))
      .def(
          "__float__", [](Dim d) { return static_cast<double>(static_cast<int64_t>(d)); },
          nb::sig("def __float__(self) -> float"))
      .def(
          "__bool__", [](Dim d) { return static_cast<int64_t>(d) != 0; }, nb::sig("def __bool__(self) -> bool"))
      .def("__hash__", as_number("__hash__"), nb::sig("def __hash__(self) -> int"))
      .def("__pow__", as_number("__pow__"), nb::sig("def __pow__(self, other: object, /) -> typing.Any"))
      .def("__rpow__", as_number("__rpow__"), nb::sig("def __rpow__(self, other: object, /) -> typing.Any"))
      .def("__format__", as_number("__format__"), nb::sig("def __format__(self, spec: str, /) -> str"))
      .def("__repr__", [](Dim d) { return d.to_string(); }, nb::sig("def __repr__(self) -> str"));
}

} // namespace mlx::python
