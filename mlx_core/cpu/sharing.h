// Whether elementwise work is shared out among threads, and in how many pieces.
#pragma once

#include <algorithm>
#include <cstdint>

#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

// Of so many elements, each of which takes so many loads, and other cheap operations.
inline bool is_worth_sharing(int64_t elements, int64_t loads, int64_t operations) {
  // What one core has in its cache takes another longer to get than few operations take; and copies of as much are one
  // thread's (copy.cpp, join.cpp).
  constexpr int64_t few_for_a_load = 3, in_one_cache = 64 * 1024;
  if (elements < in_one_cache && operations < few_for_a_load * loads) {
    return false;
  }
  const int64_t cost = loads + operations;
  // Below these a second thread costs more than it saves; and if it has to be woken first.
  constexpr int64_t least = 192 * 1024, worth_waking = 768 * 1024;
  return elements >= least / cost && thread_count() > 1 && (elements >= worth_waking / cost || help_is_near());
}

// More pieces than threads, as these are not all as quick; but each begins with what is done once for all of its
// elements.
inline int64_t pieces_to_share(int64_t units, int64_t elements, int64_t cost) {
  constexpr int64_t least = 128 * 1024;
  const int64_t threads = thread_count();
  return std::min(units, std::clamp(elements * cost / least, 2 * threads, 8 * threads));
}

} // namespace mlx::core::cpu
