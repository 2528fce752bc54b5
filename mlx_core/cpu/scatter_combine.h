// What scatters of slices and along an axis have in common: how two elements are combined, and in which type.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gather.h"
#include "mlx_core/cpu/indices.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

inline constexpr int64_t looks_after = 1 << 17; // elements, for an interrupt

template <typename T>
inline bool less(T a, T b) {
  if constexpr (std::is_arithmetic_v<T>)
    return a < b;
  else
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}

// A NaN on either side is the result. Which one is better nobody can foretell, hence no branch; that it is no NaN, one
// can.
template <typename T>
inline T choose(T a, T b, bool b_is_better) {
  if (b != b) [[unlikely]]
    return a != a ? a : b;
  if constexpr (!std::is_arithmetic_v<T>) b_is_better = b_is_better && a == a; // a real one is never less than NaN
  return b_is_better ? b : a;
}

template <ScatterMode mode, typename T>
inline T combine(T a, T b) {
  if constexpr (mode == ScatterMode::set) {
    return b;
  } else if constexpr (std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>) {
    return T(combine<mode>(static_cast<float>(a), static_cast<float>(b)));
  } else if constexpr (mode == ScatterMode::maximum) {
    return choose(a, b, less(a, b));
  } else if constexpr (mode == ScatterMode::minimum) {
    return choose(a, b, less(b, a));
  } else if constexpr (std::is_same_v<T, bool>) {
    return mode == ScatterMode::add ? a || b : a && b;
  } else if constexpr (std::is_integral_v<T>) { // wraps
    auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
    return static_cast<T>(mode == ScatterMode::add ? x + y : x * y);
  } else if constexpr (mode == ScatterMode::add) {
    return a + b;
  } else if constexpr (std::is_floating_point_v<T>) {
    return a * b;
  } else {
    return T(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
  }
}

// f(mode as a constant, a value of the element type, or of one that this mode does the same with).
template <typename F>
void with_mode(ScatterMode mode, Dtype dtype, F f) {
  using enum ScatterMode;
  auto of = [&](auto constant) {
    auto body = [&]<typename T>(std::type_identity<T>) { f(constant, T{}); };
    if constexpr (constant == set) {
      with_item(dtype.size(), body);
    } else if constexpr (constant == add || constant == multiply) {
      with_wrapping_type(dtype, body);
    } else {
      with_type(dtype, body);
    }
  };
  switch (mode) {
    case set: return of(std::integral_constant<ScatterMode, set>{});
    case add: return of(std::integral_constant<ScatterMode, add>{});
    case multiply: return of(std::integral_constant<ScatterMode, multiply>{});
    case maximum: return of(std::integral_constant<ScatterMode, maximum>{});
    case minimum: return of(std::integral_constant<ScatterMode, minimum>{});
  }
}

// Elements along an axis: number i of them is combined with dst[i * dst_step + index * axis_step], its index being
// index_step after the one before and its update update_step.
struct ElementSteps {
  int64_t axis, dst, index, update;
};

template <ScatterMode mode, typename T, typename Index, typename Update>
void combine_elements(
    const Bounds& bounds, const ElementSteps& steps, T* dst, const Index* index, int64_t n, const Update* updates) {
  const int64_t length = bounds.length;
  auto each = [&](int64_t dst_step, int64_t index_step) __attribute__((always_inline)) {
    for (int64_t i = 0; i < n; ++i) {
      auto given = static_cast<int64_t>(index[i * index_step]);
      int64_t at = given < 0 ? given + length : given;
      if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(length)) [[unlikely]]
        throw_index(bounds, given);
      T& to = dst[i * dst_step + at * steps.axis];
      to = combine<mode>(to, static_cast<T>(updates[i * steps.update]));
    }
  };
  steps.dst == 0 && steps.index == 1 ? each(0, 1) : each(steps.dst, steps.index);
}

// The same with indices of any dtype.
template <ScatterMode mode, typename T, typename Update>
void combine_elements(const Bounds& bounds, ElementSteps steps, T* dst, const void* index, Dtype index_dtype, int64_t n,
    const Update* updates) {
  if (index_dtype == int32) {
    return combine_elements<mode>(bounds, steps, dst, static_cast<const int32_t*>(index), n, updates);
  }
  if (index_dtype == int64) {
    return combine_elements<mode>(bounds, steps, dst, static_cast<const int64_t*>(index), n, updates);
  }
  int64_t values[index_chunk];
  const int64_t index_step = steps.index;
  steps.index = 1;
  for (int64_t first = 0; first < n; first += index_chunk) {
    const int64_t some = std::min(index_chunk, n - first);
    read_indices(static_cast<const char*>(index) + first * index_step * index_dtype.size(), index_dtype, index_step,
        some, values);
    combine_elements<mode>(bounds, steps, dst + first * steps.dst, values, some, updates + first * steps.update);
  }
}

inline bool carries_wide(ScatterMode mode, Dtype dtype) {
  return (dtype == float16 || dtype == bfloat16) && (mode == ScatterMode::add || mode == ScatterMode::multiply);
}

// f(mode as a constant, a value of the 16-bit type), of the modes that are carried in float32.
template <typename F>
void with_half(ScatterMode mode, Dtype dtype, F f) {
  with_inexact_type(dtype, [&]<typename T>(std::type_identity<T>) {
    if constexpr (is_half<T>) {
      if (mode == ScatterMode::add) {
        f(std::integral_constant<ScatterMode, ScatterMode::add>{}, T{});
      } else {
        f(std::integral_constant<ScatterMode, ScatterMode::multiply>{}, T{});
      }
    }
  });
}

// All of dst in a wider dtype while body(that) runs.
template <typename W, typename Body>
void in_wide(Dtype dtype, Dtype wide_dtype, void* dst, int64_t count, Body body) {
  constexpr int64_t part = 1 << 14;
  std::unique_ptr<W[]> wide(new W[static_cast<size_t>(count)]);
  auto cast = [&](const void* in, Dtype in_dtype, void* out, Dtype out_dtype) {
    const auto kernel = find_cast(in_dtype, out_dtype);
    parallel_for(ceil_div(count, part), [&](int64_t i) {
      const void* from = static_cast<const char*>(in) + i * part * in_dtype.size();
      kernel(&from, static_cast<char*>(out) + i * part * out_dtype.size(), std::min(part, count - i * part));
    });
  };
  cast(dst, dtype, wide.get(), wide_dtype);
  body(wide.get());
  cast(wide.get(), wide_dtype, dst, dtype);
}

// Whether this many updates of as many elements are worth twice the digits: a sum of n float32 numbers in a row is off
// by n roundings.
inline bool sums_many(ScatterMode mode, Dtype dtype, int64_t updates, int64_t elements) {
  return mode == ScatterMode::add && (dtype == float32 || dtype == complex64) && updates / 64 >= elements;
}

// f(a number of the dtype, one with twice its digits).
template <typename F>
void with_doubled(Dtype dtype, F f) {
  dtype == float32 ? f(float{}, double{}) : f(complex64_t{}, complex128_t{});
}

} // namespace mlx::core::cpu
