// What kernels report of indices that are out of bounds (Encoder::index_errors).
#pragma once

#include <cstdint>
#include <string>

namespace mlx::core::gpu {

// The record in words, worded as the CPU's error; empty when there is none.
std::string index_error(const uint32_t* words);

} // namespace mlx::core::gpu
