// The parts of the families that take several files; shape.cpp, reduce.cpp, gather_scatter.cpp and sort.cpp list them
// all.
#pragma once

#include <span>

#include "mlx_core/primitive.h"
#include "mlx_core/remake.h"

namespace mlx::core {

std::span<const OpInfo* const> transpose_ops();
std::span<const OpInfo* const> broadcast_ops();
std::span<const OpInfo* const> join_ops();
std::span<const OpInfo* const> statistics_ops();
std::span<const OpInfo* const> arg_reduce_ops();
std::span<const OpInfo* const> scatter_ops();
std::span<const OpInfo* const> along_axis_ops();
std::span<const OpInfo* const> strided_ops();
std::span<const OpInfo* const> view_ops();
std::span<const OpInfo* const> partition_ops();
std::vector<array> partition_remade(const Parts& parts);
std::span<const OpInfo* const> search_ops();

// All of several lists, in order.
inline std::vector<const OpInfo*> joined(std::initializer_list<std::span<const OpInfo* const>> lists) {
  std::vector<const OpInfo*> out;
  for (std::span<const OpInfo* const> list : lists) {
    out.insert(out.end(), list.begin(), list.end());
  }
  return out;
}

} // namespace mlx::core
