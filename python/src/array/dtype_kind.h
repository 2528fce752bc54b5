// The Array API's kinds of dtypes.
#pragma once

#include "python/src/array/convert.h"

namespace mlx::python {

// Whether the dtype is of a kind: a dtype, "integral", "real floating", ..., or a tuple of these. `op` is for errors.
bool is_of_kind(const char* op, Dtype dtype, nb::handle kind);

} // namespace mlx::python
