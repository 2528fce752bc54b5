// What the random distributions are made of: keys, the words drawn from them, and uniform numbers.
#pragma once

#include <span>

#include "mlx_core/primitive.h"
#include "mlx_core/random.h"

namespace mlx::core::random {

// An array of `shape` whose elements are `width` random bytes each (1, 2, 4 or 8: uint8 to uint64), from `key` or,
// without one, from the next key of the implicit sequence. Errors name `op`.
array words(const char* op, const Shape& shape, int width, const std::optional<array>& key, const StreamOrDevice& s);

// In [0, 1): 32 bits of precision, 53 in float64.
array unit(const char* op, const Shape& shape, Dtype dtype, const std::optional<array>& key, const StreamOrDevice& s);

// weights (..., n), u (..., m) in [0, 1), both float32 and of the same leading axes: uint32 (..., m), the first index
// up to which the weights sum to more than u times their total.
array pick_by_weight(const array& weights, const array& u);

// uint64 from low up to the largest: randint up to 2^64, which is no number of a dtype.
array randint_to_end(const array& low, const Shape& shape, const std::optional<array>& key, StreamOrDevice s);

// Fails unless parameters of this shape broadcast to `shape`.
void check_broadcast(const char* op, const char* names, const Shape& parameters, const Shape& shape);

// key, seed, split and bits; categorical.
std::span<const OpInfo* const> key_ops();
// gumbel, laplace and truncated_normal.
std::span<const OpInfo* const> inverse_ops();
std::span<const OpInfo* const> multivariate_ops();
const OpInfo& categorical_op();
const OpInfo& randint_op();

} // namespace mlx::core::random
