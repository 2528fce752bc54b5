// As many vectors as a vector has lanes, and the other way round: lines read as columns. Compiled once per instruction
// set.

// Per-target include guard
#if defined(MLX_CPU_LANE_SQUARE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_LANE_SQUARE_INL_H
#undef MLX_CPU_LANE_SQUARE_INL_H
#else
#define MLX_CPU_LANE_SQUARE_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
struct LaneSquare {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  static constexpr int64_t N = hn::MaxLanes(D());

  // Within blocks of 16 bytes, of as many vectors as a block has elements.
  static HWY_INLINE void transpose_blocks(V* w) {
    const D d;
    if constexpr (sizeof(T) == 8) {
      V low = hn::InterleaveLower(d, w[0], w[1]), high = hn::InterleaveUpper(d, w[0], w[1]);
      w[0] = low, w[1] = high;
    } else {
      const hn::Repartition<double, D> wide;
      auto pairs = [&](V x) HWY_ATTR { return hn::BitCast(wide, x); };
      auto ab = pairs(hn::InterleaveLower(d, w[0], w[1])), ab2 = pairs(hn::InterleaveUpper(d, w[0], w[1]));
      auto ce = pairs(hn::InterleaveLower(d, w[2], w[3])), ce2 = pairs(hn::InterleaveUpper(d, w[2], w[3]));
      w[0] = hn::BitCast(d, hn::InterleaveLower(wide, ab, ce));
      w[1] = hn::BitCast(d, hn::InterleaveUpper(wide, ab, ce));
      w[2] = hn::BitCast(d, hn::InterleaveLower(wide, ab2, ce2));
      w[3] = hn::BitCast(d, hn::InterleaveUpper(wide, ab2, ce2));
    }
  }
  // Lane l of vector i becomes lane i of vector l.
  static HWY_INLINE void transpose(V* v) {
    if constexpr (N > 1) {
      constexpr int64_t per_block = 16 / sizeof(T);
#pragma GCC unroll 16
      for (int64_t i = 0; i < N; i += per_block) transpose_blocks(v + i);
#if HWY_MAX_BYTES > 16
      const D d;
      constexpr int64_t blocks = N / per_block;
#pragma GCC unroll 4
      for (int64_t i = 0; i < per_block; ++i) {
        if constexpr (blocks == 2) {
          V a = v[i], b = v[i + per_block];
          v[i] = hn::ConcatLowerLower(d, b, a), v[i + per_block] = hn::ConcatUpperUpper(d, b, a);
        } else if constexpr (blocks == 4) {
          V *a = v + i, *b = a + per_block, *c = b + per_block, *e = c + per_block;
          V ac = hn::ConcatLowerLower(d, *c, *a), ac2 = hn::ConcatUpperUpper(d, *c, *a);
          V be = hn::ConcatLowerLower(d, *e, *b), be2 = hn::ConcatUpperUpper(d, *e, *b);
          *a = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(be), ac),
          *b = hn::OddEvenBlocks(be, hn::SwapAdjacentBlocks(ac));
          *c = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(be2), ac2);
          *e = hn::OddEvenBlocks(be2, hn::SwapAdjacentBlocks(ac2));
        }
      }
#endif
    }
  }

  // Rows of N numbers, `apart` from each other, as columns. Where parts of them can be read into a vector's parts, that
  // spares shuffles which would move them. Columns from `columns` on may be anything, and are not read where they are
  // in a part of their own.
  static HWY_INLINE void read_transposed(const T* p, int64_t apart, V* v, [[maybe_unused]] int64_t columns = N) {
#if HWY_TARGET == HWY_AVX3
    constexpr int64_t per_block = 16 / sizeof(T);
    const hn::Half<D> half;
    auto halves = [&](const T* at, int64_t row) HWY_ATTR {
      return hn::Combine(D(), hn::LoadU(half, at + (row + per_block) * apart), hn::LoadU(half, at + row * apart)).raw;
    };
#pragma GCC unroll 4
    for (int64_t c = 0; c < N && c < columns; c += 2 * per_block) {
#pragma GCC unroll 4
      for (int64_t i = 0; i < per_block; ++i) {
        const auto a = halves(p + c, i), b = halves(p + c, i + 2 * per_block);
        if constexpr (sizeof(T) == 4) {
          v[c + i] = V{_mm512_shuffle_f32x4(a, b, 0x88)}, v[c + per_block + i] = V{_mm512_shuffle_f32x4(a, b, 0xdd)};
        } else {
          v[c + i] = V{_mm512_shuffle_f64x2(a, b, 0x88)}, v[c + per_block + i] = V{_mm512_shuffle_f64x2(a, b, 0xdd)};
        }
      }
      transpose_blocks(v + c), transpose_blocks(v + c + per_block);
    }
#elif HWY_TARGET == HWY_AVX2
    constexpr int64_t per_block = 16 / sizeof(T);
#pragma GCC unroll 4
    for (int64_t c = 0; c < N && c < columns; c += per_block) {
#pragma GCC unroll 4
      for (int64_t i = 0; i < per_block; ++i) {
        auto block = [&](int64_t row)
                         HWY_ATTR { return _mm_loadu_ps(reinterpret_cast<const float*>(p + c + (i + row) * apart)); };
        const __m256 both = _mm256_insertf128_ps(_mm256_castps128_ps256(block(0)), block(per_block), 1);
        v[c + i] = hn::BitCast(D(), hn::Vec<hn::ScalableTag<float>>{both});
      }
      transpose_blocks(v + c);
    }
#else
    for (int64_t l = 0; l < N; ++l) v[l] = hn::LoadU(D(), p + l * apart);
    transpose(v);
#endif
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
