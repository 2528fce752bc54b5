// Products of matrices that fit into a vector or two each, wherever their elements lie: each term of all sums is a
// multiplication of what is looked up in one by what is looked up in the other. A complex term is two of these on the
// parts of numbers.
//
// Products take subnormals for zeros. The processor's mode for that costs more than such a product; so it is computed
// without, and done again where there was a subnormal, or what may have been one before it was rounded.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/tiny_product.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <iterator>

#include "mlx_core/cpu/rearrange.h"
#include "mlx_core/cpu/small_product.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::bodies::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Sums are fused with products: no product is rounded, and so none becomes subnormal unseen.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
template <class D, class V>
HWY_INLINE auto may_be_subnormal(D, V v) {
  const hn::RebindToUnsigned<D> bits;
  using U = hn::TFromD<decltype(bits)>;
  constexpr U least_normal = U{2} << (sizeof(U) == 4 ? 23 : 52); // without its sign, shifted by one
  const auto magnitude = hn::ShiftLeft<1>(hn::BitCast(bits, v));
  return hn::Lt(hn::Sub(magnitude, hn::Set(bits, U{1})), hn::Set(bits, least_normal));
}

// Up to so many vectors of a matrix.
template <class T, int vectors>
struct Table {
  using D = hn::ScalableTag<T>;
  static constexpr int64_t N = hn::MaxLanes(D());
  hn::Vec<D> v[vectors];
  bool has_subnormal = false;

  HWY_INLINE Table(const T* from, int64_t span) {
    const D d;
    for (int k = 0; k < vectors; ++k) {
      v[k] = hn::LoadU(d, from + k * N);
      const auto own = hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(span - k * N)), v[k]);
      has_subnormal |= !hn::AllFalse(hn::RebindToUnsigned<D>(), may_be_subnormal(d, own));
    }
  }
  HWY_INLINE hn::Vec<D> at(const uint32_t* places) const {
    const D d;
    const hn::RebindToUnsigned<D> bits;
    auto index = [&] {
      if constexpr (sizeof(T) == 4) {
        return hn::LoadU(bits, places);
      } else {
        return hn::PromoteTo(bits, hn::LoadU(hn::Rebind<uint32_t, decltype(bits)>(), places));
      }
    }();
    using U = hn::TFromD<decltype(bits)>;
    const auto in_vector = hn::IndicesFromVec(d, hn::And(index, hn::Set(bits, U{N - 1})));
    auto found = hn::TableLookupLanes(v[0], in_vector);
    if constexpr (vectors == 2) {
      const auto second = hn::RebindMask(d, hn::Gt(index, hn::Set(bits, U{N - 1})));
      found = hn::IfThenElse(second, hn::TableLookupLanes(v[1], in_vector), found);
    }
    return found;
  }
};

template <class T, int of_a, int of_b, bool complex>
bool tiny(const TinyProduct& plan, const void* left, const void* right, void* out) {
  const hn::ScalableTag<T> d;
  constexpr int64_t N = hn::MaxLanes(d);
  const Table<T, of_a> a(static_cast<const T*>(left), plan.span_a);
  const Table<T, of_b> b(static_cast<const T*>(right), plan.span_b);
  if (a.has_subnormal || b.has_subnormal) return false;
  auto subnormal = hn::MaskFromVec(hn::Zero(hn::RebindToUnsigned<decltype(d)>()));
  auto* to = static_cast<T*>(out);
  for (const uint32_t *at = plan.places.data(), *end = at + plan.places.size(); at < end; to += N) {
    auto sum = hn::Zero(d);
    for (int64_t p = 0; p < plan.terms; ++p, at += 2 * N) {
      const auto x = a.at(at), y = b.at(at + N);
      const auto with = hn::MulAdd(x, y, sum);
      // An odd term is of imaginary parts on the left: real parts, in even lanes, have it taken away.
      sum = complex && p % 2 == 1 ? hn::OddEven(with, hn::NegMulAdd(x, y, sum)) : with;
      subnormal = hn::Or(subnormal, may_be_subnormal(d, sum));
    }
    hn::StoreU(sum, d, to);
  }
  return hn::AllFalse(hn::RebindToUnsigned<decltype(d)>(), subnormal);
}

template <class T, bool complex>
TinyProduct::Way way_of(int64_t span_a, int64_t span_b, int64_t* lanes) {
  constexpr int64_t N = hn::MaxLanes(hn::ScalableTag<T>());
  static_assert(2 * N * sizeof(T) <= read_beyond);
  *lanes = N;
  if (span_a > 2 * N || span_b > 2 * N) return nullptr;
  if (span_a <= N) return span_b <= N ? tiny<T, 1, 1, complex> : tiny<T, 1, 2, complex>;
  return span_b <= N ? tiny<T, 2, 1, complex> : tiny<T, 2, 2, complex>;
}
#else
template <class T, bool complex>
TinyProduct::Way way_of(int64_t, int64_t, int64_t*) {
  return nullptr;
}
#endif

TinyProduct::Way find_tiny(Dtype dtype, int64_t span_a, int64_t span_b, int64_t* lanes) {
  switch (dtype.val) {
    case Dtype::Val::float32: return way_of<float, false>(span_a, span_b, lanes);
    case Dtype::Val::float64: return way_of<double, false>(span_a, span_b, lanes);
    case Dtype::Val::complex64: return way_of<float, true>(span_a, span_b, lanes);
    case Dtype::Val::complex128: return way_of<double, true>(span_a, span_b, lanes);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

namespace bodies { // where dispatch finds them, also if there is one instruction set to choose from
HWY_EXPORT(find_tiny);
namespace {
TinyProduct::Way chosen_way(Dtype dtype, int64_t span_a, int64_t span_b, int64_t* lanes) {
  return HWY_DYNAMIC_DISPATCH(find_tiny)(dtype, span_a, span_b, lanes);
}
} // namespace
} // namespace bodies

TinyProduct tiny_form(Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, int64_t count,
    int64_t a_batch_stride, int64_t b_batch_stride) {
  constexpr int64_t most_terms = 16, most_results = 2 * rearranged_padding;
  const int64_t strides[] = {
      a.row_stride, a.column_stride, b.row_stride, b.column_stride, a_batch_stride, b_batch_stride};
  bool forward = *std::min_element(std::begin(strides), std::end(strides)) >= 0;
  if (!forward || k > most_terms || count * m * n > most_results) {
    return {};
  }
  TinyProduct plan;
  plan.parts = dtype.is_complex() ? 2 : 1;
  plan.terms = k * plan.parts;
  auto span = [&](int64_t last) { return (last + 1) * plan.parts; };
  plan.span_a = span((count - 1) * a_batch_stride + (m - 1) * a.row_stride + (k - 1) * a.column_stride);
  plan.span_b = span((count - 1) * b_batch_stride + (k - 1) * b.row_stride + (n - 1) * b.column_stride);
  plan.way = bodies::chosen_way(dtype, plan.span_a, plan.span_b, &plan.lanes);
  return plan;
}

TinyProduct tiny_product(Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, int64_t count,
    int64_t a_batch_stride, int64_t b_batch_stride) {
  TinyProduct plan = tiny_form(dtype, m, n, k, a, b, count, a_batch_stride, b_batch_stride);
  if (!plan.way) {
    return plan;
  }
  const int64_t parts = plan.parts, results = count * m * n * parts, lanes = plan.lanes;
  const int64_t vectors = (results + lanes - 1) / lanes;
  plan.places.resize(static_cast<size_t>(vectors * plan.terms * 2 * lanes));
  for (int64_t e = 0; e < vectors * lanes; ++e) {
    const int64_t lane = std::min(e, results - 1), part = lane % parts, result = lane / parts;
    const int64_t i = result / n % m, j = result % n, which = result / n / m;
    uint32_t* to = plan.places.data() + e / lanes * plan.terms * 2 * lanes + e % lanes;
    for (int64_t term = 0; term < plan.terms; ++term, to += 2 * lanes) {
      const int64_t p = term / parts, of_a = term % parts; // the part of a; that of b makes one of the result's kind
      const int64_t in_a = which * a_batch_stride + i * a.row_stride + p * a.column_stride;
      const int64_t in_b = which * b_batch_stride + p * b.row_stride + j * b.column_stride;
      to[0] = static_cast<uint32_t>(in_a * parts + of_a);
      to[lanes] = static_cast<uint32_t>(in_b * parts + (part ^ of_a));
    }
  }
  return plan;
}

} // namespace mlx::core::cpu
#endif
