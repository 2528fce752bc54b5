// Quotients rounded up: how many pieces of some length cover another one.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace mlx::core::cpu
