// Keys and the words drawn from them: what the distributions in random.cpp are made of.
#pragma once

#include <span>

#include "mlx_core/primitive.h"
#include "mlx_core/random.h"

namespace mlx::core::random {

// An array of `shape` whose elements are `width` random bytes each (1, 2, 4 or 8: uint8 to uint64), from `key` or, without
// one, from the next key of the implicit sequence. Errors name `op`.
array words(const char* op, const Shape& shape, int width, const std::optional<array>& key, const StreamOrDevice& s);

// key, seed, split and bits.
std::span<const OpInfo* const> key_ops();

} // namespace mlx::core::random
