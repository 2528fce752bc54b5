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
// axis and those between, colours and planes, blocks beside blocks. A part may be read more than once. Else none.
std::optional<array> put_together(const Shape& whole, const PartCotangents& parts);

// The same where parts overlap, as one sum of them in their order; none where the parts are few, small or have short
// lines. A first part that is negated costs a pass: the caller exchanges it with a second one that is not.
std::optional<array> added_up(const Shape& whole, const PartCotangents& parts);

// Whether it is a forward part, no step left out, of at least half of the array: several such overlap, as in stencils.
bool is_large_part(const Node& reader, const Shape& whole);

// With the cotangents of one and the same large part, read more than once, as one.
PartCotangents merged(PartCotangents parts, const Shape& whole);

// The cotangent of a part, without what may as well be done to the whole array with zeros around the part: then parts
// whose cotangents are alike but for it, as those of differences and stencils are, come of one array in memory.
struct BarePart {
  explicit BarePart(const array& cotangent);
  array cotangent;
  std::vector<array> factors; // numbers, the last one first
  bool is_negative = false;   // to be subtracted

  array with_factors(array whole) const;
};

} // namespace mlx::core
