// The arguments that NumPy's functions hand to methods of their names: np.sum(x) calls x.sum(axis=None, out=None).
#pragma once

#include "python/src/array/convert.h"

namespace mlx::python {

// How signatures write `out`.
inline constexpr const char* numpy_out_parameter = "out: numpy.typing.NDArray[typing.Any] | None = None";

// A Dtype, or anything that NumPy takes for one. TypeError, named by op, when there is no such dtype here.
Dtype numpy_dtype(const char* op, nb::handle dtype);

// The result as an array; with a NumPy array for `out`, written into that, which is returned.
nb::object into(const char* op, nb::handle out, array result);

} // namespace mlx::python
