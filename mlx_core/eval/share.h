// A node that has another one's value.
#pragma once

#include <algorithm>
#include <iterator>

#include "mlx_core/array.h"

namespace mlx::core {

inline void share_value(Node& node, const Node& from) {
  node.buffer = from.buffer;
  node.offset = from.offset;
  node.strides = from.strides;
  node.row_contiguous = from.row_contiguous;
  std::copy(std::begin(from.inline_value), std::end(from.inline_value), node.inline_value);
}

} // namespace mlx::core
