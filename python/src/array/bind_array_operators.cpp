// The operators of the array class. Each is a plain C function in the type's slot, because this is the path of every
// expression; the same functions are bound as methods, for stubs, help() and subclasses.
#include <array>

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "python/src/array/bind_array.h"
#include "python/src/indexing/indexing.h"
#include "python/src/interop/array_export.h"
#include "python/src/runtime/argument_errors.h"
#include "python/src/runtime/exceptions.h"

namespace mlx::python {

namespace {

using BinaryOp = array (*)(const array&, const array&, StreamOrDevice);
using UnaryOp = array (*)(const array&, StreamOrDevice);

PyObject* not_implemented() { return Py_NewRef(Py_NotImplemented); }

// What Python calls an operator, and where another class keeps its own.
struct Symbol {
  BinaryOp op;
  const char* name; // the function of mlx.core
  const char* symbol;
  binaryfunc PyNumberMethods::* slot; // null: a comparison
  int comparison;                     // of the other object with the array
};

constexpr Symbol symbols[] = {
    {&core::add, "add", "+", &PyNumberMethods::nb_add, 0},
    {&core::subtract, "subtract", "-", &PyNumberMethods::nb_subtract, 0},
    {&core::multiply, "multiply", "*", &PyNumberMethods::nb_multiply, 0},
    {&core::divide, "divide", "/", &PyNumberMethods::nb_true_divide, 0},
    {&core::floor_divide, "floor_divide", "//", &PyNumberMethods::nb_floor_divide, 0},
    {&core::remainder, "remainder", "%", &PyNumberMethods::nb_remainder, 0},
    {&core::matmul, "matmul", "@", &PyNumberMethods::nb_matrix_multiply, 0},
    {&core::bitwise_and, "bitwise_and", "&", &PyNumberMethods::nb_and, 0},
    {&core::bitwise_or, "bitwise_or", "|", &PyNumberMethods::nb_or, 0},
    {&core::bitwise_xor, "bitwise_xor", "^", &PyNumberMethods::nb_xor, 0},
    {&core::left_shift, "left_shift", "<<", &PyNumberMethods::nb_lshift, 0},
    {&core::right_shift, "right_shift", ">>", &PyNumberMethods::nb_rshift, 0},
    {&core::power, "power", "**", nullptr, 0},
    {&core::less, "less", "<", nullptr, Py_GT},
    {&core::less_equal, "less_equal", "<=", nullptr, Py_GE},
    {&core::greater, "greater", ">", nullptr, Py_LT},
    {&core::greater_equal, "greater_equal", ">=", nullptr, Py_LE},
};

// What the class of b makes of a op b; NotImplemented when it knows nothing of it either.
PyObject* ask_other(const Symbol& s, PyObject* a, PyObject* b) {
  PyTypeObject* type = Py_TYPE(b);
  if (s.comparison) {
    return type->tp_richcompare ? type->tp_richcompare(b, a, s.comparison) : not_implemented();
  }
  PyNumberMethods* n = type->tp_as_number;
  if (!s.slot) {
    return n && n->nb_power ? n->nb_power(a, b, Py_None) : not_implemented();
  }
  return n && n->*s.slot ? (n->*s.slot)(a, b) : not_implemented();
}

// a op b where one of them is an array and the other is nothing that turns into one: the other's class may know what
// it is. Python would ask it, too, but its own error names no values, and it repeats a list times an integer array.
PyObject* not_ours(BinaryOp op, PyObject* a, PyObject* b) {
  for (const Symbol& s : symbols) {
    if (s.op != op) {
      continue;
    }
    if (is_array(a)) { // else Python has asked b's class before this one
      PyObject* answer = ask_other(s, a, b);
      if (answer != Py_NotImplemented) {
        return answer;
      }
      Py_DECREF(answer);
    }
    core::fail<core::TypeError>(s.name, "a ", s.symbol, " b, where a is ", described(a), " and b is ", described(b),
        ": an array goes with numbers and arrays. Write mx.array(...) around lists.");
  }
  return not_implemented(); // == and != with what is no array or number are left to Python: False and True
}

// a op b where one of them is an array.
template <BinaryOp op>
PyObject* binary(PyObject* a, PyObject* b) noexcept {
  return guarded(
      [&]() -> PyObject* {
        if (is_array(a)) {
          const array& left = read(a);
          if (is_array(b)) {
            return wrap(op(left, read(b), {}));
          }
          std::optional<array> right = try_to_array(b, left.dtype());
          return right ? wrap(op(left, *right, {})) : not_ours(op, a, b);
        }
        const array& right = read(b);
        std::optional<array> left = try_to_array(a, right.dtype());
        return left ? wrap(op(*left, right, {})) : not_ours(op, a, b);
      },
      static_cast<PyObject*>(nullptr));
}

template <BinaryOp op>
PyObject* reflected(PyObject* a, PyObject* b) noexcept {
  return binary<op>(b, a);
}

// a op= b: the handle a gets a new node.
template <BinaryOp op>
PyObject* in_place(PyObject* a, PyObject* b) noexcept {
  return guarded(
      [&]() -> PyObject* {
        const array& left = read(a);
        std::optional<array> right = try_to_array(b, left.dtype());
        if (!right) {
          return not_ours(op, a, b);
        }
        if (op == &core::divide && !left.dtype().is_inexact()) {
          core::fail("__itruediv__", "x /= y has a floating result, but x has dtype ", left.dtype(),
              "; write x = x / y, or x //= y.");
        }
        rebind(a, op(left, *right, {}));
        return Py_NewRef(a);
      },
      static_cast<PyObject*>(nullptr));
}

template <UnaryOp op>
PyObject* unary(PyObject* a) noexcept {
  return guarded([&] { return wrap(op(read(a), {})); }, static_cast<PyObject*>(nullptr));
}

// matmul takes no scalars, so a number on the other side is not ours to answer.
PyObject* matmul(PyObject* a, PyObject* b) noexcept {
  if (PyNumber_Check(is_array(a) ? b : a) && !is_array(is_array(a) ? b : a)) {
    PyObject* other = is_array(a) ? b : a;
    if (PyFloat_Check(other) || PyLong_Check(other) || PyComplex_Check(other)) {
      return guarded([&] { return not_ours(&core::matmul, a, b); }, static_cast<PyObject*>(nullptr));
    }
  }
  return binary<&core::matmul>(a, b);
}

PyObject* power(PyObject* a, PyObject* b, PyObject* modulus) noexcept {
  return modulus == Py_None ? binary<&core::power>(a, b) : not_implemented();
}

PyObject* in_place_power(PyObject* a, PyObject* b, PyObject* modulus) noexcept {
  return modulus == Py_None ? in_place<&core::power>(a, b) : not_implemented();
}

PyObject* compare(PyObject* a, PyObject* b, int op) noexcept {
  switch (op) {
    case Py_LT: return binary<&core::less>(a, b);
    case Py_LE: return binary<&core::less_equal>(a, b);
    case Py_GT: return binary<&core::greater>(a, b);
    case Py_GE: return binary<&core::greater_equal>(a, b);
    case Py_EQ: return binary<&core::equal>(a, b);
    default: return binary<&core::not_equal>(a, b);
  }
}

int truth(PyObject* a) noexcept {
  return guarded([&] { return PyObject_IsTrue(item(read(a), "bool").ptr()); }, -1);
}

Py_ssize_t length(PyObject* a) noexcept {
  return guarded(
      [&] {
        const array& value = read(a);
        if (value.ndim() == 0) {
          core::fail<core::TypeError>("len", "a 0-dimensional array has no length.");
        }
        return static_cast<Py_ssize_t>(static_cast<int64_t>(value.shape()[0]));
      },
      Py_ssize_t(-1));
}

// --- the same as methods ---

struct BinaryMethod {
  const char* name; // without underscores
  const char* op;   // the function of mlx.core
  binaryfunc forward, reflected, in_place;
};

template <BinaryOp op>
constexpr BinaryMethod method(const char* name, const char* op_name) {
  return {name, op_name, &binary<op>, &reflected<op>, &in_place<op>};
}

constexpr std::array arithmetic = {
    method<&core::add>("add", "add"),
    method<&core::subtract>("sub", "subtract"),
    method<&core::multiply>("mul", "multiply"),
    method<&core::divide>("truediv", "divide"),
    method<&core::floor_divide>("floordiv", "floor_divide"),
    method<&core::remainder>("mod", "remainder"),
    method<&core::power>("pow", "power"),
    BinaryMethod{"matmul", "matmul", &matmul, &reflected<&core::matmul>, &in_place<&core::matmul>},
    method<&core::bitwise_and>("and", "bitwise_and"),
    method<&core::bitwise_or>("or", "bitwise_or"),
    method<&core::bitwise_xor>("xor", "bitwise_xor"),
    method<&core::left_shift>("lshift", "left_shift"),
    method<&core::right_shift>("rshift", "right_shift"),
    BinaryMethod{"div", "divide", &binary<&core::divide>, &reflected<&core::divide>, nullptr},
};

constexpr std::array comparisons = {
    BinaryMethod{"lt", "less", &binary<&core::less>, nullptr, nullptr},
    BinaryMethod{"le", "less_equal", &binary<&core::less_equal>, nullptr, nullptr},
    BinaryMethod{"gt", "greater", &binary<&core::greater>, nullptr, nullptr},
    BinaryMethod{"ge", "greater_equal", &binary<&core::greater_equal>, nullptr, nullptr},
    BinaryMethod{"eq", "equal", &binary<&core::equal>, nullptr, nullptr},
    BinaryMethod{"ne", "not_equal", &binary<&core::not_equal>, nullptr, nullptr},
};

struct UnaryMethod {
  const char* name;
  const char* op;
  unaryfunc function;
};

constexpr std::array unaries = {
    UnaryMethod{"neg", "negative", &unary<&core::negative>},
    UnaryMethod{"pos", "positive", &unary<&core::positive>},
    UnaryMethod{"abs", "abs", &unary<&core::abs>},
    UnaryMethod{"invert", "bitwise_invert", &unary<&core::bitwise_invert>},
};

nb::object checked(PyObject* result) {
  if (!result) {
    throw nb::python_error();
  }
  return nb::steal(result);
}

void def_binary(ArrayClass& c, const std::string& name, const char* op, binaryfunc function, const char* other_type) {
  std::string signature = "def __" + name + "__(self, other: " + other_type + ", /) -> array";
  std::string doc = "See :func:`mlx.core." + std::string(op) + "`.";
  c.def(("__" + name + "__").c_str(),
      [function](Self self, nb::handle other) { return checked(function(self.ptr(), other.ptr())); },
      nb::arg("other").none(), nb::sig(signature.c_str()), doc.c_str());
}

} // namespace

void bind_array_operators(ArrayClass& c) {
  static const char* const operand = "bool | int | float | complex | array | numpy.typing.NDArray[typing.Any]";
  for (const BinaryMethod& m : arithmetic) {
    const char* other = m.forward == &matmul ? "array | numpy.typing.NDArray[typing.Any]" : operand;
    def_binary(c, m.name, m.op, m.forward, other);
    def_binary(c, std::string("r") + m.name, m.op, m.reflected, other);
    if (m.in_place) {
      def_binary(c, std::string("i") + m.name, m.op, m.in_place, other);
    }
  }
  for (const BinaryMethod& m : comparisons) {
    bool any_object = std::string_view(m.name) == "eq" || std::string_view(m.name) == "ne";
    // The checkers want __eq__ to take any object; ignore that it answers with an array.
    std::string name = m.name;
    def_binary(c, name, m.op, m.forward, any_object ? "object" : operand);
  }
  for (const UnaryMethod& m : unaries) {
    std::string doc = "See :func:`mlx.core." + std::string(m.op) + "`.";
    c.def(("__" + std::string(m.name) + "__").c_str(),
        [function = m.function](Self self) { return checked(function(self.ptr())); },
        nb::sig(("def __" + std::string(m.name) + "__(self) -> array").c_str()), doc.c_str());
  }
  c.def(
      "__divmod__",
      [](const array& self, ScalarOrArray other) {
        std::vector<array> both = core::divmod(self, to_array(other, self.dtype()));
        return std::make_pair(both[0], both[1]);
      },
      nb::arg("other"), "See :func:`mlx.core.divmod`.");
  c.def(
      "__rdivmod__",
      [](const array& self, ScalarOrArray other) {
        std::vector<array> both = core::divmod(to_array(other, self.dtype()), self);
        return std::make_pair(both[0], both[1]);
      },
      nb::arg("other"), "See :func:`mlx.core.divmod`.");
  c.def(
      "__bool__",
      [](Self self) {
        int value = truth(self.ptr());
        if (value < 0) {
          throw nb::python_error();
        }
        return value == 1;
      },
      "The truth of the only element. ValueError when there is not exactly one.");
  c.def(
      "__len__",
      [](Self self) {
        Py_ssize_t n = length(self.ptr());
        if (n < 0) {
          throw nb::python_error();
        }
        return n;
      },
      "The length of the first axis. TypeError for a scalar.");
  c.def(
      "__contains__",
      [](const array& self, ScalarOrArray value) {
        return nb::cast<bool>(nb::bool_(item(core::any(core::equal(self, to_array(value, self.dtype()))), "in")));
      },
      nb::arg("value"), "Whether any element equals ``value``.");
}

void install_operator_slots(PyTypeObject* type) {
  auto* heap = reinterpret_cast<PyHeapTypeObject*>(type);
  PyNumberMethods& n = heap->as_number;
  n.nb_add = arithmetic[0].forward;
  n.nb_subtract = arithmetic[1].forward;
  n.nb_multiply = arithmetic[2].forward;
  n.nb_true_divide = arithmetic[3].forward;
  n.nb_floor_divide = arithmetic[4].forward;
  n.nb_remainder = arithmetic[5].forward;
  n.nb_power = &power;
  n.nb_matrix_multiply = arithmetic[7].forward;
  n.nb_and = arithmetic[8].forward;
  n.nb_or = arithmetic[9].forward;
  n.nb_xor = arithmetic[10].forward;
  n.nb_lshift = arithmetic[11].forward;
  n.nb_rshift = arithmetic[12].forward;
  n.nb_inplace_add = arithmetic[0].in_place;
  n.nb_inplace_subtract = arithmetic[1].in_place;
  n.nb_inplace_multiply = arithmetic[2].in_place;
  n.nb_inplace_true_divide = arithmetic[3].in_place;
  n.nb_inplace_floor_divide = arithmetic[4].in_place;
  n.nb_inplace_remainder = arithmetic[5].in_place;
  n.nb_inplace_power = &in_place_power;
  n.nb_inplace_matrix_multiply = arithmetic[7].in_place;
  n.nb_inplace_and = arithmetic[8].in_place;
  n.nb_inplace_or = arithmetic[9].in_place;
  n.nb_inplace_xor = arithmetic[10].in_place;
  n.nb_inplace_lshift = arithmetic[11].in_place;
  n.nb_inplace_rshift = arithmetic[12].in_place;
  n.nb_negative = unaries[0].function;
  n.nb_positive = unaries[1].function;
  n.nb_absolute = unaries[2].function;
  n.nb_invert = unaries[3].function;
  n.nb_bool = &truth;
  type->tp_richcompare = &compare;
  heap->as_mapping.mp_length = &length;
  heap->as_mapping.mp_subscript = &get_item_slot;
  heap->as_mapping.mp_ass_subscript = &set_item_slot;
  PyType_Modified(type);
}

} // namespace mlx::python
