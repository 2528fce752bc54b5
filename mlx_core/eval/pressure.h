// Back-pressure: graphs that nobody evaluates are computed in the background before they become too large.
//
// Two things are bounded: the nodes pending behind one result (Node::pending, an estimate kept when nodes are made),
// and the bytes that pending nodes keep alive once memory is scarce. Past a bound the newest result that no open
// transform needs is computed, with what it is made of and nothing else. What it would produce counts for nothing: lazy
// parameters that are replaced before use are never computed.
#pragma once

#include "mlx_core/array.h"

namespace mlx::core {

namespace detail {
constexpr uint32_t most_pending = 1 << 14;
void relieve(const array& newest) noexcept;
} // namespace detail

// To be called with each node that is complete.
inline void relieve_pressure(const array& newest) {
  if (newest.node()->pending > detail::most_pending ||
      detail::bytes_in_use.load(std::memory_order_relaxed) > detail::bytes_to_look_at.load(std::memory_order_relaxed))
      [[unlikely]] {
    detail::relieve(newest);
  }
}

// In a forked child, where there is no background.
void renew_pressure();

} // namespace mlx::core
