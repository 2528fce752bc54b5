// Cotangents of the parts of an array, put together.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "mlx_core/array.h"

namespace mlx::core {

// Nodes that read a part of one array (read_part), and the cotangents of what they read.
using PartCotangents = std::vector<std::pair<Node*, array>>;

// The array's cotangent, of its shape, where no element is in two parts and each is in one: every other element of an
// axis and those between, colours and planes, blocks beside blocks. Else none.
std::optional<array> put_together(const Shape& whole, const PartCotangents& parts);

} // namespace mlx::core
