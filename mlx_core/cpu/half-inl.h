// float16 and bfloat16 through float32: conversion of runs, and the wrapper that makes a half kernel of a float one.
#if defined(MLX_CPU_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_HALF_INL_H_
#undef MLX_CPU_HALF_INL_H_
#else
#define MLX_CPU_HALF_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "mlx_core/cpu/map-inl.h"
#include "mlx_core/half.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON

// The conversion instructions round to nearest even and quiet NaNs as half.h does. Highway's emulation where there are
// none knows neither infinity nor NaN and truncates.
HWY_INLINE void widen(const float16_t* from, float* to, int64_t n) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  constexpr size_t max_lanes = hn::MaxLanes(hn::ScalableTag<float>());
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::PromoteTo(df, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(from + i))), df, to + i);
  }
  if (i < n) {
    float16_t part[max_lanes] = {};
    std::copy(from + i, from + n, part);
    HWY_ALIGN float wide[max_lanes];
    hn::StoreU(hn::PromoteTo(df, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(part))), df, wide);
    std::copy(wide, wide + (n - i), to + i);
  }
}

HWY_INLINE void narrow(const float* from, float16_t* to, int64_t n) {
  const hn::ScalableTag<float> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  constexpr size_t max_lanes = hn::MaxLanes(hn::ScalableTag<float>());
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(df));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::DemoteTo(dh, hn::LoadU(df, from + i)), dh, reinterpret_cast<hwy::float16_t*>(to + i));
  }
  if (i < n) {
    float wide[max_lanes] = {};
    std::copy(from + i, from + n, wide);
    float16_t part[max_lanes];
    hn::StoreU(hn::DemoteTo(dh, hn::LoadU(df, wide)), dh, reinterpret_cast<hwy::float16_t*>(part));
    std::copy(part, part + (n - i), to + i);
  }
}

#else

HWY_INLINE void widen(const float16_t* from, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    to[i] = static_cast<float>(from[i]);
  }
}

HWY_INLINE void narrow(const float* from, float16_t* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    to[i] = float16_t(from[i]);
  }
}

#endif

HWY_INLINE void widen(const bfloat16_t* from, float* to, int64_t n) {
  const hn::ScalableTag<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> dh;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(dh, reinterpret_cast<const uint16_t*>(from + i)));
    hn::StoreU(hn::ShiftLeft<16>(wide), d, reinterpret_cast<uint32_t*>(to + i));
  }
  for (; i < n; ++i) {
    to[i] = static_cast<float>(from[i]);
  }
}

// Bit for bit the conversion in half.h, without its branch
HWY_INLINE void narrow(const float* from, bfloat16_t* to, int64_t n) {
  const hn::ScalableTag<float> df;
  const hn::RebindToUnsigned<decltype(df)> d;
  const hn::RebindToSigned<decltype(df)> di;
  const hn::Rebind<uint16_t, decltype(df)> dh;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto value = hn::LoadU(df, from + i);
    const auto bits = hn::BitCast(d, value);
    const auto upper = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(upper, hn::Set(d, 1u));
    const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(d, 0x7fffu)), odd));
    const auto quiet = hn::Or(upper, hn::Set(d, 0x40u));
    const auto chosen = hn::IfThenElse(hn::RebindMask(d, hn::IsNaN(value)), quiet, rounded);
    hn::StoreU(hn::DemoteTo(dh, hn::BitCast(di, chosen)), dh, reinterpret_cast<uint16_t*>(to + i));
  }
  for (; i < n; ++i) {
    to[i] = bfloat16_t(from[i]);
  }
}

enum class HalfOutput { half, other };

// Runs a float32 kernel over halves, a chunk at a time through the stack. With `other` the
// kernel writes bools, which are not narrowed.
template <class Half, int arity, HalfOutput kind>
HWY_NOINLINE void run_halves(Kernel kernel, const void* const* inputs, void* output, int64_t n) {
  constexpr int64_t chunk = 512;
  HWY_ALIGN float scratch[arity][chunk];
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t count = std::min(chunk, n - start);
    const void* floats[arity];
    for (int k = 0; k < arity; ++k) {
      widen(static_cast<const Half*>(inputs[k]) + start, scratch[k], count);
      floats[k] = scratch[k];
    }
    if constexpr (kind == HalfOutput::half) {
      kernel(floats, scratch[0], count);
      narrow(scratch[0], static_cast<Half*>(output) + start, count);
    } else {
      kernel(floats, static_cast<bool*>(output) + start, count);
    }
  }
}

template <Kernel kernel, class Half, int arity, HalfOutput kind = HalfOutput::half>
void half_kernel(const void* const* inputs, void* output, int64_t n) {
  run_halves<Half, arity, kind>(kernel, inputs, output, n);
}

// The four real floating dtypes: of a vector body for all, or of one for float32, and so the halves, and a scalar one
// for float64.
template <int arity, Kernel of_float, Kernel of_double>
Kernel float_map(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float16: return &half_kernel<of_float, float16_t, arity>;
    case Dtype::Val::bfloat16: return &half_kernel<of_float, bfloat16_t, arity>;
    case Dtype::Val::float32: return of_float;
    case Dtype::Val::float64: return of_double;
    default: return nullptr;
  }
}

template <class Op>
Kernel float_map1(Dtype dtype) {
  return float_map<1, &map1<Op, float>, &map1<Op, double>>(dtype);
}
template <class Op>
Kernel float_map2(Dtype dtype) {
  return float_map<2, &map2<Op, float>, &map2<Op, double>>(dtype);
}
template <class Op, class ScalarOp>
Kernel mixed_map1(Dtype dtype) {
  return float_map<1, &map1<Op, float>, &loop1<ScalarOp, double, double>>(dtype);
}
template <class Op, class ScalarOp>
Kernel mixed_map2(Dtype dtype) {
  return float_map<2, &map2<Op, float>, &loop2<ScalarOp, double, double>>(dtype);
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif // include guard
