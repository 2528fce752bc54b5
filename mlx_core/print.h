// Arrays as text, the same in C++ as in Python: std::cout << x.
#pragma once

#include <iosfwd>
#include <string>

#include "mlx_core/array.h"
#include "mlx_core/device.h"
#include "mlx_core/error.h"

namespace mlx::core {

struct PrintOptions {
  int precision = -1; // digits after the point; negative is six significant digits, as C++ streams print
};

// Of this thread. set_printoptions throws for more than 100 digits.
void set_printoptions(PrintOptions options);
PrintOptions get_printoptions();

// "array([[1, 2],\n       [3, 4]], dtype=int32)". Computes the value. Inside vmap: all lanes, and their number.
std::string to_string(const array& a);

std::ostream& operator<<(std::ostream& os, const array& a);
std::ostream& operator<<(std::ostream& os, Device device);
std::ostream& operator<<(std::ostream& os, Stream stream);

} // namespace mlx::core
