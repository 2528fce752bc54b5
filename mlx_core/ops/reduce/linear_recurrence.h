// What the rules of scans are made of: the linear recurrence, and each element's predecessor.
#pragma once

#include "mlx_core/ops.h"

namespace mlx::core {

// y_j = a_j y_{j-1} + b_j along an axis, from the end when reverse, with nothing before the first. a and b have one
// shape and one floating or complex dtype.
array linear_recurrence(const array& a, const array& b, int axis, bool reverse);

// The element before each along an axis (behind it when reverse); `first` where there is none. With reverse negated it
// is the transpose, and the element after.
array previous(const array& a, int axis, bool reverse, const array& first);
// As above, with 0.
array previous(const array& a, int axis, bool reverse);

} // namespace mlx::core
