// The text of an array, as MLX prints it.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "mlx_core/array.h"

namespace mlx::python {

// core::to_string with the interpreter released; by value, as the handle may be rebound meanwhile.
std::string to_text(core::array a);

void bind_print_options(nanobind::module_& m);

} // namespace mlx::python
