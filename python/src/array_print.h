// The text of an array, as MLX prints it.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "mlx_core/array.h"

namespace mlx::python {

// "array([[1, 2],\n       [3, 4]], dtype=int32)". Computes the value. Inside vmap: all lanes, and their number.
std::string to_text(const core::array& a);

void bind_print_options(nanobind::module_& m);

} // namespace mlx::python
