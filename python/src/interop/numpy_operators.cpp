// What NumPy's functions do with our arrays: they compute on NumPy arrays, as if the protocols were not there, except
// for calls that an open transform follows (which mlx/_numpy_calls.py runs as ours) and operators with NumPy's scalars.
#include "python/src/interop/numpy_operators.h"

#include <string_view>

#include "mlx_core/transforms/followed.h"
#include "python/src/array/convert.h"
#include "python/src/interop/numpy_scalar.h"

namespace mlx::python {

namespace {

// NumPy's functions behind the binary operators, and the attribute of Python's module `operator`.
struct Operator {
  std::string_view ufunc;
  const char* name;
};
constexpr Operator operators[] = {
    {"add", "add"},
    {"subtract", "sub"},
    {"multiply", "mul"},
    {"divide", "truediv"},
    {"true_divide", "truediv"},
    {"floor_divide", "floordiv"},
    {"remainder", "mod"},
    {"power", "pow"},
    {"matmul", "matmul"},
    {"bitwise_and", "and_"},
    {"bitwise_or", "or_"},
    {"bitwise_xor", "xor"},
    {"left_shift", "lshift"},
    {"right_shift", "rshift"},
    {"equal", "eq"},
    {"not_equal", "ne"},
    {"less", "lt"},
    {"less_equal", "le"},
    {"greater", "gt"},
    {"greater_equal", "ge"},
};

const char* operator_of(nb::handle ufunc) {
  nb::object name = ufunc.attr("__name__");
  for (const Operator& op : operators) {
    if (op.ufunc == nb::str(name).c_str()) {
      return op.name;
    }
  }
  return nullptr;
}

bool is_scalar(nb::handle o) {
  return numpy_scalar(o.ptr()) || (nb::hasattr(o, "ndim") && nb::cast<int>(o.attr("ndim")) == 0);
}

// An operator's result stays an array when the other operand is a scalar: np.sqrt(2) * x.
bool stays(const nb::args& inputs) {
  bool scalars = true;
  for (nb::handle o : inputs) {
    scalars = scalars && (is_array(o) || is_scalar(o));
  }
  return scalars;
}

// Calls `found` with the arrays in an argument, lists and tuples of them included; true as soon as it returns true.
template <typename Found>
bool any_array(nb::handle o, const Found& found, int depth = 4) {
  if (is_array(o)) {
    return found(o);
  }
  if (depth > 0 && (PyTuple_Check(o.ptr()) || PyList_Check(o.ptr()))) {
    for (nb::handle item : nb::tuple(nb::borrow(o))) {
      if (any_array(item, found, depth - 1)) {
        return true;
      }
    }
  }
  return false;
}

bool is_followed(nb::handle a) {
  array value = read(a);
  return value.node()->level != 0 && core::follower_of(value) != core::Follower::none;
}

bool any_followed(nb::handle args, const nb::dict& kwargs) {
  if (any_array(args, is_followed)) {
    return true;
  }
  for (auto [name, value] : kwargs) {
    if (any_array(value, is_followed)) {
      return true;
    }
  }
  return false;
}

nb::object as_numpy(nb::handle o) {
  return is_array(o) ? nb::module_::import_("numpy").attr("asarray")(o) : nb::borrow(o);
}

nb::module_ our_calls() { return nb::module_::import_("mlx._numpy_calls"); }

[[noreturn]] void type_error(const char* text) {
  PyErr_SetString(PyExc_TypeError, text);
  throw nb::python_error();
}

} // namespace

nb::object numpy_ufunc(
    nb::handle, nb::handle ufunc, nb::handle method, const nb::args& inputs, const nb::kwargs& kwargs) {
  bool call = nb::str(method).equal(nb::str("__call__"));
  if (call && any_followed(inputs, kwargs)) {
    nb::object result = our_calls().attr("call_ufunc")(ufunc, inputs, kwargs);
    if (!result.is(nb::handle(Py_NotImplemented))) {
      return result;
    }
  }
  const char* op = call && inputs.size() == 2 && kwargs.size() == 0 ? operator_of(ufunc) : nullptr;
  if (op && stays(inputs)) {
    auto [left, right] = to_arrays(ScalarOrArray{inputs[0].ptr()}, ScalarOrArray{inputs[1].ptr()});
    return nb::module_::import_("operator").attr(op)(nb::steal(wrap(left)), nb::steal(wrap(right)));
  }
  // From here on as without the protocol; only what NumPy takes for its own must not come back here.
  if (nb::str(method).equal(nb::str("at")) && is_array(inputs[0])) {
    type_error("first operand must be array");
  }
  nb::list converted;
  for (nb::handle o : inputs) {
    converted.append(as_numpy(o));
  }
  nb::dict options;
  for (auto [name, value] : kwargs) {
    if (nb::str(name).equal(nb::str("out")) && any_array(value, [](nb::handle) { return true; })) {
      type_error("return arrays must be of ArrayType");
    }
    options[name] = as_numpy(value);
  }
  return ufunc.attr(method)(*converted, **options);
}

nb::object numpy_function(nb::handle, nb::handle func, nb::handle, nb::tuple args, nb::dict kwargs) {
  if (any_followed(args, kwargs)) {
    nb::object result = our_calls().attr("call_function")(func, args, kwargs);
    if (!result.is(nb::handle(Py_NotImplemented))) {
      return result;
    }
  }
  auto found = [](nb::handle) { return true; };
  bool given = any_array(args, found, 16);
  for (auto [name, value] : kwargs) {
    given = given || any_array(value, found, 16);
  }
  if (!given) { // np.zeros(3, like=x)
    type_error("The `like` argument must be an array-like that implements the `__array_function__` protocol.");
  }
  for (const char* implementation : {"_implementation", "__wrapped__"}) { // NumPy 1.25 and later, and before
    if (nb::hasattr(func, implementation)) {
      return func.attr(implementation)(*args, **kwargs);
    }
  }
  return nb::borrow(Py_NotImplemented);
}

} // namespace mlx::python
