// Writing a few elements of an array at once, where an update would be evaluated alone and in place: x[5] = v.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// Whether x's memory may be changed now, so that nobody can tell it from another array with the new values: x is
// evaluated by the host, only this one reference leads to it, and no transform, recording or observer is open.
bool may_write_now(const array& x);

// A part of such an array's memory gets these elements, row-major, or one element again and again. Strides and offset
// in elements. It is serial, and cannot be interrupted: for few elements.
void write_now(
    const array& x, int64_t offset, const Sizes& sizes, const Strides& strides, const void* elements, bool one);

} // namespace mlx::core
