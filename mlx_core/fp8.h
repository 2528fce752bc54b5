// Eight-bit floats (e4m3: a sign, four bits of exponent, three of fraction, no infinity) kept in uint8 arrays.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

// The nearest one, ties to the even fraction; at most 448. NaN stays NaN.
array to_fp8(const array& x, StreamOrDevice s = {});
array from_fp8(const array& x, Dtype dtype = bfloat16, StreamOrDevice s = {});

} // namespace mlx::core
