// Rows that are added to rows of an array, or multiply them, or leave the larger or smaller of both.
#pragma once

#include <cstdint>

#include "mlx_core/cpu/gather.h"

namespace mlx::core::cpu {

// dst[to[i] + j] becomes what the mode makes of it and src[from[i] + j], for j < length and one i after the other. Both
// arrays have one dtype and nothing in common.
using CombineRows = void (*)(
    void* dst, const int64_t* to, const void* src, const int64_t* from, int64_t n, int64_t length);

// Null for ScatterMode::set and for other dtypes than float32, float64, int32 and int64.
CombineRows find_combine_rows(ScatterMode mode, Dtype dtype);

} // namespace mlx::core::cpu
