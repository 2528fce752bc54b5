// Short Fourier transforms of rows whose elements are neighbours, a product R1 R2 each: a few rows lie side by side in
// vectors, are transformed across these, turned in blocks of B x B, and transformed across again. Compiled once per
// instruction set.

// Per-target include guard
#if defined(MLX_CPU_FFT_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_FFT_ROWS_INL_H
#undef MLX_CPU_FFT_ROWS_INL_H
#else
#define MLX_CPU_FFT_ROWS_INL_H
#endif

#include <hwy/highway.h>

#include "mlx_core/cpu/fft_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
struct FftRows : FftSideBySide<T> {
  using Lanes = FftSideBySide<T>;
  using typename Fft<T>::D;
  using typename Fft<T>::V;
  using typename Fft<T>::C;
  using Fft<T>::N;
  static constexpr int most_rows = 16;

  static constexpr int64_t per_block = 16 / sizeof(T);

  // Rows that are done at once; 0 where this way is not for that length.
  static int64_t rows_of(const FftTask<T>& task) {
    const FftPlan<T>& plan = task.plan;
    const int64_t n = plan.n;
    if (plan.convolves() || (task.kind != FftKind::complex && (!plan.packed || n < 2 * N))) return 0;
    bool fits = (n == 4 && N >= 4) || (n == 16 && N >= 4) || (n == 32 && N >= 8);
#if HWY_TARGET != HWY_AVX2 // which has registers for less than eight numbers and what is computed of them
    fits = fits || (N >= 8 && ((n == 8 && sizeof(T) == 4) || n == 64 || n == 128 || n == 256));
#endif
    return fits ? most_rows : 0;
  }
  static int64_t scratch_of(const FftPlan<T>& plan) {
    return plan.n <= 256 ? between_of(plan.n) + (most_rows + 1) * 2 * plan.n : 0;
  }
  static int64_t between_of(int64_t n) { return std::max<int64_t>(4 * n, 2 * N); }

  // B complex numbers of each of N / B rows: blocks of 16 bytes, a row's after the other row's where B fills two and
  // there are two rows, so that turn() finds what belongs together in halves.
  template <int B>
  static HWY_INLINE C load_parts(const T* const* row, int64_t at) {
    const D d;
    V low, high;
    if constexpr (B == N) {
      return Fft<T>::load2(row[0] + at);
    } else if constexpr (2 * B == N) {
      low = hn::LoadU(d, row[0] + at), high = hn::LoadU(d, row[1] + at);
#if HWY_TARGET == HWY_AVX3
      if constexpr (B == 2 * per_block) {
        C c;
        if constexpr (sizeof(T) == 4) {
          const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 16, 18, 20, 22, 8, 10, 12, 14, 24, 26, 28, 30);
          const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 17, 19, 21, 23, 9, 11, 13, 15, 25, 27, 29, 31);
          c.re = V{_mm512_permutex2var_ps(low.raw, even, high.raw)};
          c.im = V{_mm512_permutex2var_ps(low.raw, odd, high.raw)};
        } else {
          const __m512i even = _mm512_setr_epi64(0, 2, 8, 10, 4, 6, 12, 14),
                        odd = _mm512_setr_epi64(1, 3, 9, 11, 5, 7, 13, 15);
          c.re = V{_mm512_permutex2var_pd(low.raw, even, high.raw)};
          c.im = V{_mm512_permutex2var_pd(low.raw, odd, high.raw)};
        }
        return c;
      }
#endif
    } else {
      static_assert(4 * B == N);
      const hn::Half<D> half;
      low = hn::Combine(d, hn::LoadU(half, row[1] + at), hn::LoadU(half, row[0] + at));
      high = hn::Combine(d, hn::LoadU(half, row[3] + at), hn::LoadU(half, row[2] + at));
    }
    return {hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low)};
  }
  template <int B>
  static HWY_INLINE void store_parts(C c, T* const* row, int64_t at) {
    const D d;
    V low, high;
    if constexpr (B == N) {
      return Fft<T>::store2(c, row[0] + at);
    } else if constexpr (2 * B == N) {
#if HWY_TARGET == HWY_AVX3
      if constexpr (B == 2 * per_block) {
        if constexpr (sizeof(T) == 4) {
          const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
          const __m512i second = _mm512_setr_epi32(4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
          low = V{_mm512_permutex2var_ps(c.re.raw, first, c.im.raw)};
          high = V{_mm512_permutex2var_ps(c.re.raw, second, c.im.raw)};
        } else {
          const __m512i first = _mm512_setr_epi64(0, 8, 1, 9, 4, 12, 5, 13),
                        second = _mm512_setr_epi64(2, 10, 3, 11, 6, 14, 7, 15);
          low = V{_mm512_permutex2var_pd(c.re.raw, first, c.im.raw)};
          high = V{_mm512_permutex2var_pd(c.re.raw, second, c.im.raw)};
        }
        hn::StoreU(low, d, row[0] + at), hn::StoreU(high, d, row[1] + at);
        return;
      }
#endif
      Fft<T>::interleave(c, low, high);
      hn::StoreU(low, d, row[0] + at), hn::StoreU(high, d, row[1] + at);
    } else {
      static_assert(4 * B == N);
      const hn::Half<D> half;
      Fft<T>::interleave(c, low, high);
      hn::StoreU(hn::LowerHalf(half, low), half, row[0] + at);
      hn::StoreU(hn::UpperHalf(half, low), half, row[1] + at);
      hn::StoreU(hn::LowerHalf(half, high), half, row[2] + at);
      hn::StoreU(hn::UpperHalf(half, high), half, row[3] + at);
    }
  }
  // Vector k's number of column p of each row becomes vector p's of place k.
  template <int B>
  static HWY_INLINE void turn(V* v) {
#pragma GCC unroll 4
    for (int i = 0; i < B; i += per_block) Lanes::Square::transpose_blocks(v + i);
#if HWY_MAX_BYTES > 16
    if constexpr (B == 2 * per_block) {
#pragma GCC unroll 4
      for (int i = 0; i < per_block; ++i) {
        V a = v[i], b = v[i + per_block];
        v[i] = hn::ConcatLowerLower(D(), b, a), v[i + per_block] = hn::ConcatUpperUpper(D(), b, a);
      }
    }
#else
    static_assert(B == per_block);
#endif
  }

  template <int R>
  static HWY_INLINE void across(C* a, const T* roots) {
    if constexpr (R == 16) {
      Fft<T>::sixteen(a, roots);
    } else {
      Fft<T>::template butterfly<R>(a, nullptr);
    }
  }
  // Rows of R1 R2 numbers, N / B of them at once; there are as many as a multiple of that. Between the transforms,
  // column p of block h of the first ones' outputs is h R2 + p. `product`: of a node that is a product, whose roots all
  // multiply; the others skip those that are 1, as its passes do.
  template <int R1, int R2, bool product, bool swap>
  static HWY_NOINLINE void turned(
      const FftNode<T>& node, int64_t rows, const T* const* in, T* const* out, T scale, T* scratch) {
    constexpr int B =
        N > per_block && R1 % (2 * per_block) == 0 && R2 % (2 * per_block) == 0 ? 2 * per_block : per_block;
    constexpr int G = N / B, blocks = R1 / B;
    const D d;
    const T* roots1 = product ? node.first->passes[0].roots : nullptr;
    const T* roots2 = product ? node.second->passes[0].roots : R2 == 16 ? node.passes[1].roots : nullptr;
    // Lanes of place 0 in the first block.
    const hn::RebindToSigned<D> integers;
    const auto lane = hn::Iota(integers, 0);
    const auto ones =
        hn::RebindMask(d, hn::And(hn::Eq(hn::And(lane, hn::Set(integers, per_block - 1)), hn::Zero(integers)),
                              hn::Lt(lane, hn::Set(integers, B == per_block ? N : G * per_block))));
    const int64_t shift = B == N && B > per_block ? per_block : 0; // of one row
    const T *cosines = node.turned_cosines.data() + shift, *sines = node.turned_sines.data() + shift;
    const V factor = hn::Set(d, scale);
    const bool scaled = scale != T(1);
    auto last = [&](C* a, int h, T* const* to) HWY_ATTR {
      across<R2>(a, roots2);
#pragma GCC unroll 16
      for (int q = 0; q < R2; ++q) {
        C c = scaled ? C(hn::Mul(a[q].re, factor), hn::Mul(a[q].im, factor)) : a[q];
        store_parts<B>(swap ? C(c.im, c.re) : c, to, 2 * (h * B + q * R1));
      }
    };
    for (; rows > 0; rows -= G, in += G, out += G) {
#pragma GCC unroll 1
      for (int column = 0; column < R2; column += B) {
        C a[R1];
#pragma GCC unroll 16
        for (int k = 0; k < R1; ++k) {
          C c = load_parts<B>(in, 2 * (k * R2 + column));
          a[k] = swap ? C(c.im, c.re) : c;
        }
        across<R1>(a, roots1);
#pragma GCC unroll 4
        for (int h = 0; h < blocks; ++h) {
          V re[B], im[B];
#pragma GCC unroll 8
          for (int i = 0; i < B; ++i) re[i] = a[h * B + i].re, im[i] = a[h * B + i].im;
          turn<B>(re), turn<B>(im);
          C b[B];
#pragma GCC unroll 8
          for (int i = 0; i < B; ++i) {
            const int64_t at = (h * R2 + column + i) * table_slack;
            C c(re[i], im[i]);
            C times = Fft<T>::mul(c, hn::LoadU(d, cosines + at), hn::LoadU(d, sines + at));
            if (product || (h > 0 && column + i > 0)) {
              c = times;
            } else if (column + i > 0) {
              c = C(hn::IfThenElse(ones, c.re, times.re), hn::IfThenElse(ones, c.im, times.im));
            }
            if constexpr (R2 == B) {
              b[i] = c;
            } else {
              T* to = scratch + (h * R2 + column + i) * 2 * N;
              hn::Store(c.re, d, to), hn::Store(c.im, d, to + N);
            }
          }
          if constexpr (R2 == B) last(b, h, out);
        }
      }
      if constexpr (R2 != B) {
        asm("" : "+r"(scratch) : : "memory");
#pragma GCC unroll 1
        for (int h = 0; h < blocks; ++h) {
          C b[R2];
#pragma GCC unroll 16
          for (int p = 0; p < R2; ++p) {
            const T* from = scratch + (h * R2 + p) * 2 * N;
            b[p] = {hn::Load(d, from), hn::Load(d, from + N)};
          }
          last(b, h, out);
        }
      }
    }
  }
  // Rows of R numbers, as many as a vector's lanes at once: what is turned is rows and places.
  template <int R, bool swap>
  static HWY_NOINLINE void whole(int64_t rows, const T* const* in, T* const* out, T scale) {
    constexpr int G = N / R;
    const V factor = hn::Set(D(), scale);
    for (; rows > 0; rows -= N, in += N, out += N) {
      V re[R], im[R];
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) {
        C c = load_parts<R>(in + i * G, 0);
        re[i] = swap ? c.im : c.re, im[i] = swap ? c.re : c.im;
      }
      turn<R>(re), turn<R>(im);
      C a[R];
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) a[i] = C(re[i], im[i]);
      across<R>(a, nullptr);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) re[i] = hn::Mul(a[i].re, factor), im[i] = hn::Mul(a[i].im, factor);
      turn<R>(re), turn<R>(im);
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) store_parts<R>(swap ? C(im[i], re[i]) : C(re[i], im[i]), out + i * G, 0);
    }
  }
  template <bool swap>
  static void complex(const FftNode<T>& node, int64_t rows, const T* const* in, T* const* out, T scale, T* scratch) {
    if constexpr (N >= 4) {
      if (node.n == 4) return whole<4, swap>(rows, in, out, scale);
      if (node.n == 16) return turned<4, 4, false, swap>(node, rows, in, out, scale, scratch);
    }
    if constexpr (N >= 8) {
      if constexpr (sizeof(T) == 4) {
        if (node.n == 8) return whole<8, swap>(rows, in, out, scale);
      }
      if (node.n == 32) return turned<8, 4, false, swap>(node, rows, in, out, scale, scratch);
      if (node.n == 64) return turned<8, 8, false, swap>(node, rows, in, out, scale, scratch);
      if (node.n == 128) return turned<8, 16, false, swap>(node, rows, in, out, scale, scratch);
      turned<16, 16, true, swap>(node, rows, in, out, scale, scratch);
    }
  }

  // step(X[k], X[h - k], cosine, sine) for k = 1, ..., h / 2, where h >= 2 N; scaled. Not in place: vectors overlap.
  template <class Step>
  static HWY_INLINE void pairs(const FftPlan<T>& plan, const T* in, T* out, T scale, Step step) {
    const D d;
    const int64_t h = plan.n;
    for (int64_t at = 1; at <= h / 2; at += N) {
      const int64_t k = std::min(at, h / 2 - N + 1), back = h - k - N + 1;
      C a = Fft<T>::load2(in + 2 * k), b = Fft<T>::load2(in + 2 * back);
      b = {hn::Reverse(d, b.re), hn::Reverse(d, b.im)};
      step(a, b, hn::LoadU(d, plan.half_cosines.data() + k), hn::LoadU(d, plan.half_sines.data() + k));
      a = Fft<T>::times(a, scale), b = Fft<T>::times(b, scale);
      Fft<T>::store2({hn::Reverse(d, b.re), hn::Reverse(d, b.im)}, out + 2 * back);
      Fft<T>::store2(a, out + 2 * k);
    }
  }

  // `count` rows, at most most_rows. What fills the last vectors up is computed and dropped.
  static void run(const FftTask<T>& task, int count, const T* const* in, T* const* out, T* scratch) {
    const FftPlan<T>& plan = task.plan;
    const int64_t n = plan.n;
    const int64_t together = n <= 8 ? N : std::max<int64_t>(1, N / 4); // or a multiple of those that are
    const int64_t rows = (count + together - 1) / together * together;
    T* between = scratch + between_of(n);
    T* dropped = between + most_rows * 2 * n;
    const T* from[most_rows];
    T* to[most_rows];
    for (int i = 0; i < rows; ++i) {
      from[i] = in[std::min(i, count - 1)];
      to[i] = i < count ? out[i] : dropped;
    }
    if (task.kind == FftKind::complex) {
      return task.inverse ? complex<true>(plan.node, rows, from, to, task.scale, scratch)
                          : complex<false>(plan.node, rows, from, to, task.scale, scratch);
    }
    if (task.kind == FftKind::from_real) {
      for (int i = 0; i < rows; ++i) to[i] = between + i * 2 * n;
      complex<false>(plan.node, rows, from, to, T(1), scratch);
      for (int i = 0; i < count; ++i) {
        T* z = to[i];
        const T re = z[0], im = z[1], scale = task.scale / 2;
        out[i][0] = 2 * (re + im) * scale, out[i][1] = 0;
        out[i][2 * n] = 2 * (re - im) * scale, out[i][2 * n + 1] = 0;
        pairs(plan, z, out[i], scale, [](C& a, C& b, V cosine, V sine) HWY_ATTR { Lanes::split(a, b, cosine, sine); });
      }
      return;
    }
    for (int i = 0; i < count; ++i) {
      T* z = between + i * 2 * n;
      z[0] = in[i][0] + in[i][2 * n], z[1] = in[i][0] - in[i][2 * n];
      pairs(plan, in[i], z, T(1), [](C& a, C& b, V cosine, V sine) HWY_ATTR { Lanes::joined(a, b, cosine, sine); });
    }
    for (int i = 0; i < rows; ++i) from[i] = between + std::min(i, count - 1) * 2 * n;
    complex<true>(plan.node, rows, from, to, task.scale, scratch);
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
