// One Fourier transform whose elements are neighbours: its parts lie in the lanes of vectors. Compiled once per
// instruction set.

// Per-target include guard
#if defined(MLX_CPU_FFT_ONE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_FFT_ONE_INL_H
#undef MLX_CPU_FFT_ONE_INL_H
#else
#define MLX_CPU_FFT_ONE_INL_H
#endif

#include <hwy/highway.h>

#include "mlx_core/cpu/fft_lanes-inl.h"
#include "mlx_core/cpu/fft_rows-inl.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename T>
struct FftOne : FftSideBySide<T> {
  using Lanes = FftSideBySide<T>;
  using typename Fft<T>::D;
  using typename Fft<T>::V;
  using typename Fft<T>::C;
  using typename Fft<T>::Blocks;
  template <bool swap>
  using Input = typename Fft<T>::template Input<swap>;
  template <bool swap>
  using Output = typename Fft<T>::template Output<swap>;
  using Fft<T>::N;

  static int64_t vectors(int64_t n) { return (n + N - 1) / N; }

  // ---- n = n1 n2: columns of the n1 x n2 matrix of the input, then its rows ----

  // Of a thread: a column of vectors, another one where a vector has fewer lanes, and what the nodes need.
  static int64_t part_of(const FftNode<T>& node) {
    const int64_t n1 = node.first->n, n2 = node.second->n;
    return 2 * N *
           (vectors(n1) * N + group_of(node) * std::max(n1, n2) +
               std::max(Fft<T>::scratch_of(*node.first), Fft<T>::scratch_of(*node.second)));
  }
  // A row has a vector more than it needs: at distances of powers of 2 they would fall on the same lines of a cache.
  static int64_t row_of(const FftNode<T>& node) { return 2 * N * (vectors(node.first->n) + 1); }
  static int64_t matrix_of(const FftNode<T>& node) { return row_of(node) * node.second->n; }

  // Where rows of the matrix are far from each other, this many vectors of each are read or written at once.
  static int64_t group_of(const FftNode<T>& node) {
    return node.n * static_cast<int64_t>(sizeof(T)) >= 128 << 10 ? 4 : 1;
  }

  // Columns j0 and those behind it, up to `end`: their transforms, times roots of unity, as rows of the transposed
  // matrix.
  template <bool swap>
  static void columns(const FftNode<T>& node, const T* in, int64_t next, int64_t j0, int64_t end, T* matrix, T* part) {
    const int64_t n1 = node.first->n, n2 = node.second->n, most = std::max(n1, n2);
    Blocks to{part};
    T *some = part + 2 * N * vectors(n1) * N, *rest = some + 2 * N * group_of(node) * most;
    Input<swap> from{in + 2 * j0, 2 * n2, next};
    if (end - j0 == N) {
      Fft<T>::run(*node.first, from, to, rest);
      return turn(node, to, j0, N, matrix);
    }
    for (int64_t j = 0; j < n1; ++j) {
      const T* p = from.p + j * from.step;
      for (int64_t at = j0, g = 0; at < end; at += N, ++g, p += 2 * N) {
        Blocks{some + 2 * N * g * most}.store(j, at + N <= end ? Fft<T>::load2(p) : Lanes::load2_some(p, end - at));
      }
    }
    for (int64_t at = j0, g = 0; at < end; at += N, ++g) {
      Fft<T>::run(*node.first, Blocks{some + 2 * N * g * most}.swapped(swap), to, rest);
      turn(node, to, at, std::min<int64_t>(N, end - at), matrix);
    }
  }
  static HWY_NOINLINE void turn(const FftNode<T>& node, Blocks to, int64_t j0, int64_t count, T* matrix) {
    const int64_t n1 = node.first->n, row = row_of(node);
    for (int64_t k = n1; k < vectors(n1) * N; ++k) to.store(k, {hn::Zero(D()), hn::Zero(D())});
    const T *cosines = node.cosines.data() + j0 * node.pitch, *sines = node.sines.data() + j0 * node.pitch;
    matrix += j0 * row;
    for (int64_t k0 = 0; k0 < n1; k0 += N, matrix += 2 * N) {
      V re[N], im[N];
      Lanes::Square::read_transposed(to.p + 2 * N * k0, 2 * N, re);
      Lanes::Square::read_transposed(to.p + 2 * N * k0 + N, 2 * N, im);
      auto store = [&](int64_t l, V x, V y) HWY_ATTR {
        const int64_t root = l * node.pitch + k0;
        C c = Fft<T>::mul(C(x, y), hn::LoadU(D(), cosines + root), hn::LoadU(D(), sines + root));
        hn::Store(c.re, D(), matrix + l * row);
        hn::Store(c.im, D(), matrix + l * row + N);
      };
      if (count == N) {
#pragma GCC unroll 16
        for (int64_t l = 0; l < N; ++l) store(l, re[l], im[l]);
      } else {
        HWY_ALIGN T all[2 * N * N];
#pragma GCC unroll 16
        for (int64_t l = 0; l < N; ++l) {
          hn::Store(re[l], D(), all + 2 * N * l);
          hn::Store(im[l], D(), all + 2 * N * l + N);
        }
        for (int64_t l = 0; l < count; ++l) {
          store(l, hn::Load(D(), all + 2 * N * l), hn::Load(D(), all + 2 * N * l + N));
        }
      }
    }
  }
  // Rows k0 and those behind it, up to `end`.
  template <bool swap>
  static void rows(
      const FftNode<T>& node, const T* matrix, int64_t k0, int64_t end, T* out, int64_t next, T scale, T* part) {
    const int64_t n1 = node.first->n, n2 = node.second->n, most = std::max(n1, n2);
    T *some = part + 2 * N * vectors(n1) * N, *rest = some + 2 * N * group_of(node) * most;
    Blocks from{const_cast<T*>(matrix) + 2 * k0, row_of(node)};
    Output<swap> to{out + 2 * k0, 2 * n1, scale, next};
    if (end - k0 == N) {
      return Fft<T>::run(*node.second, from, to, rest);
    }
    for (int64_t at = k0, g = 0; at < end; at += N, ++g, from.p += 2 * N) {
      Fft<T>::run(*node.second, from, Blocks{some + 2 * N * g * most}, rest);
    }
    for (int64_t k = 0; k < n2; ++k) {
      T* p = to.p + k * to.step;
      for (int64_t at = k0, g = 0; at < end; at += N, ++g, p += 2 * N) {
        C c = Fft<T>::times(Blocks{some + 2 * N * g * most}.load(k), scale);
        c = swap ? C(c.im, c.re) : c;
        at + N <= end ? Fft<T>::store2(c, p) : Lanes::store2_some(c, p, end - at);
      }
    }
  }
  static void node(const FftNode<T>& node, const T* in, bool swap_in, T* out, bool swap_out, T scale, T* scratch,
      int threads, int64_t next_in = 0, int64_t next_out = 0) {
    const int64_t n1 = node.first->n, n2 = node.second->n, part = part_of(node);
    T* parts = scratch + matrix_of(node);
    const int64_t group = group_of(node) * N;
    auto each = [&](int64_t length, int64_t work, auto&& body) {
      const int64_t steps = (length + group - 1) / group;
      auto piece = [&](int64_t i) {
        InterruptPoll poll(1 << 18);
        for (int64_t at = i * steps / threads, end = (i + 1) * steps / threads; at < end; ++at) {
          poll(work * group);
          body(at * group, std::min(length, (at + 1) * group), parts + i * part);
        }
      };
      if (threads == 1) {
        piece(0);
      } else {
        parallel_for(threads, piece);
      }
    };
    each(n2, n1, [&](int64_t j0, int64_t end, T* own) {
      swap_in ? columns<true>(node, in, next_in, j0, end, scratch, own)
              : columns<false>(node, in, next_in, j0, end, scratch, own);
    });
    each(n1, n2, [&](int64_t k0, int64_t end, T* own) {
      swap_out ? rows<true>(node, scratch, k0, end, out, next_out, scale, own)
               : rows<false>(node, scratch, k0, end, out, next_out, scale, own);
    });
  }

  // ---- a convolution by the spectrum of a plan, in vectors whose real and imaginary parts lie apart ----

  // Whether whole vectors are all there is, and one thread does it.
  static bool in_blocks(const FftNode<T>& node) {
    return node.first->n % N == 0 && node.second->n % N == 0 && group_of(node) == 1 && node.n < 1 << 14;
  }
  static void separate(T* row, int64_t n) {
    for (int64_t j = 0; j < n; j += N) {
      const C c = Fft<T>::load2(row + 2 * j);
      hn::StoreU(c.re, D(), row + 2 * j), hn::StoreU(c.im, D(), row + 2 * j + N);
    }
  }
  struct Multiplied {
    T* p;
    int64_t step;
    const T* factor;
    HWY_INLINE void store(int64_t j, C c) const {
      const T* f = factor + j * step;
      Blocks{p, step}.store(j, Fft<T>::mul(c, hn::LoadU(D(), f), hn::LoadU(D(), f + N)));
    }
    Multiplied every(int64_t first, int64_t stride) const {
      return {p + first * step, step * stride, factor + first * step};
    }
  };
  template <class Out>
  static void node_in_blocks(const FftNode<T>& node, Blocks in, Out out, T* scratch) {
    const int64_t n1 = node.first->n, n2 = node.second->n;
    T *part = scratch + matrix_of(node), *rest = part + 2 * N * n1;
    for (int64_t j0 = 0; j0 < n2; j0 += N) {
      Fft<T>::run(*node.first, in.every(j0 / N, n2 / N), Blocks{part}, rest);
      turn(node, Blocks{part}, j0, N, scratch);
    }
    for (int64_t k0 = 0; k0 < n1; k0 += N) {
      Fft<T>::run(*node.second, Blocks{scratch + 2 * k0, row_of(node)}, out.every(k0 / N, n1 / N), rest);
    }
  }
  static void convolve(
      const FftPlan<T>& plan, const T* in, bool swap_in, T* out, bool swap_out, T scale, T* row, T* scratch) {
    const int64_t n = plan.n, m = plan.node.n;
    const T* chirp = plan.chirp.data();
    const Blocks blocks{row};
    auto some = [&](const T* p, int64_t j)
                    HWY_ATTR { return j + N <= n ? Fft<T>::load2(p + 2 * j) : Lanes::load2_some(p + 2 * j, n - j); };
    int64_t j = 0;
    for (; j < n; j += N) {
      const C x = some(in, j), root = some(chirp, j);
      blocks.store(j / N, Fft<T>::mul(swap_in ? C(x.im, x.re) : x, root.re, root.im));
    }
    std::fill(row + 2 * j, row + 2 * m, T(0));
    node_in_blocks(plan.node, blocks, Multiplied{row, 2 * N, plan.spectrum.data()}, scratch);
    node_in_blocks(plan.node, blocks.swapped(true), blocks.swapped(true), scratch);
    for (j = 0; j < n; j += N) {
      const C root = some(chirp, j);
      C c = Fft<T>::times(Fft<T>::mul(blocks.load(j / N), root.re, root.im), scale);
      if (swap_out) c = C(c.im, c.re);
      j + N <= n ? Fft<T>::store2(c, out + 2 * j) : Lanes::store2_some(c, out + 2 * j, n - j);
    }
  }

  // ---- interleaved rows ----

  // out = a b, where a's parts change places if `swap`, those of the product if `swap_out`; then times scale.
  static void product(const T* a, bool swap, const T* b, int64_t n, T* out, bool swap_out, T scale) {
    auto step = [&](C x, C y) HWY_ATTR {
      C z = swap ? Fft<T>::mul(C(x.im, x.re), y.re, y.im) : Fft<T>::mul(x, y.re, y.im);
      z = Fft<T>::times(z, scale);
      return swap_out ? C(z.im, z.re) : z;
    };
    int64_t j = 0;
    for (; j + N <= n; j += N) Fft<T>::store2(step(Fft<T>::load2(a + 2 * j), Fft<T>::load2(b + 2 * j)), out + 2 * j);
    if (j < n) {
      Lanes::store2_some(
          step(Lanes::load2_some(a + 2 * j, n - j), Lanes::load2_some(b + 2 * j, n - j)), out + 2 * j, n - j);
    }
  }
  static HWY_INLINE V reversed(V v) { return hn::Reverse(D(), v); }
  // step(X[k], X[h - k], cosine, sine) of a row for k = 1, ..., h / 2; scaled.
  template <class Step>
  static HWY_INLINE void pairs(const FftPlan<T>& plan, const T* in, T* out, T scale, Step step) {
    const int64_t h = plan.n;
    int64_t k = 1;
    for (; k + N - 1 < h - k - N + 1; k += N) {
      const int64_t back = h - k - N + 1;
      C a = Fft<T>::load2(in + 2 * k), b = Fft<T>::load2(in + 2 * back);
      b = {reversed(b.re), reversed(b.im)};
      step(a, b, hn::LoadU(D(), plan.half_cosines.data() + k), hn::LoadU(D(), plan.half_sines.data() + k));
      a = Fft<T>::times(a, scale), b = Fft<T>::times(b, scale);
      Fft<T>::store2(a, out + 2 * k);
      Fft<T>::store2({reversed(b.re), reversed(b.im)}, out + 2 * back);
    }
    while (k <= h - k) {
      const int64_t count = std::min(N, h / 2 - k + 1);
      HWY_ALIGN T low[2 * N] = {}, high[2 * N] = {};
      for (int64_t l = 0; l < count; ++l) {
        std::memcpy(low + 2 * l, in + 2 * (k + l), 2 * sizeof(T));
        std::memcpy(high + 2 * l, in + 2 * (h - k - l), 2 * sizeof(T));
      }
      C a = Fft<T>::load2(low), b = Fft<T>::load2(high);
      step(a, b, hn::LoadU(D(), plan.half_cosines.data() + k), hn::LoadU(D(), plan.half_sines.data() + k));
      Fft<T>::store2(Fft<T>::times(a, scale), low);
      Fft<T>::store2(Fft<T>::times(b, scale), high);
      for (int64_t l = 0; l < count; ++l) {
        std::memcpy(out + 2 * (h - k - l), high + 2 * l, 2 * sizeof(T));
        std::memcpy(out + 2 * (k + l), low + 2 * l, 2 * sizeof(T));
      }
      k += count;
    }
  }

  static int64_t scratch_of(const FftPlan<T>& plan, int threads) {
    if (plan.node.is_leaf()) {
      return 0;
    }
    return matrix_of(plan.node) + threads * part_of(plan.node) + 2 * plan.node.n + (plan.packed ? 2 : 4) * plan.n + 64;
  }

  // What any length's transform is made of.
  static void complex(const FftPlan<T>& plan, const T* in, bool swap_in, T* out, bool swap_out, T scale, T* scratch,
      int threads, int64_t next_in = 0, int64_t next_out = 0) {
    if (!plan.convolves()) {
      return node(plan.node, in, swap_in, out, swap_out, scale, scratch, threads, next_in, next_out);
    }
    const int64_t m = plan.node.n;
    T *row = scratch, *rest = scratch + (2 * m + 15) / 16 * 16;
    if (in_blocks(plan.node)) return convolve(plan, in, swap_in, out, swap_out, scale, row, rest);
    product(in, swap_in, plan.chirp.data(), plan.n, row, false, T(1));
    std::fill(row + 2 * plan.n, row + 2 * m, T(0));
    node(plan.node, row, false, row, false, T(1), rest, threads);
    product(row, false, plan.spectrum.data(), m, row, false, T(1));
    node(plan.node, row, true, row, true, T(1), rest, threads);
    product(row, false, plan.chirp.data(), plan.n, out, swap_out, scale);
  }

  static void run(const FftTask<T>& task, const T* in, T* out, T* scratch, int threads) {
    const FftPlan<T>& plan = task.plan;
    const int64_t n = plan.n, half = plan.length / 2;
    if (task.kind == FftKind::complex) {
      return complex(
          plan, in, task.inverse, out, task.inverse, task.scale, scratch, threads, task.next_in, task.next_out);
    }
    T *row = scratch, *rest = scratch + (2 * n + 15) / 16 * 16;
    if (task.kind == FftKind::from_real) {
      if (!plan.packed) {
        T *to = rest, *after = rest + (2 * n + 15) / 16 * 16;
        for (int64_t j = 0; j < n; ++j) row[2 * j] = in[j], row[2 * j + 1] = 0;
        complex(plan, row, false, to, false, task.scale, after, threads);
        std::memcpy(out, to, static_cast<size_t>(2 * (half + 1)) * sizeof(T));
        out[1] = 0; // which a convolution only comes near to
        return;
      }
      complex(plan, in, false, out, false, T(1), rest, threads, task.next_in, task.next_out);
      const T re = out[0], im = out[1], scale = task.scale / 2;
      out[0] = 2 * (re + im) * scale, out[1] = 0;
      out[2 * n] = 2 * (re - im) * scale, out[2 * n + 1] = 0;
      return pairs(
          plan, out, out, scale, [](C& a, C& b, V cosine, V sine) HWY_ATTR { Lanes::split(a, b, cosine, sine); });
    }
    if (!plan.packed) {
      T *to = rest, *after = rest + (2 * n + 15) / 16 * 16;
      row[0] = in[0], row[1] = 0;
      for (int64_t k = 1; k <= half; ++k) {
        row[2 * k] = in[2 * k], row[2 * k + 1] = in[2 * k + 1];
        row[2 * (n - k)] = in[2 * k], row[2 * (n - k) + 1] = -in[2 * k + 1];
      }
      complex(plan, row, true, to, true, task.scale, after, threads);
      for (int64_t j = 0; j < n; ++j) out[j] = to[2 * j];
      return;
    }
    row[0] = in[0] + in[2 * n], row[1] = in[0] - in[2 * n];
    pairs(plan, in, row, T(1), [](C& a, C& b, V cosine, V sine) HWY_ATTR { Lanes::joined(a, b, cosine, sine); });
    complex(plan, row, true, out, true, task.scale, rest, threads, 0, task.next_out);
  }
};

// ---- the table ----

template <typename T>
const FftKernels<T>& kernels_of_fft() {
  static constexpr FftKernels<T> all{
      static_cast<int>(Fft<T>::N),
      [](const FftPlan<T>& plan, int threads) {
        return std::max({plan.convolves() ? 0 : FftSideBySide<T>::scratch_of(plan),
            FftOne<T>::scratch_of(plan, threads), FftRows<T>::scratch_of(plan)});
      },
      [](const FftTask<T>& task, int count, const FftLanes<T, const T*>& in, const FftLanes<T, T*>& out, T* scratch) {
        FftSideBySide<T>::run(task, count, in, out, scratch);
      },
      [](const FftTask<T>& task) { return FftRows<T>::rows_of(task); },
      [](const FftTask<T>& task, int count, const T* const* in, T* const* out, T* scratch) {
        FftRows<T>::run(task, count, in, out, scratch);
      },
      [](const FftTask<T>& task, const T* in, T* out, T* scratch, int threads) {
        FftOne<T>::run(task, in, out, scratch, threads);
      },
      [](const FftPlan<T>& plan, const T* in, T* out, T scale, T* scratch) {
        FftOne<T>::node(plan.node, in, false, out, false, scale, scratch, 1);
        if (FftOne<T>::in_blocks(plan.node)) FftOne<T>::separate(out, plan.node.n);
      },
  };
  return all;
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
