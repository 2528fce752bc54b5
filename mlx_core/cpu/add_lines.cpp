// Lines added to others, or subtracted, with a factor: in one go over the two.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/add_lines.cpp"
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
void add_each(T* sum, int64_t sum_apart, const T* term, int64_t term_apart, T factor, int64_t lines, int64_t n) {
  for (int64_t k = 0; k < lines; ++k, sum += sum_apart, term += term_apart) {
    int64_t i = 0;
    add_vectors<has_factor, subtracts>(hn::ScalableTag<T>(), sum, term, factor, n, i);
    add_vectors<has_factor, subtracts>(hn::CappedTag<T, 16 / sizeof(T)>(), sum, term, factor, n, i);
    add_vectors<has_factor, subtracts>(hn::CappedTag<T, 1>(), sum, term, factor, n, i);
  }
}

template <class T>
void add_lines(void* to, int64_t to_apart, const void* from, int64_t from_apart, const void* factor, int64_t lines,
    int64_t n, bool subtracts) {
  T *sum = static_cast<T*>(to), one = factor ? *static_cast<const T*>(factor) : T(1);
  const T* term = static_cast<const T*>(from);
  auto add = factor ? (subtracts ? &add_each<T, true, true> : &add_each<T, true, false>)
                    : (subtracts ? &add_each<T, false, true> : &add_each<T, false, false>);
  add(sum, to_apart, term, from_apart, one, lines, n);
}

AddLines find_add_lines(Dtype dtype) {
  return dtype == float32 ? &add_lines<float> : dtype == float64 ? &add_lines<double> : nullptr;
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_add_lines);

AddLines find_add_lines(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_add_lines)(dtype); }

} // namespace mlx::core::cpu
#endif
