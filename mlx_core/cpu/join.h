// Arrays joined along an axis.
#pragma once

#include <cstdint>
#include <span>

namespace mlx::core::cpu {

struct Joined {
  const void* data;
  int64_t count; // elements along the axis
  std::span<const int64_t> strides;
};

// out, row-major of these sizes, from the operands one after another along the axis. Parallel when large.
void join(std::span<const Joined> operands, size_t axis, std::span<const int64_t> sizes, void* out, int item_size);

} // namespace mlx::core::cpu
