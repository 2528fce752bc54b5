// Rows combined with rows: whole vectors, then ever smaller ones, for rows are often shorter than one.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/combine_rows.cpp"
#include "mlx_core/cpu/combine_rows.h"

#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

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

template <ScatterMode mode, class D, typename T>
HWY_INLINE void combine_row(D d, T* HWY_RESTRICT to, const T* HWY_RESTRICT from, int64_t length) {
  constexpr int64_t lanes = hn::MaxLanes(d);
  int64_t j = 0;
  for (; j + lanes <= length; j += lanes) {
    hn::StoreU(combine<mode>(d, hn::LoadU(d, to + j), hn::LoadU(d, from + j)), d, to + j);
  }
  if constexpr (lanes > 1) {
    const hn::CappedTag<T, static_cast<size_t>(lanes / 2)> half;
    if (j < length) combine_row<mode>(half, to + j, from + j, length - j);
  }
}

template <ScatterMode mode, class D, typename T>
void combine_all(D d, T* to, const int64_t* to_at, const T* from, const int64_t* from_at, int64_t n, int64_t length) {
  constexpr int64_t lanes = hn::MaxLanes(d);
  if constexpr (lanes > 1) {
    const hn::CappedTag<T, static_cast<size_t>(lanes / 2)> half;
    if (length < lanes) return combine_all<mode>(half, to, to_at, from, from_at, n, length);
  }
  for (int64_t i = 0; i < n; ++i) combine_row<mode>(d, to + to_at[i], from + from_at[i], length);
}

template <ScatterMode mode, typename T>
void combine_rows(void* dst, const int64_t* to, const void* src, const int64_t* from, int64_t n, int64_t length) {
  combine_all<mode>(hn::ScalableTag<T>(), static_cast<T*>(dst), to, static_cast<const T*>(src), from, n, length);
}

template <typename T>
CombineRows of_type(ScatterMode mode) {
  switch (mode) {
    case ScatterMode::set: return nullptr;
    case ScatterMode::add: return &combine_rows<ScatterMode::add, T>;
    case ScatterMode::multiply: return &combine_rows<ScatterMode::multiply, T>;
    case ScatterMode::maximum: return &combine_rows<ScatterMode::maximum, T>;
    case ScatterMode::minimum: return &combine_rows<ScatterMode::minimum, T>;
  }
  return nullptr;
}

CombineRows combine_rows_of(ScatterMode mode, Dtype dtype) {
  if (dtype == float32) return of_type<float>(mode);
  if (dtype == float64) return of_type<double>(mode);
  if (dtype == int32) return of_type<int32_t>(mode);
  if (dtype == int64) return of_type<int64_t>(mode);
  return nullptr;
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(combine_rows_of);
CombineRows find_combine_rows(ScatterMode mode, Dtype dtype) {
  return HWY_DYNAMIC_DISPATCH(combine_rows_of)(mode, dtype);
}
} // namespace mlx::core::cpu
#endif
