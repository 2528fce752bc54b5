// Evenly spaced numbers, a run at a time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/range.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>

#include "mlx_core/cpu/range.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
void count(T first, T step, int64_t n, T* out) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN T start[hn::MaxLanes(hn::ScalableTag<T>())];
  for (int64_t i = 0; i < lanes; ++i) {
    start[i] = first + static_cast<T>(i) * step;
  }
  const auto by = hn::Set(d, static_cast<T>(lanes) * step);
  auto v = hn::Load(d, start);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes, v = hn::Add(v, by)) {
    hn::StoreU(v, d, out + i);
  }
  hn::Store(v, d, start);
  std::copy_n(start, n - i, out + i);
}

void count_32(uint32_t first, uint32_t step, int64_t n, uint32_t* out) { count(first, step, n, out); }
void count_64(uint64_t first, uint64_t step, int64_t n, uint64_t* out) { count(first, step, n, out); }

// Of the elements from `first` on; whole vectors: out has room for the last one.
void space(const Spacing& by, int64_t first, int64_t n, double* out) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto start = hn::Set(d, by.start), step = hn::Set(d, by.step), divisor = hn::Set(d, by.divisor);
  auto at = hn::Iota(d, static_cast<double>(first));
  const auto on = hn::Set(d, static_cast<double>(lanes));
  const bool divides = by.divisor != 1;
  for (int64_t i = 0; i < n; i += lanes, at = hn::Add(at, on)) {
    const auto distance = hn::Mul(at, step);
    hn::StoreU(hn::Add(start, divides ? hn::Div(distance, divisor) : distance), d, out + i);
  }
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <cstring>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {

HWY_EXPORT(count_32);
HWY_EXPORT(count_64);
HWY_EXPORT(space);

namespace {

constexpr int64_t run_length = 1024, per_task = 16 * run_length;

// f(first, count, out) for each run.
template <class F>
void by_runs(int64_t n, int item_size, void* out, F f) {
  parallel_for((n + per_task - 1) / per_task, [&](int64_t task) {
    for (int64_t i = task * per_task, end = std::min(n, i + per_task); i < end; i += run_length) {
      f(i, std::min(run_length, end - i), static_cast<char*>(out) + i * item_size);
    }
  });
}

// What is computed in 8 bytes, to its dtype.
void convert(Dtype from, const void* values, Dtype dtype, int64_t n, void* out) {
  if (from == dtype || (from == int64 && dtype == uint64)) {
    std::memcpy(out, values, static_cast<size_t>(n) * sizeof(double));
  } else {
    find_cast(from, dtype)(&values, out, n);
  }
}

} // namespace

void whole_range(int64_t start, int64_t step, Dtype dtype, int64_t n, void* out) {
  by_runs(n, dtype.size(), out, [=](int64_t first, int64_t count, char* to) {
    const uint64_t from = static_cast<uint64_t>(start) + static_cast<uint64_t>(first) * static_cast<uint64_t>(step);
    if (dtype == int32 || dtype == uint32) { // the lower halves
      const auto by = static_cast<uint32_t>(static_cast<uint64_t>(step));
      HWY_DYNAMIC_DISPATCH(count_32)(static_cast<uint32_t>(from), by, count, reinterpret_cast<uint32_t*>(to));
      return;
    }
    uint64_t values[run_length];
    HWY_DYNAMIC_DISPATCH(count_64)(from, static_cast<uint64_t>(step), count, values);
    convert(int64, values, dtype, count, to);
  });
}

void real_range(const Spacing& spacing, std::optional<double> last, Dtype dtype, int64_t n, void* out) {
  by_runs(n, dtype.size(), out, [&](int64_t first, int64_t count, char* to) {
    alignas(64) double values[run_length];
    HWY_DYNAMIC_DISPATCH(space)(spacing, first, count, values);
    if (last && first + count == n) {
      values[count - 1] = *last;
    }
    convert(float64, values, dtype, count, to);
  });
}

} // namespace mlx::core::cpu
#endif
