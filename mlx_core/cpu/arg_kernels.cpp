// Down columns the best value of each so far and its row are carried along, in lanes.
#include "mlx_core/cpu/arg_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/arg_kernels.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>

#include "mlx_core/cpu/reduce_ops-inl.h"
#include "mlx_core/interrupt.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t arg_looks_after = 1 << 18; // elements, for an interrupt

// What an element is in a lane: wide enough for the row's number beside it.
template <typename T>
using ArgLane = std::conditional_t<std::is_integral_v<T> && sizeof(T) < 4, int32_t, Wide<T>>;

template <typename D, typename T>
HWY_INLINE hn::Vec<D> load_arg(D d, const T* p) {
  if constexpr (std::is_integral_v<T> && sizeof(T) < 4) {
    return hn::PromoteTo(d, hn::LoadU(hn::Rebind<T, D>(), p));
  } else {
    return load_partial(d, p);
  }
}

// Whether x takes the place of the best so far.
template <bool max, typename P>
HWY_INLINE bool improves(P x, P best) {
  return (Extremum<max>::before(x, best) | is_nan(x)) & !is_nan(best); // a complex NaN may have a part that compares
}

template <bool max, typename D, typename V = hn::Vec<D>>
HWY_INLINE hn::Mask<D> improves(D, V x, V best) {
  if constexpr (std::is_floating_point_v<hn::TFromD<D>>) {
    auto no_better = max ? hn::Le(x, best) : hn::Ge(x, best); // not so of NaN
    return hn::Not(hn::Or(no_better, hn::IsNaN(best)));
  } else {
    return max ? hn::Gt(x, best) : hn::Lt(x, best);
  }
}

// Of few elements, K vectors of columns from one end to the other: what is the best stays in registers.
template <int K, bool max, typename T, typename D>
HWY_INLINE void arg_vectors(
    D d, const T* in, int64_t rows, int64_t stride, hwy::UnsignedFromSize<sizeof(hn::TFromD<D>)>* to) {
  using Place = hwy::UnsignedFromSize<sizeof(hn::TFromD<D>)>;
  const hn::ScalableTag<Place> places;
  constexpr int64_t N = hn::MaxLanes(d);
  hn::Vec<D> best[K];
  hn::Vec<decltype(places)> place[K];
  for (int k = 0; k < K; ++k) best[k] = load_arg(d, in + k * N), place[k] = hn::Zero(places);
  for (int64_t r = 1; r < rows; ++r) {
    const auto here = hn::Set(places, static_cast<Place>(r));
    for (int k = 0; k < K; ++k) {
      const auto x = load_arg(d, in + r * stride + k * N);
      const auto better = improves<max>(d, x, best[k]);
      best[k] = hn::IfThenElse(better, x, best[k]);
      place[k] = hn::IfThenElse(hn::RebindMask(places, better), here, place[k]);
    }
  }
  for (int k = 0; k < K; ++k) hn::StoreU(place[k], places, to + k * N);
}

template <bool max, typename T>
void arg_columns(const void* data, int64_t rows, int64_t stride, int64_t width, uint32_t* index) {
  using P = ArgLane<T>;
  const T* in = static_cast<const T*>(data);
  InterruptPoll poll(arg_looks_after);
  if constexpr (std::is_arithmetic_v<P>) {
    using Place = hwy::UnsignedFromSize<sizeof(P)>;
    const hn::ScalableTag<P> d;
    const hn::ScalableTag<Place> places;
    constexpr int64_t N = hn::MaxLanes(d);
    if (width >= N) {
      alignas(64) P best[arg_strip];
      alignas(64) Place place[arg_strip];
      constexpr int64_t few = 1 << 14; // elements: rows of more are gone through as they lie
      if (rows * stride <= few) {
        int64_t j = 0;
        for (; j + 4 * N <= width; j += 4 * N) arg_vectors<4, max>(d, in + j, rows, stride, place + j);
        for (; j + 2 * N <= width; j += 2 * N) arg_vectors<2, max>(d, in + j, rows, stride, place + j);
        for (; j < width; j += N) {
          const int64_t from = std::min(j, width - N); // the last vector has some columns again
          arg_vectors<1, max>(d, in + from, rows, stride, place + from);
        }
        std::copy_n(place, width, index);
        return;
      }
      // The last vector has some columns again: what is the best already does not improve itself.
      auto each_vector = [=](auto&& f) HWY_ATTR {
        for (int64_t j = 0; j + N <= width; j += N) f(j);
        if (width % N > 0) f(width - N);
      };
      each_vector([&](int64_t j) HWY_ATTR {
        hn::StoreU(load_arg(d, in + j), d, best + j);
        hn::StoreU(hn::Zero(places), places, place + j);
      });
      for (int64_t r = 1; r < rows; ++r) {
        poll(width);
        const T* row = in + r * stride;
        const auto here = hn::Set(places, static_cast<Place>(r));
        each_vector([&](int64_t j) HWY_ATTR {
          const auto x = load_arg(d, row + j), before = hn::LoadU(d, best + j);
          const auto better = improves<max>(d, x, before);
          hn::StoreU(hn::IfThenElse(better, x, before), d, best + j);
          const auto there = hn::LoadU(places, place + j);
          hn::StoreU(hn::IfThenElse(hn::RebindMask(places, better), here, there), places, place + j);
        });
      }
      std::copy_n(place, width, index);
      return;
    }
  }
  P best[arg_strip];
  for (int64_t j = 0; j < width; ++j) best[j] = static_cast<P>(in[j]), index[j] = 0;
  for (int64_t r = 1; r < rows; ++r) {
    poll(width);
    for (int64_t j = 0; j < width; ++j) {
      const P x = static_cast<P>(in[r * stride + j]);
      if (improves<max>(x, best[j])) best[j] = x, index[j] = static_cast<uint32_t>(r);
    }
  }
}

template <typename T>
int64_t find_arg(const void* data, int64_t n, const void* wanted) {
  using Value = Wide<T>;
  const T* in = static_cast<const T*>(data);
  const Value value = *static_cast<const Value*>(wanted);
  auto first_in_order = [&](auto matches) {
    int64_t i = 0;
    while (i + 1 < n && !matches(static_cast<Value>(in[i]))) ++i;
    return i;
  };
  if constexpr (std::is_arithmetic_v<Value>) {
    const hn::ScalableTag<ArgLane<T>> d;
    constexpr int64_t N = hn::MaxLanes(d);
    if (n >= N) {
      const auto all = hn::Set(d, value);
      const auto place = [&](int64_t i) HWY_ATTR {
        const auto x = load_arg(d, in + i);
        auto matches = hn::Eq(x, all);
        if constexpr (std::is_floating_point_v<Value>) {
          if (is_nan(value)) matches = hn::IsNaN(x);
        }
        const intptr_t k = hn::FindFirstTrue(d, matches);
        return k < 0 ? int64_t{-1} : i + k;
      };
      for (int64_t i = 0; i + N < n; i += N) {
        if (int64_t at = place(i); at >= 0) return at;
      }
      return place(n - N); // with some again, none of which matches
    }
  }
  return is_nan(value) ? first_in_order([](Value x) { return is_nan(x); })
                       : first_in_order([=](Value x) { return x == value; });
}

template <bool max>
ArgKernels by_dtype(Dtype dtype) {
  switch (dtype.val) {
    case Dtype::Val::bool_:
    case Dtype::Val::uint8: return {&arg_columns<max, uint8_t>, &find_arg<uint8_t>};
    case Dtype::Val::uint16: return {&arg_columns<max, uint16_t>, &find_arg<uint16_t>};
    case Dtype::Val::uint32: return {&arg_columns<max, uint32_t>, &find_arg<uint32_t>};
    case Dtype::Val::uint64: return {&arg_columns<max, uint64_t>, &find_arg<uint64_t>};
    case Dtype::Val::int8: return {&arg_columns<max, int8_t>, &find_arg<int8_t>};
    case Dtype::Val::int16: return {&arg_columns<max, int16_t>, &find_arg<int16_t>};
    case Dtype::Val::int32: return {&arg_columns<max, int32_t>, &find_arg<int32_t>};
    case Dtype::Val::int64: return {&arg_columns<max, int64_t>, &find_arg<int64_t>};
    case Dtype::Val::float16: return {&arg_columns<max, float16_t>, &find_arg<float16_t>};
    case Dtype::Val::bfloat16: return {&arg_columns<max, bfloat16_t>, &find_arg<bfloat16_t>};
    case Dtype::Val::float32: return {&arg_columns<max, float>, &find_arg<float>};
    case Dtype::Val::float64: return {&arg_columns<max, double>, &find_arg<double>};
    case Dtype::Val::complex64: return {&arg_columns<max, complex64_t>, &find_arg<complex64_t>};
    case Dtype::Val::complex128: return {&arg_columns<max, complex128_t>, &find_arg<complex128_t>};
  }
  return {};
}

ArgKernels arg_kernels_of(bool max, Dtype dtype) { return max ? by_dtype<true>(dtype) : by_dtype<false>(dtype); }

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(arg_kernels_of);
ArgKernels find_arg_kernels(bool max, Dtype dtype) { return HWY_DYNAMIC_DISPATCH(arg_kernels_of)(max, dtype); }
} // namespace mlx::core::cpu
#endif
