// Lines added to others, or subtracted, with a factor: in one go over the two.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/add_lines.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <span>

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

// Terms of one line after another, and what each sum begins with.
template <class T>
struct Together {
  std::span<const AddedLines> terms;
  Between negative;
  int64_t line = 0;

  const T* term(const AddedLines& of) const { return static_cast<const T*>(of.term) + line * of.apart; }

  // Several vectors of each term, whose sums stay in registers.
  template <int together>
  HWY_INLINE void vectors(T* sum, T start, int64_t end, int64_t& i) const {
    const hn::ScalableTag<T> d;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    for (; i + together * lanes <= end; i += together * lanes) {
      hn::Vec<decltype(d)> v[together];
#pragma GCC unroll 4
      for (int k = 0; k < together; ++k) v[k] = hn::Set(d, start);
      for (const AddedLines& of : terms) {
        const T* from = term(of) + i;
        const auto factor = hn::Set(d, of.factor ? *static_cast<const T*>(of.factor) : T(1));
#pragma GCC unroll 4
        for (int k = 0; k < together; ++k) {
          auto x = hn::LoadU(d, from + k * lanes);
          if (of.factor) x = bodies::HWY_NAMESPACE::ZeroTimes()(d, x, factor);
          v[k] = of.subtracts ? hn::Sub(v[k], x) : hn::Add(v[k], x);
        }
      }
#pragma GCC unroll 4
      for (int k = 0; k < together; ++k) hn::StoreU(v[k], d, sum + i + k * lanes);
    }
  }
  void one_by_one(T* sum, int64_t i, int64_t end) const {
    for (; i < end; ++i) {
      T total = i >= negative.first && i < negative.end ? T(-0.0) : T(0);
      for (const AddedLines& of : terms) {
        if (i < of.has.first || i >= of.has.end) continue;
        T x = term(of)[i];
        if (of.factor) {
          const T factor = *static_cast<const T*>(of.factor);
          x = x == 0 || factor == 0 ? T(0) : x * factor;
        }
        total = of.subtracts ? total - x : total + x;
      }
      sum[i] = total;
    }
  }
};

template <class T>
void add_together(
    void* to, int64_t apart, Between negative, const AddedLines* terms, int64_t count, int64_t lines, int64_t n) {
  const bool any = negative.first < negative.end;
  int64_t low = any ? negative.first : 0, high = any ? negative.end : n; // where all begin and end alike
  Together<T> all{std::span(terms, static_cast<size_t>(count)), negative};
  for (const AddedLines& of : all.terms) low = std::max(low, of.has.first), high = std::min(high, of.has.end);
  low = std::min(low, n);
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (T* sum = static_cast<T*>(to); all.line < lines; ++all.line, sum += apart) {
    int64_t i = low;
    all.one_by_one(sum, 0, low);
    all.template vectors<4>(sum, any ? T(-0.0) : T(0), high, i);
    all.template vectors<1>(sum, any ? T(-0.0) : T(0), high, i);
    if (i < high && high - low >= lanes) { // the last vector, some of it again
      i = high - lanes;
      all.template vectors<1>(sum, any ? T(-0.0) : T(0), high, i);
    }
    all.one_by_one(sum, i, n);
  }
}

LineAdders find_line_adders(Dtype dtype) {
  return dtype == float32   ? LineAdders{&add_lines<float>, &add_together<float>}
         : dtype == float64 ? LineAdders{&add_lines<double>, &add_together<double>}
                            : LineAdders();
}

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_line_adders);

LineAdders find_line_adders(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(find_line_adders)(dtype); }

} // namespace mlx::core::cpu
#endif
