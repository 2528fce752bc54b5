// Whether elementwise work is shared out among threads.
#pragma once

#include <cstdint>

#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

// Of so many elements, each of which costs so many loads, stores and cheap operations.
inline bool is_worth_sharing(int64_t elements, int64_t cost) {
  // Below these a second thread costs more than it saves; and if it has to be woken first.
  constexpr int64_t least = 192 * 1024, worth_waking = 768 * 1024;
  return elements >= least / cost && thread_count() > 1 && (elements >= worth_waking / cost || help_is_near());
}

} // namespace mlx::core::cpu
