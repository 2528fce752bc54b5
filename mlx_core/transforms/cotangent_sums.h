// Cotangents where it is known what they are: with less to compute.
#pragma once

#include "mlx_core/backend/body.h"
#include "mlx_core/primitive.h"

namespace mlx::core {

// The node that is to compute this body, and has its operands still; null where there is none.
const Node* made_by(const array& a, Body body);

// Arithmetic on repeated numbers, as of the cotangent of a sum with factors: the repetition of one result.
array as_repeated_number(array cotangent);

// The sum of two cotangents. Of those that two branches of a selection pulled back one is 0 where the other is not, and
// so one selection between them does for two between either and 0, and a sum, as in the slope of
// where(x > 0, x, 0.1 * x).
array sum_of(const array& a, const array& b);

} // namespace mlx::core
