// Evenly spaced numbers, a run at a time.
#include "mlx_core/cpu/range.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t run_length = 1024, per_task = 64 * run_length;

template <typename Number>
void write_run(Number start, Number step, int64_t first, int64_t count, Dtype dtype, void* out) {
  Number values[run_length];
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_integral_v<Number>) {
      values[i] = static_cast<Number>(
          static_cast<uint64_t>(start) + static_cast<uint64_t>(first + i) * static_cast<uint64_t>(step));
    } else {
      values[i] = start + static_cast<Number>(first + i) * step;
    }
  }
  constexpr Dtype from = std::is_integral_v<Number> ? int64 : float64;
  const void* inputs[] = {values};
  if (from == dtype || (from == int64 && dtype == uint64)) {
    std::memcpy(out, values, static_cast<size_t>(count) * sizeof(Number));
  } else {
    find_cast(from, dtype)(inputs, out, count);
  }
}

} // namespace

template <typename Number>
void range(Number start, Number step, Dtype dtype, int64_t n, void* out) {
  parallel_for((n + per_task - 1) / per_task, [&](int64_t task) {
    for (int64_t i = task * per_task, end = std::min(n, i + per_task); i < end; i += run_length) {
      write_run(start, step, i, std::min(run_length, end - i), dtype, static_cast<char*>(out) + i * dtype.size());
    }
  });
}

template void range<int64_t>(int64_t, int64_t, Dtype, int64_t, void*);
template void range<double>(double, double, Dtype, int64_t, void*);

} // namespace mlx::core::cpu
