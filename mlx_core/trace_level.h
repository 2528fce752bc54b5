// Which transform frames are open: what evaluation needs to know of transforms.
#pragma once

#include <atomic>
#include <cstdint>

#include "mlx_core/array.h"

namespace mlx::core {

// Frames get increasing ids. A node's level is the id of the innermost frame it depends on (0: none).
namespace detail {
extern std::atomic<uint64_t> oldest_open_frame; // of all threads; max when none is open
}

// A traced node keeps its operands when it is evaluated: an open transform may still walk through it. Nodes of frames
// that closed inside an open one count too.
inline bool is_traced(const Node& node) {
  return node.level >= detail::oldest_open_frame.load(std::memory_order_acquire);
}

} // namespace mlx::core
