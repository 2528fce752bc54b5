// Rows that are added to rows of an array, or multiply them, or leave the larger or smaller of both.
#pragma once

#include <cstdint>

#include "mlx_core/cpu/gather.h"

namespace mlx::core::cpu {

// dst[to[i] + j] becomes what the mode makes of it and src[from[i] + j], for j < length and one i after the other. The
// arrays have nothing in common.
using CombineRows = void (*)(
    void* dst, const int64_t* to, const void* src, const int64_t* from, int64_t n, int64_t length);

// Null for ScatterMode::set. Both arrays are of float32, float64, int32 or int64, or dst of float32 and src of 16-bit
// floats, or dst of float64 and src of float32; null for others.
CombineRows find_combine_rows(ScatterMode mode, Dtype dst, Dtype src);

// dst[j] becomes what the mode makes of it and src[from[i] + j], for j < length and one i after the other: in float32,
// rounded once.
using FoldRows = void (*)(void* dst, const void* src, const int64_t* from, int64_t n, int64_t length);

// Null for ScatterMode::set and for other dtypes than float16 and bfloat16.
FoldRows find_fold_rows(ScatterMode mode, Dtype dtype);

} // namespace mlx::core::cpu
