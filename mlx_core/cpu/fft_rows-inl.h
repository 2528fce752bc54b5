// Short Fourier transforms of rows whose elements are neighbours: as many rows as fill a square of vectors are read
// into it, transformed across it, turned, and transformed across again. Compiled once per instruction set.

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

  // Rows that are done at once; 0 where this way is not for that length.
  static int64_t rows_of([[maybe_unused]] const FftTask<T>& task) {
#if HWY_TARGET == HWY_SCALAR
    return 0;
#else
    const FftPlan<T>& plan = task.plan;
    const int64_t n = plan.n;
    if (plan.convolves() || (task.kind != FftKind::complex && (!plan.packed || n < 2 * N))) return 0;
    bool fits = (n == 16 && N >= 4) || (n == 32 && N >= 8);
#if HWY_TARGET != HWY_AVX2 // which has registers for less than eight numbers and what is computed of them
    fits = fits || (n == 64 && N >= 8) || (n == 128 && N >= 16) ||
           (n == 256 && N >= 16 && !plan.node.is_leaf() && plan.node.first->n == 16);
#endif
    return fits ? N * N / n : 0;
#endif
  }
  static int64_t scratch_of(const FftPlan<T>& plan) {
    return 2 * N * N + (plan.n <= 256 ? most_rows * 2 * plan.n : 0) + 2 * plan.n;
  }

#if HWY_TARGET != HWY_SCALAR
  // R complex numbers of each of N / R rows, `at` elements from their starts.
  template <int R>
  static HWY_INLINE C load_parts(const T* const* row, int64_t at) {
    const D d;
    if constexpr (R == N) {
      return Fft<T>::load2(row[0] + at);
    } else {
      V low, high;
      if constexpr (2 * R == N) {
        low = hn::LoadU(d, row[0] + at), high = hn::LoadU(d, row[1] + at);
      } else {
        static_assert(4 * R == N);
        const hn::Half<D> half;
        low = hn::Combine(d, hn::LoadU(half, row[1] + at), hn::LoadU(half, row[0] + at));
        high = hn::Combine(d, hn::LoadU(half, row[3] + at), hn::LoadU(half, row[2] + at));
      }
      return {hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low)};
    }
  }
  // To every `apart`-th row.
  template <int R>
  static HWY_INLINE void store_parts(C c, T* const* row, int64_t apart, int64_t at) {
    const D d;
    if constexpr (R == N) {
      Fft<T>::store2(c, row[0] + at);
    } else {
      V low, high;
      Fft<T>::interleave(c, low, high);
      if constexpr (2 * R == N) {
        hn::StoreU(low, d, row[0] + at), hn::StoreU(high, d, row[apart] + at);
      } else {
        static_assert(4 * R == N);
        const hn::Half<D> half;
        hn::StoreU(hn::LowerHalf(half, low), half, row[0] + at);
        hn::StoreU(hn::UpperHalf(half, low), half, row[apart] + at);
        hn::StoreU(hn::LowerHalf(half, high), half, row[2 * apart] + at);
        hn::StoreU(hn::UpperHalf(half, high), half, row[3 * apart] + at);
      }
    }
  }

  template <int R>
  static HWY_INLINE void across(C* a, const T* roots) {
    if constexpr (R == 16) {
      Fft<T>::sixteen(a, roots);
    } else {
      Fft<T>::template butterfly<R>(a, nullptr);
    }
  }

  // N N / n rows of n = R1 R2 numbers. In the square, vector s R1 + k has output k of the first transforms of the rows
  // s G and on, whose R2 places lie side by side. `product`: of a node that is a product, whose roots all multiply; the
  // others skip those that are 1, as its passes do.
  template <int R1, int R2, bool product, bool swap>
  static HWY_NOINLINE void square(const FftNode<T>& node, const T* const* in, T* const* out, T scale, T* scratch) {
    constexpr int G = N / R2, S = N / R1;
    const D d;
    const T* roots1 = product ? node.first->passes[0].roots : nullptr;
    const T* roots2 = product ? node.second->passes[0].roots : R2 == 16 ? node.passes[1].roots : nullptr;
#pragma GCC unroll 1
    for (int s = 0; s < S; ++s) {
      C a[R1];
#pragma GCC unroll 16
      for (int k = 0; k < R1; ++k) {
        C c = load_parts<R2>(in + s * G, 2 * k * R2);
        a[k] = swap ? C(c.im, c.re) : c;
      }
      across<R1>(a, roots1);
      T* to = scratch + s * R1 * N;
#pragma GCC unroll 16
      for (int k = 0; k < R1; ++k) hn::Store(a[k].re, d, to + k * N), hn::Store(a[k].im, d, to + N * N + k * N);
    }
    asm("" : "+r"(scratch) : : "memory"); // from registers, it would take more shuffles
    const auto turns = hn::Ne(hn::And(hn::Iota(hn::RebindToSigned<D>(), 0), hn::Set(hn::RebindToSigned<D>(), R1 - 1)),
        hn::Zero(hn::RebindToSigned<D>()));
    const auto mask = hn::RebindMask(d, turns);
    const V factor = hn::Set(d, scale);
#pragma GCC unroll 1
    for (int g = 0; g < G; ++g) {
      V re[R2], im[R2];
      Lanes::template read_transposed<R2>(scratch + g * R2, N, re);
      Lanes::template read_transposed<R2>(scratch + N * N + g * R2, N, im);
      C b[R2];
#pragma GCC unroll 16
      for (int p = 0; p < R2; ++p) {
        C c(re[p], im[p]);
        if (product || p > 0) {
          C turned = Fft<T>::mul(c, hn::LoadU(d, node.cosines.data() + p * table_slack),
              hn::LoadU(d, node.sines.data() + p * table_slack));
          c = product ? turned : C(hn::IfThenElse(mask, turned.re, c.re), hn::IfThenElse(mask, turned.im, c.im));
        }
        b[p] = c;
      }
      across<R2>(b, roots2);
#pragma GCC unroll 16
      for (int q = 0; q < R2; ++q) {
        C c(hn::Mul(b[q].re, factor), hn::Mul(b[q].im, factor));
        store_parts<R1>(swap ? C(c.im, c.re) : c, out + g, G, 2 * q * R1);
      }
    }
  }
  template <bool swap>
  static void complex(const FftNode<T>& node, const T* const* in, T* const* out, T scale, T* scratch) {
    if constexpr (N >= 4) {
      if (node.n == 16) return square<4, 4, false, swap>(node, in, out, scale, scratch);
    }
    if constexpr (N >= 8) {
      if (node.n == 32) return square<8, 4, false, swap>(node, in, out, scale, scratch);
      if (node.n == 64) return square<8, 8, false, swap>(node, in, out, scale, scratch);
    }
    if constexpr (N >= 16) {
      if (node.n == 128) return square<8, 16, false, swap>(node, in, out, scale, scratch);
      square<16, 16, true, swap>(node, in, out, scale, scratch);
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
#endif

  // `count` rows, at most rows_of(). What fills the square up is computed and dropped.
  static void run([[maybe_unused]] const FftTask<T>& task, [[maybe_unused]] int count,
      [[maybe_unused]] const T* const* in, [[maybe_unused]] T* const* out, [[maybe_unused]] T* scratch) {
#if HWY_TARGET != HWY_SCALAR
    const FftPlan<T>& plan = task.plan;
    const int64_t n = plan.n, rows = rows_of(task);
    T* between = scratch + 2 * N * N;
    T* dropped = between + most_rows * 2 * n;
    const T* from[most_rows];
    T* to[most_rows];
    for (int i = 0; i < rows; ++i) {
      from[i] = in[std::min(i, count - 1)];
      to[i] = i < count ? out[i] : dropped;
    }
    if (task.kind == FftKind::complex) {
      return task.inverse ? complex<true>(plan.node, from, to, task.scale, scratch)
                          : complex<false>(plan.node, from, to, task.scale, scratch);
    }
    if (task.kind == FftKind::from_real) {
      for (int i = 0; i < rows; ++i) to[i] = between + i * 2 * n;
      complex<false>(plan.node, from, to, T(1), scratch);
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
    complex<true>(plan.node, from, to, task.scale, scratch);
#endif
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
