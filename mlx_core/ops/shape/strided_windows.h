// Sums over places given by strides that share elements, as those of sliding windows do.
#pragma once

#include <optional>

#include "mlx_core/array.h"

namespace mlx::core {

// The array of `size` elements where element offset + i * strides[0] + j * strides[1] + ... is the sum of values[i, j,
// ...] over all places that lead to it. None where places are no few windows, each of which is part of a box: then
// they are scattered.
std::optional<array> sum_of_windows(const array& values, Strides strides, int64_t offset, int64_t size);

} // namespace mlx::core
