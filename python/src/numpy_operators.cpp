// What NumPy's functions do with our arrays: they compute on NumPy arrays, except for operators that must stay in a
// graph.
#include "python/src/numpy_operators.h"

#include <string_view>

#include "python/src/convert.h"
#include "python/src/numpy_scalar.h"

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

// An operator's result stays an array when the other operand is a scalar, or when a transform follows ours: the NumPy
// array would be a constant to it.
bool stays(const nb::args& inputs) {
  bool scalars = true;
  for (nb::handle o : inputs) {
    if (is_array(o)) {
      if (read(o).node()->level != 0) {
        return true;
      }
    } else {
      scalars = scalars && is_scalar(o);
    }
  }
  return scalars;
}

} // namespace

nb::object numpy_ufunc(
    nb::handle, nb::handle ufunc, nb::handle method, const nb::args& inputs, const nb::kwargs& kwargs) {
  const char* op = inputs.size() == 2 && kwargs.size() == 0 && nb::str(method).equal(nb::str("__call__"))
                       ? operator_of(ufunc)
                       : nullptr;
  if (op && stays(inputs)) {
    auto [left, right] = to_arrays(ScalarOrArray{inputs[0].ptr()}, ScalarOrArray{inputs[1].ptr()});
    return nb::module_::import_("operator").attr(op)(nb::steal(wrap(left)), nb::steal(wrap(right)));
  }
  nb::object asarray = nb::module_::import_("numpy").attr("asarray");
  nb::list converted;
  for (nb::handle o : inputs) {
    converted.append(is_array(o) ? asarray(o) : nb::borrow(o));
  }
  return ufunc.attr(method)(*converted, **kwargs);
}

} // namespace mlx::python
