// A line added to another, or to be subtracted, with a factor: in one go over the two.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/add_line.cpp"
#include "mlx_core/cpu/simd.h"

#include "mlx_core/cpu/add_parts.h"
#include "mlx_core/cpu/arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// As many elements from `i` on as whole vectors of this tag take.
template <bool has_factor, bool subtracts, class D, class T>
HWY_INLINE void add_vectors(D d, T* sum, const T* term, T factor, int64_t n, int64_t& i) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto f = hn::Set(d, factor);
  for (; i + lanes <= n; i += lanes) {
    const auto a = hn::LoadU(d, sum + i);
    auto b = hn::LoadU(d, term + i);
    if constexpr (has_factor) {
      b = bodies::HWY_NAMESPACE::ZeroTimes()(d, b, f);
    }
    hn::StoreU(subtracts ? hn::Sub(a, b) : hn::Add(a, b), d, sum + i);
  }
}

template <class T, bool has_factor, bool subtracts>
HWY_INLINE void add_lines(T* sum, const T* term, T factor, int64_t n) {
  int64_t i = 0;
  add_vectors<has_factor, subtracts>(hn::ScalableTag<T>(), sum, term, factor, n, i);
  add_vectors<has_factor, subtracts>(hn::CappedTag<T, 16 / sizeof(T)>(), sum, term, factor, n, i);
  add_vectors<has_factor, subtracts>(hn::CappedTag<T, 1>(), sum, term, factor, n, i);
}

template <class T>
void add_line(void* to, const void* from, const void* factor, int64_t n, bool subtracts) {
  T *sum = static_cast<T*>(to), one = factor ? *static_cast<const T*>(factor) : T(1);
  const T* term = static_cast<const T*>(from);
  if (factor) {
    subtracts ? add_lines<T, true, true>(sum, term, one, n) : add_lines<T, true, false>(sum, term, one, n);
  } else {
    subtracts ? add_lines<T, false, true>(sum, term, one, n) : add_lines<T, false, false>(sum, term, one, n);
  }
}

AddLine find_add_line(Dtype dtype) {
  return dtype == float32 ? &add_line<float> : dtype == float64 ? &add_line<double> : nullptr;
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_add_line);

AddLine find_add_line(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_add_line)(dtype); }

} // namespace mlx::core::cpu
#endif
