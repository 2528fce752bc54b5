// Cotangents where it is known what they are: with less to compute.
#pragma once

#include <optional>

#include "mlx_core/backend/body.h"
#include "mlx_core/primitive.h"
#include "mlx_core/small_vector.h"

namespace mlx::core {

// What an array is to be computed of.
struct Pending {
  PrimitiveRef primitive;
  SmallVector<array, 3> operands;
  bool is(Body body) const;
};

// None where it is there, or is being computed.
std::optional<Pending> pending(const array& a);

// Of a few elements the looking takes longer than what it spares. Open sizes are not few.
bool are_few(const Shape& shape);

// Arithmetic on repeated numbers, as of the cotangent of a sum with factors: the repetition of one result.
array as_repeated_number(array cotangent);

// The sum of two cotangents. Of those that two branches of a selection pulled back one is 0 where the other is not, and
// so one selection between them does for two between either and 0, and a sum, as in the slope of
// where(x > 0, x, 0.1 * x).
array sum_of(const array& a, const array& b);

} // namespace mlx::core
