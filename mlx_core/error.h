// How errors are made: `[op] what was wrong, with the values by argument name, and the way out`.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "mlx_core/dtype.h"
#include "mlx_core/shape.h"

namespace mlx::core {

// A bad axis or index: both ValueError and IndexError in Python.
class AxisError : public std::out_of_range {
 public:
  using std::out_of_range::out_of_range;
};
// A wrong type: TypeError in Python. std::invalid_argument is ValueError.
class TypeError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

inline std::ostream& operator<<(std::ostream& os, const Shape& shape) { return os << to_string(shape); }
inline std::ostream& operator<<(std::ostream& os, const Axes& axes) { return os << to_string(axes); }
inline std::ostream& operator<<(std::ostream& os, Dtype dtype) { return os << name_of(dtype); }
inline std::ostream& operator<<(std::ostream& os, Dim dim) { return os << dim.to_string(); }

template <typename Error = std::invalid_argument, typename... Parts>
[[noreturn]] void fail(std::string_view op, const Parts&... parts) {
  std::ostringstream text;
  text << "[" << op << "] ";
  (text << ... << parts);
  throw Error(text.str());
}

} // namespace mlx::core
