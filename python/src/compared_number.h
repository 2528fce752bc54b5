// Numbers that arrays are compared with.
#pragma once

#include "python/src/convert.h"

namespace mlx::python {

using BinaryFunction = array (*)(const array&, const array&, StreamOrDevice);

// Whether a function of two arrays is one of ==, !=, <, <=, > and >=.
bool is_comparison(BinaryFunction function);
// As try_to_array(o, like); but an int that `like` does not hold is compared all the same: its array is of a dtype that
// holds it, or an infinity where none does.
std::optional<array> try_to_compared(PyObject* o, Dtype like);

} // namespace mlx::python
