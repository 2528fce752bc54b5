// Bodies of products of a matrix and a vector, compiled once per instruction set.

// Per-target include guard
#if defined(MLX_CPU_PRODUCT_VECTOR_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_PRODUCT_VECTOR_INL_H
#undef MLX_CPU_PRODUCT_VECTOR_INL_H
#else
#define MLX_CPU_PRODUCT_VECTOR_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>

#include "mlx_core/cpu/product_arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3
// So many elements, or all sixteen; what is missing is 0.
HWY_INLINE __m256i load_halves(const uint16_t* p, int64_t count) {
  return _mm256_maskz_loadu_epi16(static_cast<__mmask16>(_bzhi_u32(0xffff, static_cast<uint32_t>(count))), p);
}
#endif

// Loads of 16-bit floats as float32, where there are instructions for it.
struct Bfloat16Loader {
  using Element = uint16_t;
  static HWY_INLINE auto load(const Element* p) {
    const hn::ScalableTag<uint32_t> d;
    const auto bits = hn::PromoteTo(d, hn::LoadU(hn::Rebind<uint16_t, decltype(d)>(), p));
    return hn::BitCast(hn::ScalableTag<float>(), hn::ShiftLeft<16>(bits));
  }
#if HWY_TARGET == HWY_AVX3
  static HWY_INLINE auto load_part(const Element* p, int64_t count) {
    const __m512i bits = _mm512_cvtepu16_epi32(load_halves(p, count));
    return hn::Vec<hn::ScalableTag<float>>{_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16))};
  }
#endif
};
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
struct Float16Loader {
  using Element = uint16_t;
  static HWY_INLINE auto load(const Element* p) {
    const hn::ScalableTag<float> d;
    return hn::PromoteTo(
        d, hn::LoadU(hn::Rebind<hwy::float16_t, decltype(d)>(), reinterpret_cast<const hwy::float16_t*>(p)));
  }
#if HWY_TARGET == HWY_AVX3
  static HWY_INLINE auto load_part(const Element* p, int64_t count) {
    return hn::Vec<hn::ScalableTag<float>>{_mm512_cvtph_ps(load_halves(p, count))};
  }
#endif
};
constexpr bool loads_float16 = true;
#else
using Float16Loader = Bfloat16Loader; // not used
constexpr bool loads_float16 = false;
#endif

template <class P>
struct VectorBodies {
  using T = typename P::Element;
  using V = typename P::Value;
  static constexpr int N = P::lanes;
  static constexpr int lanes = 128 / static_cast<int>(sizeof(T)); // partial sums of an element
  static constexpr int W = lanes / N;                             // vectors that they make
  static_assert(lanes % N == 0);

  // Whether a vector is loaded in part: the type of what the loader makes values of has masks.
  template <class Loader>
  static constexpr bool parts_are_loaded =
      std::is_same_v<Loader, P> ? has_masks<T> : sizeof(typename Loader::Element) == 2 && HWY_TARGET == HWY_AVX3;

  // Rows of `Loader::Element`, which the loader makes values of.
  template <class Loader, int R, class A = typename Loader::Element>
  static HWY_INLINE void some_dots(
      int64_t k, const A* HWY_RESTRICT a, int64_t a_stride, const T* HWY_RESTRICT x, T* out, bool add) {
    V sum[R][W];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 32
      for (int j = 0; j < W; ++j) sum[i][j] = P::zero();
    }
    auto step = [&](auto left, const T* right) HWY_ATTR {
#pragma GCC unroll 32
      for (int j = 0; j < W; ++j) {
        V v = P::load(right + j * N);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) sum[i][j] = P::multiply_add(Loader::load(left(i) + j * N), v, sum[i][j]);
      }
    };
    int64_t p = 0;
    for (; p + lanes <= k; p += lanes) step([&](int i) HWY_ATTR { return a + i * a_stride + p; }, x + p);
    if constexpr (parts_are_loaded<Loader>) {
#pragma GCC unroll 32
      for (int j = 0; j < W && p < k; ++j) { // zeros add nothing
        const int64_t rest = std::max<int64_t>(0, k - p - j * N);
        V v = P::load_part(x + p + j * N, rest);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
          sum[i][j] = P::multiply_add(Loader::load_part(a + i * a_stride + p + j * N, rest), v, sum[i][j]);
        }
      }
    } else if (p < k) {
      HWY_ALIGN A left[R][lanes] = {};
      HWY_ALIGN T right[lanes] = {};
      for (int i = 0; i < R; ++i) std::copy_n(a + i * a_stride + p, k - p, left[i]);
      std::copy_n(x + p, k - p, right);
      step([&](int i) HWY_ATTR { return left[i]; }, right);
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int half = W / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
        for (int j = 0; j < half; ++j) sum[i][j] = P::add(sum[i][j], sum[i][j + half]);
      }
    }
#if HWY_TARGET == HWY_AVX3
    if constexpr (R == 8 && std::is_same_v<V, hn::Vec<typename P::D>>) {
      fold_eight(sum, out, add);
      return;
    }
#endif
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      T result = P::folded(sum[i][0]);
      out[i] = add ? result + out[i] : result;
    }
  }

#if HWY_TARGET == HWY_AVX3
  // As folded(), of eight vectors at once: halves, quarters and eighths of two vectors are added as those of one.
  static HWY_INLINE void fold_eight(V (&sum)[8][W], T* out, bool add) {
    const typename P::D d;
    const hn::Repartition<double, typename P::D> pairs;
    V half[4], quarter[2];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const V a = sum[i][0], b = sum[i + 4][0];
      half[i] = hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a));
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) { // blocks of 16 bytes: of rows i, i + 2, i + 4, i + 6
      const V a = half[i], b = half[i + 2];
      quarter[i] =
          hn::Add(hn::OddEvenBlocks(hn::SwapAdjacentBlocks(b), a), hn::OddEvenBlocks(b, hn::SwapAdjacentBlocks(a)));
    }
    const auto a = hn::BitCast(pairs, quarter[0]), b = hn::BitCast(pairs, quarter[1]);
    const V last =
        hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, a, b)), hn::BitCast(d, hn::InterleaveUpper(pairs, a, b)));
    auto store = [&](auto part, auto results)
                     HWY_ATTR { hn::StoreU(add ? hn::Add(results, hn::LoadU(part, out)) : results, part, out); };
    if constexpr (sizeof(T) == 4) {
      const V swapped = hn::Reverse2(d, last);
      const hn::Half<typename P::D> part;
      const V both = hn::Add(last, swapped);
      store(part, hn::LowerHalf(part, hn::ConcatEven(d, both, both)));
    } else {
      store(d, last);
    }
  }
#endif

  template <class Loader>
  static void dots(int64_t rows, int64_t k, const void* a, int64_t a_stride, const void* x, void* out, bool add) {
    auto* left = static_cast<const typename Loader::Element*>(a);
    auto* right = static_cast<const T*>(x);
    auto* to = static_cast<T*>(out);
    constexpr int R = std::max(1, std::min(8, (many_registers ? 16 : 8) / W));
    int64_t i = 0;
    for (; i + R <= rows; i += R) some_dots<Loader, R>(k, left + i * a_stride, a_stride, right, to + i, add);
    for (; i < rows; ++i) some_dots<Loader, 1>(k, left + i * a_stride, a_stride, right, to + i, add);
  }

  // The partial sums of a block of rows lie side by side, lane by lane. Columns p, p + lanes, ... of one lane are added
  // C at a time, so that their sums are read and written once.
  template <class Loader, int C, bool first, class A = typename Loader::Element>
  static HWY_INLINE void some_columns(
      int64_t rows, const A* HWY_RESTRICT a, int64_t a_stride, const T* HWY_RESTRICT x, T* HWY_RESTRICT sums) {
    V factor[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) factor[c] = P::spread(x + c * lanes);
    int64_t apart = lanes * a_stride;
    auto step = [&](const A* from, int64_t stride, T* to, auto load) HWY_ATTR {
      V sum = first ? P::zero() : P::load(to);
      // Rows of b are far apart: nothing else brings those near that come next.
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) __builtin_prefetch(from + c * stride + a_stride);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum = P::multiply_add(load(from + c * stride), factor[c], sum);
      P::store(sum, to);
    };
    auto whole = [](const A* p) HWY_ATTR { return Loader::load(p); };
    int64_t i = 0;
    for (; i + N <= rows; i += N) step(a + i, apart, sums + i, whole);
    if (i == rows) return;
    if constexpr (parts_are_loaded<Loader>) {
      step(a + i, apart, sums + i, [&](const A* p) HWY_ATTR { return Loader::load_part(p, rows - i); });
    } else {
      HWY_ALIGN A part[C * N] = {};
      for (int c = 0; c < C; ++c) std::copy_n(a + i + c * apart, rows - i, part + c * N);
      step(part, N, sums + i, whole);
    }
  }

  // W vectors of rows, of which the last may have fewer: `part` of them, if that is not 0.
  template <class Loader, int W, bool partial, class A = typename Loader::Element>
  struct Near {
    int64_t k, a_stride;
    const A* a;
    const T* x;
    int64_t part;

    HWY_INLINE V load(const A* p, int j) const {
      if constexpr (partial) {
        if (j == W - 1) return Loader::load_part(p + j * N, part);
      }
      return Loader::load(p + j * N);
    }

    // What lanes l, l + count, l + 2 count, ... add up to in the tree: all in registers. L of them are added up side by
    // side.
    template <int count>
    HWY_INLINE void tree(V (&sum)[W], int64_t l) const {
      constexpr int L = std::min(lanes, W <= (many_registers ? 2 : 1) ? 4 : 2);
      V lane[L][W];
      if constexpr (count * L < lanes) {
        tree<2 * count>(lane[0], l);
        tree<2 * count>(lane[1], l + count);
      } else {
        auto term = [&](int i, int64_t p) HWY_ATTR {
          V right = P::spread(x + p);
#pragma GCC unroll 4
          for (int j = 0; j < W; ++j) lane[i][j] = P::multiply_add(load(a + p * a_stride, j), right, lane[i][j]);
        };
#pragma GCC unroll 4
        for (int i = 0; i < L; ++i) {
#pragma GCC unroll 4
          for (int j = 0; j < W; ++j) lane[i][j] = P::zero();
        }
        int64_t p = l;
        for (; p + (L - 1) * count < k; p += lanes) {
#pragma GCC unroll 4
          for (int i = 0; i < L; ++i) term(i, p + i * count);
        }
#pragma GCC unroll 4
        for (int i = 0; i < L - 1; ++i) {
          if (p + i * count < k) term(i, p + i * count);
        }
        if constexpr (L == 4) {
#pragma GCC unroll 2
          for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 4
            for (int j = 0; j < W; ++j) lane[i][j] = P::add(lane[i][j], lane[i + 2][j]);
          }
        }
      }
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) sum[j] = P::add(lane[0][j], lane[1][j]);
    }
  };

  template <class Loader, int W, bool partial, class A = typename Loader::Element>
  static HWY_NOINLINE void near_columns(
      int64_t k, const A* a, int64_t a_stride, const T* x, T* out, bool add, int64_t part) {
    V sum[W];
    Near<Loader, W, partial>{k, a_stride, a, x, part}.template tree<1>(sum, 0);
    constexpr int whole = W - partial;
#pragma GCC unroll 4
    for (int j = 0; j < whole; ++j) P::store(add ? P::add(sum[j], P::load(out + j * N)) : sum[j], out + j * N);
    if constexpr (partial) {
      HWY_ALIGN T rest[N];
      P::store(sum[whole], rest);
      for (int64_t i = 0; i < part; ++i) out[whole * N + i] = add ? rest[i] + out[whole * N + i] : rest[i];
    }
  }

  template <int C>
  using Columns = std::integral_constant<int, C>;

  template <class Loader, class A = typename Loader::Element>
  static HWY_NOINLINE void far_lanes(
      int64_t count, int64_t pitch, int64_t k, const A* left, int64_t a_stride, const T* right, T* sums) {
    auto lane_by_lane = [&]<int C, bool first>(
                            Columns<C>, std::bool_constant<first>, int64_t p, int64_t length) HWY_ATTR {
      for (int64_t l = 0; l < length; ++l) {
        some_columns<Loader, C, first>(count, left + (p + l) * a_stride, a_stride, right + p + l, sums + l * pitch);
      }
    };
    int64_t p = std::min<int64_t>(k, lanes);
    if (k >= 8 * lanes) {
      lane_by_lane(Columns<8>(), std::true_type(), 0, lanes);
      p = 8 * lanes;
    } else if (k >= 2 * lanes) {
      lane_by_lane(Columns<2>(), std::true_type(), 0, lanes);
      p = 2 * lanes;
    } else {
      lane_by_lane(Columns<1>(), std::true_type(), 0, p);
      std::fill_n(sums + p * pitch, (lanes - p) * pitch, T(0));
    }
    for (; p + 8 * lanes <= k; p += 8 * lanes) lane_by_lane(Columns<8>(), std::false_type(), p, lanes);
    for (; p + 2 * lanes <= k; p += 2 * lanes) lane_by_lane(Columns<2>(), std::false_type(), p, lanes);
    for (; p < k; p += lanes) lane_by_lane(Columns<1>(), std::false_type(), p, std::min<int64_t>(lanes, k - p));
  }

  template <class Loader>
  static void columns(int64_t rows, int64_t k, const void* a, int64_t a_stride, const void* x, void* out, bool add) {
    // Rows whose partial sums are in memory at once: where a comes from afar, as many as make few look-ups of pages.
    constexpr int64_t size = sizeof(T), most = 4096 / size;
    constexpr int wide = many_registers && std::is_same_v<V, hn::Vec<typename P::D>> ? 4 : 2;
    // Of 16-bit floats this is a block of a longer matrix.
    using A = typename Loader::Element;
    const bool near = rows * k * static_cast<int64_t>(sizeof(A)) <= int64_t{1} << (sizeof(A) == sizeof(T) ? 20 : 17);
    auto* right = static_cast<const T*>(x);
    HWY_ALIGN T sums[lanes * most];
    for (int64_t start = 0, count = 0; start < rows; start += count) {
      auto* left = static_cast<const A*>(a) + start;
      count = std::min(most, rows - start);
      int64_t pitch = (count + N - 1) / N * N;
      if (near && (parts_are_loaded<Loader> || count >= N)) {
        const int64_t part = parts_are_loaded<Loader> && count < wide * N ? count % N : 0;
        const int64_t vectors = std::min<int64_t>(wide, count / N + (part > 0));
        count = std::min(count, vectors * N);
        auto run = [&]<int vectors_of>(Columns<vectors_of>) HWY_ATTR {
          if constexpr (vectors_of <= wide) {
            auto body = near_columns<Loader, vectors_of, false>;
            if constexpr (parts_are_loaded<Loader>) {
              if (part > 0) body = near_columns<Loader, vectors_of, true>;
            }
            body(k, left, a_stride, right, static_cast<T*>(out) + start, add, part);
          }
        };
        vectors == 1   ? run(Columns<1>())
        : vectors == 2 ? run(Columns<2>())
        : vectors == 3 ? run(Columns<3>())
                       : run(Columns<4>());
        continue;
      }
      far_lanes<Loader>(count, pitch, k, left, a_stride, right, sums);
      for (int half = lanes / 2; half > 0; half /= 2) {
        for (int64_t i = 0; i < half * pitch; i += N) {
          P::store(P::add(P::load(sums + i), P::load(sums + i + half * pitch)), sums + i);
        }
      }
      auto* to = static_cast<T*>(out) + start;
      for (int64_t i = 0; i < count; ++i) to[i] = add ? sums[i] + to[i] : sums[i];
    }
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
