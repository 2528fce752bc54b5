// Passes of Fourier transforms over vectors, compiled once per instruction set: what lies in the lanes is not known
// here.

// Per-target include guard
#if defined(MLX_CPU_FFT_RADIX_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_FFT_RADIX_INL_H
#undef MLX_CPU_FFT_RADIX_INL_H
#else
#define MLX_CPU_FFT_RADIX_INL_H
#endif

#include <hwy/highway.h>

#include <type_traits>
#include <utility>

#include "mlx_core/cpu/fft_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
struct Fft {
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  static constexpr int64_t N = hn::MaxLanes(D());

  // A vector of complex numbers.
  struct C {
    HWY_INLINE C() {}
    HWY_INLINE C(V real, V imag) : re(real), im(imag) {}
    V re, im;
  };
  static HWY_INLINE C add(C a, C b) { return {hn::Add(a.re, b.re), hn::Add(a.im, b.im)}; }
  static HWY_INLINE C sub(C a, C b) { return {hn::Sub(a.re, b.re), hn::Sub(a.im, b.im)}; }
  static HWY_INLINE C mul(C a, V cosine, V sine) {
    return {hn::NegMulAdd(a.im, sine, hn::Mul(a.re, cosine)), hn::MulAdd(a.im, cosine, hn::Mul(a.re, sine))};
  }
  static HWY_INLINE C times(C a, T factor) {
    V f = hn::Set(D(), factor);
    return {hn::Mul(a.re, f), hn::Mul(a.im, f)};
  }

  // Interleaved complex numbers.
  static HWY_INLINE C load2(const T* p) {
    C c;
#if HWY_TARGET == HWY_AVX3
    V low = hn::LoadU(D(), p), high = hn::LoadU(D(), p + N);
    c.re = hn::ConcatEven(D(), high, low), c.im = hn::ConcatOdd(D(), high, low);
#else
    hn::LoadInterleaved2(D(), p, c.re, c.im);
#endif
    return c;
  }
  // The numbers of the first half of the lanes, and of the second.
  static HWY_INLINE void interleave(C c, V& low_half, V& high_half) {
#if HWY_TARGET == HWY_AVX3
    if constexpr (sizeof(T) == 4) {
      const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      low_half = V{_mm512_permutex2var_ps(c.re.raw, low, c.im.raw)};
      high_half = V{_mm512_permutex2var_ps(c.re.raw, high, c.im.raw)};
    } else {
      const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11),
                    high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
      low_half = V{_mm512_permutex2var_pd(c.re.raw, low, c.im.raw)};
      high_half = V{_mm512_permutex2var_pd(c.re.raw, high, c.im.raw)};
    }
#else
    const V low = hn::InterleaveLower(D(), c.re, c.im), high = hn::InterleaveUpper(D(), c.re, c.im);
#if HWY_MAX_BYTES > 16
    low_half = hn::ConcatLowerLower(D(), high, low), high_half = hn::ConcatUpperUpper(D(), high, low);
#else
    low_half = low, high_half = high;
#endif
#endif
  }
  static HWY_INLINE void store2(C c, T* p) {
#if HWY_TARGET == HWY_AVX3
    V low, high;
    interleave(c, low, high);
    hn::StoreU(low, D(), p);
    hn::StoreU(high, D(), p + N);
#else
    hn::StoreInterleaved2(c.re, c.im, D(), p);
#endif
  }

  // ---- where elements are read and written; an element is a vector of complex numbers ----

  // Two whole vectors for each, `re` and `im` elements from its start, which is aligned.
  struct Blocks {
    T* p;
    int64_t step = 2 * N;
    int64_t re = 0, im = N;
    HWY_INLINE C load(int64_t j) const {
      const T* at = p + j * step;
      return {hn::Load(D(), at + re), hn::Load(D(), at + im)};
    }
    HWY_INLINE void store(int64_t j, C c) const {
      T* at = p + j * step;
      hn::Store(c.re, D(), at + re);
      hn::Store(c.im, D(), at + im);
    }
    Blocks every(int64_t first, int64_t stride) const { return {p + first * step, step * stride, re, im}; }
    Blocks swapped(bool yes) const { return yes ? Blocks{p, step, im, re} : *this; }
  };
  // One after the other: scratch between passes.
  struct Dense {
    T* p;
    HWY_INLINE C load(int64_t j) const {
      const T* at = p + j * (2 * N);
      return {hn::Load(D(), at), hn::Load(D(), at + N)};
    }
    HWY_INLINE void store(int64_t j, C c) const {
      T* at = p + j * (2 * N);
      hn::Store(c.re, D(), at);
      hn::Store(c.im, D(), at + N);
    }
  };
  // Interleaved; real and imaginary parts change places where `swap`.
  template <bool swap>
  struct Input {
    const T* p;
    int64_t step;
    int64_t ahead = 0; // from here to what will be read next, which comes into the cache meanwhile; or 0
    HWY_INLINE C load(int64_t j) const {
      const T* at = p + j * step;
      C c = load2(at);
      if (ahead != 0) __builtin_prefetch(at + ahead), __builtin_prefetch(at + ahead + N);
      return swap ? C(c.im, c.re) : c;
    }
    Input every(int64_t first, int64_t stride) const { return {p + first * step, step * stride, ahead}; }
  };
  template <bool swap>
  struct Output {
    T* p;
    int64_t step;
    T scale;
    int64_t ahead = 0;
    HWY_INLINE void store(int64_t j, C c) const {
      T* at = p + j * step;
      c = times(c, scale);
      store2(swap ? C(c.im, c.re) : c, at);
      if (ahead != 0) __builtin_prefetch(at + ahead, 1), __builtin_prefetch(at + ahead + N, 1);
    }
    Output every(int64_t first, int64_t stride) const { return {p + first * step, step * stride, scale, ahead}; }
  };

  // ---- transforms of a few elements, in place ----

  static HWY_INLINE void two(C& a, C& b) {
    C sum = add(a, b);
    b = sub(a, b);
    a = sum;
  }
  // Outputs 0, 1, 2, 3 in a, b, c, d.
  static HWY_INLINE void four(C& a, C& b, C& c, C& d) {
    C s = add(a, c), t = sub(a, c), u = add(b, d), v = sub(b, d);
    a = add(s, u);
    c = sub(s, u);
    b = {hn::Add(t.re, v.im), hn::Sub(t.im, v.re)};
    d = {hn::Sub(t.re, v.im), hn::Add(t.im, v.re)};
  }
  static HWY_INLINE void eight(C* a) {
    C e0 = a[0], e1 = a[2], e2 = a[4], e3 = a[6], o0 = a[1], o1 = a[3], o2 = a[5], o3 = a[7];
    four(e0, e1, e2, e3);
    four(o0, o1, o2, o3);
    const V half = hn::Set(D(), static_cast<T>(0.70710678118654752440));
    o1 = {hn::Mul(hn::Add(o1.re, o1.im), half), hn::Mul(hn::Sub(o1.im, o1.re), half)};
    o3 = {hn::Mul(hn::Sub(o3.im, o3.re), half), hn::Mul(hn::Add(o3.re, o3.im), half)}; // times -i in the second part
    a[0] = add(e0, o0), a[4] = sub(e0, o0);
    a[1] = add(e1, o1), a[5] = sub(e1, o1);
    a[2] = {hn::Add(e2.re, o2.im), hn::Sub(e2.im, o2.re)}, a[6] = {hn::Sub(e2.re, o2.im), hn::Add(e2.im, o2.re)};
    a[3] = {hn::Add(e3.re, o3.re), hn::Sub(e3.im, o3.im)}, a[7] = {hn::Sub(e3.re, o3.re), hn::Add(e3.im, o3.im)};
  }
  // As passes of four and four, whose roots are those of the first.
  static HWY_INLINE void sixteen(C* a, const T* roots) {
    C b[16];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      four(a[p], a[p + 4], a[p + 8], a[p + 12]);
      b[4 * p] = a[p];
#pragma GCC unroll 4
      for (int k = 1; k < 4; ++k) {
        const T* root = roots + 2 * (3 * (p - 1) + k - 1);
        b[4 * p + k] = p == 0 ? a[p + 4 * k] : mul(a[p + 4 * k], hn::Set(D(), root[0]), hn::Set(D(), root[1]));
      }
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      four(b[q], b[q + 4], b[q + 8], b[q + 12]);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) a[q + 4 * k] = b[q + 4 * k];
    }
  }
  // r is odd. Output j is A - iB, r - j is A + iB, where A has the cosines, B the sines.
  static HWY_INLINE void odd(int r, C* a, const T* kernel) {
    C sum[largest_radix / 2 + 1], difference[largest_radix / 2 + 1];
    C total = a[0];
    const int half = r / 2;
#pragma GCC unroll 8
    for (int k = 1; k <= half; ++k) {
      sum[k] = add(a[k], a[r - k]);
      difference[k] = sub(a[k], a[r - k]);
      total = add(total, sum[k]);
    }
    const C first = a[0];
#pragma GCC unroll 8
    for (int j = 1; j <= half; ++j) {
      C even = first;
      C turned(hn::Zero(D()), hn::Zero(D()));
#pragma GCC unroll 8
      for (int k = 1; k <= half; ++k, kernel += 2) {
        V cosine = hn::Set(D(), kernel[0]), sine = hn::Set(D(), kernel[1]);
        even = {hn::MulAdd(cosine, sum[k].re, even.re), hn::MulAdd(cosine, sum[k].im, even.im)};
        turned = {hn::MulAdd(sine, difference[k].re, turned.re), hn::MulAdd(sine, difference[k].im, turned.im)};
      }
      a[j] = {hn::Add(even.re, turned.im), hn::Sub(even.im, turned.re)};
      a[r - j] = {hn::Sub(even.re, turned.im), hn::Add(even.im, turned.re)};
    }
    a[0] = total;
  }

  template <int R>
  static HWY_INLINE void butterfly(C* a, const T* kernel) {
    if constexpr (R == 2) {
      two(a[0], a[1]);
    } else if constexpr (R == 4) {
      four(a[0], a[1], a[2], a[3]);
    } else if constexpr (R == 8) {
      eight(a);
    } else if constexpr (R > 1) {
      odd(R, a, kernel);
    }
  }

  // ---- a pass: for each group p and place q, the transform of elements q + s (p + m k) goes to q + s (r p + k) ----

  // The last one has one group.
  template <int R, bool last, class In, class Out>
  static HWY_NOINLINE void pass(const FftPass<T>& plan, In in, Out out) {
    const int64_t m = plan.groups, s = plan.stride;
    const T* kernel = plan.kernel;
    for (int64_t q = 0; q < s; ++q) {
      C a[R];
#pragma GCC unroll 16
      for (int k = 0; k < R; ++k) a[k] = in.load(q + s * m * k);
      butterfly<R>(a, kernel);
#pragma GCC unroll 16
      for (int k = 0; k < R; ++k) out.store(q + s * k, a[k]);
    }
    if constexpr (last) return;
    const T* roots = plan.roots;
    for (int64_t p = 1; p < m; ++p, roots += 2 * (R - 1)) {
      for (int64_t q = 0; q < s; ++q) {
        C a[R];
#pragma GCC unroll 16
        for (int k = 0; k < R; ++k) a[k] = in.load(q + s * (p + m * k));
        butterfly<R>(a, kernel);
        out.store(q + s * R * p, a[0]);
#pragma GCC unroll 16
        for (int k = 1; k < R; ++k) {
          out.store(
              q + s * (R * p + k), mul(a[k], hn::Set(D(), roots[2 * (k - 1)]), hn::Set(D(), roots[2 * (k - 1) + 1])));
        }
      }
    }
  }
  // Two passes of constant radices: everything is unrolled, and addresses are constant but for the steps.
  template <int R1, int R2, class In, class Out>
  static HWY_NOINLINE void two_passes(const FftPass<T>& plan, In in, Out out, T* scratch) {
    const Dense between{scratch};
    const T* roots = plan.roots;
#pragma GCC unroll 1
    for (int p = 0; p < R2; ++p) {
      C a[R1];
#pragma GCC unroll 8
      for (int k = 0; k < R1; ++k) a[k] = in.load(p + R2 * k);
      butterfly<R1>(a, nullptr);
      between.store(R1 * p, a[0]);
      if (p == 0) {
#pragma GCC unroll 8
        for (int k = 1; k < R1; ++k) between.store(k, a[k]);
      } else {
#pragma GCC unroll 8
        for (int k = 1; k < R1; ++k) {
          between.store(R1 * p + k, mul(a[k], hn::Set(D(), roots[2 * (k - 1)]), hn::Set(D(), roots[2 * (k - 1) + 1])));
        }
        roots += 2 * (R1 - 1);
      }
    }
#pragma GCC unroll 1
    for (int q = 0; q < R1; ++q) {
      C a[R2];
#pragma GCC unroll 8
      for (int k = 0; k < R2; ++k) a[k] = between.load(q + R1 * k);
      butterfly<R2>(a, nullptr);
#pragma GCC unroll 8
      for (int k = 0; k < R2; ++k) out.store(q + R1 * k, a[k]);
    }
  }
  // Of any odd radix.
  template <class In, class Out>
  static HWY_NOINLINE void odd_pass(const FftPass<T>& plan, In in, Out out) {
    const int r = plan.radix;
    const int64_t m = plan.groups, s = plan.stride;
    C a[largest_radix];
    for (C& c : a) c = C(hn::Zero(D()), hn::Zero(D()));
    for (int64_t p = 0; p < m; ++p) {
      const T* roots = plan.roots + (p == 0 ? 0 : 2 * (p - 1) * (r - 1));
      for (int64_t q = 0; q < s; ++q) {
        for (int k = 0; k < r; ++k) a[k] = in.load(q + s * (p + m * k));
        odd(r, a, plan.kernel);
        out.store(q + s * r * p, a[0]);
        for (int k = 1; k < r; ++k) {
          C c = a[k];
          if (p > 0) c = mul(c, hn::Set(D(), roots[2 * (k - 1)]), hn::Set(D(), roots[2 * (k - 1) + 1]));
          out.store(q + s * (r * p + k), c);
        }
      }
    }
  }
  template <bool last, class In, class Out>
  static void any_pass(const FftPass<T>& plan, In in, Out out) {
    switch (plan.radix) {
      case 1: return out.store(0, in.load(0));
      case 2: return pass<2, last>(plan, in, out);
      case 3: return pass<3, last>(plan, in, out);
      case 4: return pass<4, last>(plan, in, out);
      case 5: return pass<5, last>(plan, in, out);
      case 7: return pass<7, last>(plan, in, out);
      case 8: return pass<8, last>(plan, in, out);
      default: return odd_pass(plan, in, out);
    }
  }

  // ---- a node: a transform of vectors ----

  // Elements of scratch.
  static int64_t scratch_of(const FftNode<T>& node) {
    if (node.is_leaf()) {
      return node.passes.size() > 1 ? 2 * node.n : 0;
    }
    return node.n + node.first->n + std::max(scratch_of(*node.first), scratch_of(*node.second));
  }

  template <class In, class Out>
  static void run(const FftNode<T>& node, In in, Out out, T* scratch) {
    if (node.is_leaf()) {
      const size_t passes = node.passes.size();
      const FftPass<T>& first = node.passes[0];
      if (passes == 1) {
        return any_pass<true>(first, in, out);
      }
      if (node.n == 16) return two_passes<4, 4>(first, in, out, scratch);
      if (node.n == 32) return two_passes<8, 4>(first, in, out, scratch);
      if (node.n == 64) return two_passes<8, 8>(first, in, out, scratch);
      Dense a{scratch}, b{scratch + 2 * N * node.n};
      if constexpr (std::is_same_v<Out, Blocks>) { // the last pass reads and writes the same places
        if (out.step == 2 * N) b.p = out.p;
      }
      any_pass<false>(first, in, a);
      for (size_t i = 1; i + 1 < passes; ++i) {
        any_pass<false>(node.passes[i], a, b);
        std::swap(a.p, b.p);
      }
      return any_pass<true>(node.passes[passes - 1], a, out);
    }
    Blocks a{scratch}, b{scratch + 2 * N * node.n};
    const int64_t n1 = node.first->n, n2 = node.second->n;
    T* rest = b.p + 2 * N * n1;
    for (int64_t j = 0; j < n2; ++j) {
      run(*node.first, in.every(j, n2), b, rest);
      for (int64_t k = 0; k < n1; ++k) {
        const int64_t root = j * node.pitch + k;
        a.store(k * n2 + j, mul(b.load(k), hn::Set(D(), node.cosines[root]), hn::Set(D(), node.sines[root])));
      }
    }
    for (int64_t k = 0; k < n1; ++k) {
      run(*node.second, a.every(k * n2, 1), out.every(k, n1), rest);
    }
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
