// Rows combined with rows: whole vectors, then ever smaller ones, for rows are often shorter than one.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/combine_rows.cpp"
#include "mlx_core/cpu/combine_rows.h"

#include <algorithm>
#include <type_traits>

#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "mlx_core/cpu/fetch_lines.h"
#include "mlx_core/cpu/half-inl.h"
#include "mlx_core/cpu/reduce_ops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A NaN on either side is the result.
template <ScatterMode mode, class D, class V>
HWY_INLINE V combine(D, V a, V b) {
  if constexpr (mode == ScatterMode::add) {
    return hn::Add(a, b);
  } else if constexpr (mode == ScatterMode::multiply) {
    return hn::Mul(a, b);
  } else {
    const auto better = mode == ScatterMode::maximum ? hn::Lt(a, b) : hn::Lt(b, a);
    if constexpr (hwy::IsFloat<hn::TFromD<D>>()) {
      return hn::IfThenElse(hn::And(hn::Not(hn::IsNaN(a)), hn::Or(better, hn::IsNaN(b))), b, a);
    } else {
      return hn::IfThenElse(better, b, a);
    }
  }
}

template <class D, typename From>
HWY_INLINE hn::Vec<D> load_as(D d, const From* from) {
  if constexpr (sizeof(From) == sizeof(float) && sizeof(hn::TFromD<D>) == sizeof(double)) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<From, D>(), from));
  } else {
    return load_partial(d, from);
  }
}

// What lies `ahead` bytes of the row is fetched, unless it is 0.
template <ScatterMode mode, class D, typename T, typename From>
HWY_INLINE void combine_row(D d, T* HWY_RESTRICT to, const From* HWY_RESTRICT from, int64_t length, int64_t ahead = 0) {
  constexpr int64_t lanes = hn::MaxLanes(d);
  int64_t j = 0;
  for (; j + lanes <= length; j += lanes) {
    if (ahead != 0) fetch_lines(from + j, ahead, lanes * static_cast<int64_t>(sizeof(From)));
    hn::StoreU(combine<mode>(d, hn::LoadU(d, to + j), load_as(d, from + j)), d, to + j);
  }
  if constexpr (lanes > 1) {
    const hn::CappedTag<T, static_cast<size_t>(lanes / 2)> half;
    if (j < length) combine_row<mode>(half, to + j, from + j, length - j);
  }
}

template <ScatterMode mode, class D, typename T, typename From>
void combine_all(
    D d, T* to, const int64_t* to_at, const From* from, const int64_t* from_at, int64_t n, int64_t length) {
  constexpr int64_t lanes = hn::MaxLanes(d);
  if constexpr (lanes > 1) {
    const hn::CappedTag<T, static_cast<size_t>(lanes / 2)> half;
    if (length < lanes) return combine_all<mode>(half, to, to_at, from, from_at, n, length);
  }
  constexpr int64_t item = sizeof(From), long_bytes = 1 << 9; // of rows that the processor does not foresee
  int64_t i = 0;
  for (; length * item >= long_bytes && i + 1 < n; ++i) {
    combine_row<mode>(d, to + to_at[i], from + from_at[i], length, (from_at[i + 1] - from_at[i]) * item);
  }
  for (; i < n; ++i) combine_row<mode>(d, to + to_at[i], from + from_at[i], length);
}

template <ScatterMode mode, typename T, typename From = T>
void combine_rows(void* dst, const int64_t* to, const void* src, const int64_t* from, int64_t n, int64_t length) {
  combine_all<mode>(hn::ScalableTag<T>(), static_cast<T*>(dst), to, static_cast<const From*>(src), from, n, length);
}

template <ScatterMode mode, typename Half>
void fold_rows(void* dst, const void* src, const int64_t* from, int64_t n, int64_t length) {
  constexpr int64_t block = 512;
  HWY_ALIGN float folded[block];
  for (int64_t start = 0; start < length; start += block) {
    const int64_t count = std::min(block, length - start);
    auto* to = static_cast<Half*>(dst) + start;
    bodies::HWY_NAMESPACE::widen(to, folded, count);
    for (int64_t i = 0; i < n; ++i) {
      combine_row<mode>(hn::ScalableTag<float>(), folded, static_cast<const Half*>(src) + from[i] + start, count);
    }
    bodies::HWY_NAMESPACE::narrow(folded, to, count);
  }
}

// f(the mode as a constant), or null.
template <typename F>
auto of_mode(ScatterMode mode, F f) -> decltype(f(std::integral_constant<ScatterMode, ScatterMode::add>{})) {
  using enum ScatterMode;
  switch (mode) {
    case set: return nullptr;
    case add: return f(std::integral_constant<ScatterMode, add>{});
    case multiply: return f(std::integral_constant<ScatterMode, multiply>{});
    case maximum: return f(std::integral_constant<ScatterMode, maximum>{});
    case minimum: return f(std::integral_constant<ScatterMode, minimum>{});
  }
  return nullptr;
}

CombineRows combine_rows_of(ScatterMode mode, Dtype dtype, Dtype from) {
  return of_mode(mode, [&](auto constant) -> CombineRows {
    if (dtype == float32 && from == float16) return &combine_rows<constant.value, float, float16_t>;
    if (dtype == float32 && from == bfloat16) return &combine_rows<constant.value, float, bfloat16_t>;
    if (dtype == float64 && from == float32) return &combine_rows<constant.value, double, float>;
    if (dtype != from) return nullptr;
    if (dtype == float32) return &combine_rows<constant.value, float>;
    if (dtype == float64) return &combine_rows<constant.value, double>;
    if (dtype == int32) return &combine_rows<constant.value, int32_t>;
    if (dtype == int64) return &combine_rows<constant.value, int64_t>;
    return nullptr;
  });
}

FoldRows fold_rows_of(ScatterMode mode, Dtype dtype) {
  return of_mode(mode, [&](auto constant) -> FoldRows {
    if (dtype == float16) return &fold_rows<constant.value, float16_t>;
    if (dtype == bfloat16) return &fold_rows<constant.value, bfloat16_t>;
    return nullptr;
  });
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(combine_rows_of);
HWY_EXPORT(fold_rows_of);
CombineRows find_combine_rows(ScatterMode mode, Dtype dst, Dtype src) {
  return HWY_DYNAMIC_DISPATCH(combine_rows_of)(mode, dst, src);
}
FoldRows find_fold_rows(ScatterMode mode, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(fold_rows_of)(mode, dtype); }
} // namespace mlx::core::cpu
#endif
