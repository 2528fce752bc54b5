// Numbers that arrays are compared with: any int has its place beside those of an integer dtype.
#include "python/src/compared_number.h"

#include <limits>

#include "mlx_core/ops.h"

namespace mlx::python {

bool is_comparison(BinaryFunction function) {
  for (BinaryFunction comparison :
      {&core::equal, &core::not_equal, &core::less, &core::less_equal, &core::greater, &core::greater_equal}) {
    if (function == comparison) {
      return true;
    }
  }
  return false;
}

std::optional<array> try_to_compared(PyObject* o, Dtype like) {
  if (!like.is_integer() || !PyLong_Check(o) || PyBool_Check(o)) {
    return try_to_array(o, like);
  }
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(o, &overflow);
  if (overflow == 0 && value == -1 && PyErr_Occurred()) {
    throw nb::python_error();
  }
  int bits = 8 * like.size() - (like.is_signed() ? 1 : 0);
  if (overflow == 0) {
    bool held = value < 0 ? like.is_signed() && value >> bits == -1 : bits == 64 || value >> bits == 0;
    return held || bits == 63 ? try_to_array(o, like) : array(static_cast<int64_t>(value));
  }
  unsigned long long large = overflow > 0 ? PyLong_AsUnsignedLongLong(o) : 0;
  if (overflow < 0 || PyErr_Occurred()) {
    PyErr_Clear();
    float infinity = std::numeric_limits<float>::infinity();
    return array(overflow > 0 ? infinity : -infinity);
  }
  return array(static_cast<uint64_t>(large));
}

} // namespace mlx::python
