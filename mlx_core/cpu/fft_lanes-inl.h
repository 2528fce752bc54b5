// Fourier transforms of vectors side by side: reading lanes into vectors, real transforms as complex ones of half the
// length, and writing lanes. Compiled once per instruction set.

// Per-target include guard
#if defined(MLX_CPU_FFT_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_FFT_LANES_INL_H
#undef MLX_CPU_FFT_LANES_INL_H
#else
#define MLX_CPU_FFT_LANES_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "mlx_core/cpu/fft_radix-inl.h"
#include "mlx_core/cpu/lane_square-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
struct FftSideBySide : Fft<T> {
  using typename Fft<T>::D;
  using typename Fft<T>::V;
  using typename Fft<T>::C;
  using typename Fft<T>::Blocks;
  template <bool swap>
  using Input = typename Fft<T>::template Input<swap>;
  template <bool swap>
  using Output = typename Fft<T>::template Output<swap>;
  using Fft<T>::N;
  using Square = LaneSquare<T>;
  using From = FftLanes<T, const T*>;
  using To = FftLanes<T, T*>;

  // What is missing in a vector is 0.
  static HWY_INLINE V load_some(const T* p, int64_t count) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 // masked elements are not touched
    return hn::MaskedLoad(hn::FirstN(D(), static_cast<size_t>(std::max<int64_t>(0, count))), D(), p);
#else
    HWY_ALIGN T part[N] = {};
    if (count > 0) std::memcpy(part, p, static_cast<size_t>(count) * sizeof(T));
    return hn::Load(D(), part);
#endif
  }
  static HWY_INLINE void store_some(V v, T* p, int64_t count) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
    hn::BlendedStore(v, hn::FirstN(D(), static_cast<size_t>(std::max<int64_t>(0, count))), D(), p);
#else
    HWY_ALIGN T part[N];
    hn::Store(v, D(), part);
    if (count > 0) std::memcpy(p, part, static_cast<size_t>(count) * sizeof(T));
#endif
  }
  static HWY_INLINE C load2_some(const T* p, int64_t count) {
    HWY_ALIGN T part[2 * N];
    hn::Store(load_some(p, std::min(N, 2 * count)), D(), part);
    hn::Store(load_some(p + N, 2 * count - N), D(), part + N);
    return Fft<T>::load2(part);
  }
  static HWY_INLINE void store2_some(C c, T* p, int64_t count) {
    HWY_ALIGN T part[2 * N];
    Fft<T>::store2(c, part);
    store_some(hn::Load(D(), part), p, std::min(N, 2 * count));
    store_some(hn::Load(D(), part + N), p + N, 2 * count - N);
  }

  // ---- lanes into vectors and back: `length` real numbers of each, number i in vector i, `apart` elements on ----

  static void read_real(const From& from, int lanes, int64_t length, T* to, int64_t apart) {
    if (from.adjacent) {
      for (int64_t i = 0; i < length; ++i) {
        const T* p = from.lane[0] + i * from.step;
        hn::Store(lanes == N ? hn::LoadU(D(), p) : load_some(p, lanes), D(), to + i * apart);
      }
    } else if (from.step == 1) {
      read_rows(from, lanes, length, to, apart);
    } else {
      for (int64_t i = 0; i < length; ++i) {
        for (int l = 0; l < N; ++l) to[i * apart + l] = l < lanes ? from.lane[l][i * from.step] : T(0);
      }
    }
  }
  static void read_complex(const From& from, int lanes, int64_t length, T* to) {
    if (from.adjacent) {
      Blocks blocks{to};
      for (int64_t i = 0; i < length; ++i) {
        const T* p = from.lane[0] + i * from.step;
        blocks.store(i, lanes == N ? Fft<T>::load2(p) : load2_some(p, lanes));
      }
    } else if (from.step == 2) {
      read_rows(from, lanes, 2 * length, to, N);
    } else {
      for (int64_t i = 0; i < length; ++i, to += 2 * N) {
        for (int l = 0; l < N; ++l) {
          const T* p = from.lane[l < lanes ? l : 0] + i * from.step;
          to[l] = l < lanes ? p[0] : T(0);
          to[N + l] = l < lanes ? p[1] : T(0);
        }
      }
    }
  }
  static HWY_NOINLINE void read_rows(const From& from, int lanes, int64_t length, T* to, int64_t apart) {
    const int64_t between = lanes > 1 ? from.lane[1] - from.lane[0] : 0;
    bool evenly = true;
    for (int l = 2; l < lanes; ++l) evenly = evenly && from.lane[l] - from.lane[l - 1] == between;
    for (int64_t i = 0; i < length; i += N) {
      const int64_t count = std::min<int64_t>(N, length - i);
      V v[N];
      if (count == N && lanes == N && evenly) {
        Square::read_transposed(from.lane[0] + i, between, v);
      } else {
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l) {
          v[l] = l >= lanes   ? hn::Zero(D())
                 : count == N ? hn::LoadU(D(), from.lane[l] + i)
                              : load_some(from.lane[l] + i, count);
        }
        Square::transpose(v);
      }
      if (count == N) {
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l) hn::Store(v[l], D(), to + (i + l) * apart);
      } else {
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l) {
          if (l < count) hn::Store(v[l], D(), to + (i + l) * apart);
        }
      }
    }
  }

  static void write_real(const T* from, int64_t apart, int64_t length, T scale, int lanes, const To& to) {
    const V factor = hn::Set(D(), scale);
    if (to.adjacent) {
      for (int64_t i = 0; i < length; ++i) {
        T* p = to.lane[0] + i * to.step;
        V v = hn::Mul(hn::Load(D(), from + i * apart), factor);
        lanes == N ? hn::StoreU(v, D(), p) : store_some(v, p, lanes);
      }
    } else if (to.step == 1) {
      write_rows(from, apart, length, scale, lanes, to);
    } else {
      for (int64_t i = 0; i < length; ++i) {
        for (int l = 0; l < lanes; ++l) to.lane[l][i * to.step] = from[i * apart + l] * scale;
      }
    }
  }
  static void write_complex(const T* from, int64_t length, T scale, int lanes, const To& to) {
    if (to.adjacent) {
      Blocks blocks{const_cast<T*>(from)};
      for (int64_t i = 0; i < length; ++i) {
        T* p = to.lane[0] + i * to.step;
        C c = Fft<T>::times(blocks.load(i), scale);
        lanes == N ? Fft<T>::store2(c, p) : store2_some(c, p, lanes);
      }
    } else if (to.step == 2) {
      write_rows(from, N, 2 * length, scale, lanes, to);
    } else {
      for (int64_t i = 0; i < length; ++i, from += 2 * N) {
        for (int l = 0; l < lanes; ++l) {
          T* p = to.lane[l] + i * to.step;
          p[0] = from[l] * scale, p[1] = from[N + l] * scale;
        }
      }
    }
  }
  static HWY_NOINLINE void write_rows(const T* from, int64_t apart, int64_t length, T scale, int lanes, const To& to) {
    const V factor = hn::Set(D(), scale);
    for (int64_t i = 0; i < length; i += N) {
      const int64_t count = std::min<int64_t>(N, length - i);
      V v[N];
      if (count == N) {
        Square::read_transposed(from + i * apart, apart, v);
      } else {
#pragma GCC unroll 16
        for (int64_t l = 0; l < N; ++l) v[l] = l < count ? hn::Load(D(), from + (i + l) * apart) : hn::Zero(D());
        Square::transpose(v);
      }
#pragma GCC unroll 16
      for (int64_t l = 0; l < N; ++l) v[l] = hn::Mul(v[l], factor);
      if (count == N && lanes == N) {
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l) hn::StoreU(v[l], D(), to.lane[l] + i);
      } else {
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l) {
          if (l < lanes) store_some(v[l], to.lane[l] + i, count);
        }
      }
    }
  }

  // ---- real transforms of even length 2h through complex ones of length h: see split() and joined() ----

  // a = Z[k] and b = Z[h - k] become X[k] and X[h - k] of the real numbers that Z's input had in pairs, doubled.
  static HWY_INLINE void split(C& a, C& b, V cosine, V sine) {
    C even(hn::Add(a.re, b.re), hn::Sub(a.im, b.im)), odd(hn::Add(a.im, b.im), hn::Sub(b.re, a.re));
    odd = Fft<T>::mul(odd, cosine, sine);
    a = Fft<T>::add(even, odd);
    b = {hn::Sub(even.re, odd.re), hn::Sub(odd.im, even.im)};
  }
  // The other way: without halves, as inverse transforms are not divided by their length.
  static HWY_INLINE void joined(C& a, C& b, V cosine, V sine) {
    C even(hn::Add(a.re, b.re), hn::Sub(a.im, b.im)), odd(hn::Sub(a.re, b.re), hn::Add(a.im, b.im));
    odd = Fft<T>::mul(odd, cosine, hn::Neg(sine));
    a = {hn::Sub(even.re, odd.im), hn::Add(even.im, odd.re)};
    b = {hn::Add(even.re, odd.im), hn::Sub(odd.re, even.im)};
  }

  static int64_t scratch_of(const FftPlan<T>& plan) { return 2 * N * (plan.n + 1 + Fft<T>::scratch_of(plan.node)); }

  template <bool inverse>
  static void complex(const FftTask<T>& task, int lanes, const From& in, const To& out, T* scratch) {
    const FftNode<T>& node = task.plan.node;
    Blocks a{scratch}, b = a; // which a node that has begun to write does not read
    T* rest = a.p + 2 * N * node.n;
    const bool whole = lanes == N, direct_in = in.adjacent && whole, direct_out = out.adjacent && whole;
    Input<inverse> from{in.lane[0], in.step};
    Output<inverse> to{out.lane[0], out.step, task.scale};
    if (direct_in && direct_out) {
      return Fft<T>::run(node, from, to, rest);
    }
    if (!direct_in) {
      read_complex(in, lanes, node.n, a.p);
    }
    if (direct_out) {
      return Fft<T>::run(node, a.swapped(inverse), to, rest);
    }
    if (direct_in) {
      Fft<T>::run(node, from, b.swapped(inverse), rest);
    } else {
      Fft<T>::run(node, a.swapped(inverse), b.swapped(inverse), rest);
    }
    write_complex(b.p, node.n, task.scale, lanes, out);
  }

  static void run(const FftTask<T>& task, int lanes, const From& in, const To& out, T* scratch) {
    const FftPlan<T>& plan = task.plan;
    const int64_t n = plan.n;
    Blocks a{scratch}, b = a;
    T* rest = a.p + 2 * N * (n + 1);
    if (task.kind == FftKind::complex) {
      return task.inverse ? complex<true>(task, lanes, in, out, scratch)
                          : complex<false>(task, lanes, in, out, scratch);
    }
    const int64_t half = plan.length / 2;
    if (task.kind == FftKind::from_real) {
      if (!plan.packed) {
        read_real(in, lanes, n, a.p, 2 * N);
        for (int64_t j = 0; j < n; ++j) hn::Store(hn::Zero(D()), D(), a.p + j * 2 * N + N);
        Fft<T>::run(plan.node, a, b, rest);
        return write_complex(b.p, half + 1, task.scale, lanes, out);
      }
      read_real(in, lanes, 2 * n, a.p, N);
      Fft<T>::run(plan.node, a, b, rest);
      C zero = b.load(0);
      const V two = hn::Set(D(), T(2));
      b.store(0, {hn::Mul(two, hn::Add(zero.re, zero.im)), hn::Zero(D())});
      b.store(n, {hn::Mul(two, hn::Sub(zero.re, zero.im)), hn::Zero(D())});
      for (int64_t k = 1; k <= n - k; ++k) {
        C x = b.load(k), y = b.load(n - k);
        split(x, y, hn::Set(D(), plan.half_cosines[k]), hn::Set(D(), plan.half_sines[k]));
        b.store(n - k, y);
        b.store(k, x);
      }
      return write_complex(b.p, n + 1, task.scale / 2, lanes, out);
    }
    if (!plan.packed) {
      read_complex(in, lanes, half + 1, a.p);
      hn::Store(hn::Zero(D()), D(), a.p + N);
      for (int64_t k = 1; k <= half; ++k) {
        C c = a.load(k);
        a.store(n - k, {c.re, hn::Neg(c.im)});
      }
      Fft<T>::run(plan.node, a.swapped(true), b.swapped(true), rest);
      return write_real(b.p, 2 * N, n, task.scale, lanes, out);
    }
    read_complex(in, lanes, n + 1, a.p);
    C zero = a.load(0), last = a.load(n);
    a.store(0, {hn::Add(zero.re, last.re), hn::Sub(zero.re, last.re)});
    for (int64_t k = 1; k <= n - k; ++k) {
      C x = a.load(k), y = a.load(n - k);
      joined(x, y, hn::Set(D(), plan.half_cosines[k]), hn::Set(D(), plan.half_sines[k]));
      a.store(n - k, y);
      a.store(k, x);
    }
    Fft<T>::run(plan.node, a.swapped(true), b.swapped(true), rest);
    write_real(b.p, N, 2 * n, task.scale, lanes, out);
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
