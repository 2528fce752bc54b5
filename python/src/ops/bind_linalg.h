// Binding mlx.core.linalg, and its error.
#pragma once

#include <nanobind/nanobind.h>

namespace mlx::python {

void bind_linalg(nanobind::module_& m);
// mlx.core.linalg.LinAlgError, which core::LinalgError becomes (exceptions.cpp).
void bind_linalg_error(nanobind::module_& m);

} // namespace mlx::python
