// Reduction bodies, compiled once per instruction set. Included by reduce_*.cpp through hwy/foreach_target.h.

// Per-target include guard
#if defined(MLX_CPU_REDUCE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_REDUCE_INL_H
#undef MLX_CPU_REDUCE_INL_H
#else
#define MLX_CPU_REDUCE_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

#include "mlx_core/cpu/fetch_lines.h"
#include "mlx_core/cpu/reduce_kernels.h"
#include "mlx_core/cpu/reduce_ops-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Reduces elements of type In, each made of `parts` values (2 where complex numbers are added).
template <typename Op, typename In, int parts = 1>
struct Bodies {
  using P = Wide<In>;
  static constexpr bool simd = Op::template simd<P>;
  static constexpr int lane_values = std::max(1, 256 / static_cast<int>(sizeof(P)));
  static constexpr int lanes = lane_values / parts;

  static HWY_INLINE P convert(In x) { return static_cast<P>(x); }

  static void start(const void* in_data, int64_t n, void* acc_data) {
    auto* HWY_RESTRICT in = static_cast<const In*>(in_data);
    auto* HWY_RESTRICT acc = static_cast<P*>(acc_data);
    n *= parts;
    int64_t i = 0;
    if constexpr (simd) {
      const hn::ScalableTag<P> d;
      constexpr int64_t N = hn::MaxLanes(d);
      for (; i + N <= n; i += N) hn::StoreU(load_partial(d, in + i), d, acc + i);
      if (i < n && n >= N) return hn::StoreU(load_partial(d, in + n - N), d, acc + n - N); // some again
    }
    for (; i < n; ++i) acc[i] = convert(in[i]);
  }

  template <typename T>
  static HWY_INLINE void join(const T* HWY_RESTRICT in, int64_t n, P* HWY_RESTRICT acc) {
    int64_t i = 0;
    if constexpr (simd) {
      const hn::ScalableTag<P> d;
      constexpr int64_t N = hn::MaxLanes(d);
      for (; i + 2 * N <= n; i += 2 * N) {
        auto a = Op::vector(hn::LoadU(d, acc + i), load_partial(d, in + i));
        auto b = Op::vector(hn::LoadU(d, acc + i + N), load_partial(d, in + i + N));
        hn::StoreU(a, d, acc + i);
        hn::StoreU(b, d, acc + i + N);
      }
      if (i + N <= n) {
        hn::StoreU(Op::vector(hn::LoadU(d, acc + i), load_partial(d, in + i)), d, acc + i);
        i += N;
      }
    }
    for (; i < n; ++i) acc[i] = Op::scalar(acc[i], static_cast<P>(in[i]));
  }

  static void accumulate(const void* in, int64_t n, void* acc) {
    join(static_cast<const In*>(in), n * parts, static_cast<P*>(acc));
  }

  static void combine(const void* more, int64_t n, void* acc) {
    join(static_cast<const P*>(more), n * parts, static_cast<P*>(acc));
  }

  // ---- columns ----

  struct Vectors {
    static constexpr int64_t step() { return hn::MaxLanes(hn::ScalableTag<P>()); }
    static HWY_INLINE auto load_in(const In* p) { return load_partial(hn::ScalableTag<P>(), p); }
    static HWY_INLINE auto load(const P* p) { return hn::LoadU(hn::ScalableTag<P>(), p); }
    template <typename V>
    static HWY_INLINE V join(V a, V b) {
      return Op::vector(a, b);
    }
    template <typename V>
    static HWY_INLINE void store(V v, P* p) {
      hn::StoreU(v, hn::ScalableTag<P>(), p);
    }
  };
  struct Scalars {
    static constexpr int64_t step() { return 1; }
    static HWY_INLINE P load_in(const In* p) { return convert(*p); }
    static HWY_INLINE P load(const P* p) { return *p; }
    static HWY_INLINE P join(P a, P b) { return Op::scalar(a, b); }
    static HWY_INLINE void store(P v, P* p) { *p = v; }
  };

  // Up to four lanes, the leaves of a small tree, and what it is then joined to: all in one pass over the columns.
  struct Leaves {
    static constexpr int64_t usual_rows = 16;           // of all lanes: as many streams as the processor follows
    const In* rows[reduce_block / std::min(lanes, 64)]; // those of the first lane, then of the next
    int64_t counts[4] = {};
    const P* left[16]; // accumulators to join from the left, in this order
    int lefts = 0;
    P* to;
  };

  template <typename Word, int words>
  struct Columns {
    decltype(Word::load(nullptr)) v[words];

    HWY_INLINE Columns(const In* const* rows, int64_t count, int64_t i) {
#pragma GCC unroll 4
      for (int k = 0; k < words; ++k) v[k] = Word::load_in(rows[0] + i + k * Word::step());
      for (int64_t r = 1; r < count; ++r) {
#pragma GCC unroll 4
        for (int k = 0; k < words; ++k) v[k] = Word::join(v[k], Word::load_in(rows[r] + i + k * Word::step()));
      }
    }
    HWY_INLINE void join(const Columns& right) {
#pragma GCC unroll 4
      for (int k = 0; k < words; ++k) v[k] = Word::join(v[k], right.v[k]);
    }
    HWY_INLINE void finish(const Leaves& leaves, int64_t i) {
      for (int l = 0; l < leaves.lefts; ++l) {
#pragma GCC unroll 4
        for (int k = 0; k < words; ++k) v[k] = Word::join(Word::load(leaves.left[l] + i + k * Word::step()), v[k]);
      }
#pragma GCC unroll 4
      for (int k = 0; k < words; ++k) Word::store(v[k], leaves.to + i + k * Word::step());
    }
  };

  template <typename Word, int words>
  static HWY_INLINE void join_leaves(const Leaves& leaves, int64_t i) {
    using C = Columns<Word, words>;
    const In* const* rows = leaves.rows;
    const int64_t* counts = leaves.counts;
    C all(rows, counts[0], i);
    rows += counts[0];
    if (counts[1] > 0) all.join(C(rows, counts[1], i));
    rows += counts[1];
    if (counts[2] > 0) {
      C right(rows, counts[2], i);
      if (counts[3] > 0) right.join(C(rows + counts[2], counts[3], i));
      all.join(right);
    }
    all.finish(leaves, i);
  }

  // Apart: of a larger function the compiler keeps sums in memory.
  static HWY_NOINLINE void pass(const Leaves& leaves, int64_t n) {
    int64_t i = 0;
    if constexpr (simd) {
      constexpr int64_t N = Vectors::step();
      for (; i + 4 * N <= n; i += 4 * N) join_leaves<Vectors, 4>(leaves, i);
      for (; i + N <= n; i += N) join_leaves<Vectors, 1>(leaves, i);
      if (i < n && n >= N) return join_leaves<Vectors, 1>(leaves, n - N); // some again: nothing is read and written
    }
    for (; i < n; ++i) join_leaves<Scalars, 1>(leaves, i);
  }

  static HWY_INLINE const In* at_bytes(const void* p, int64_t bytes) {
    return reinterpret_cast<const In*>(static_cast<const char*>(p) + bytes);
  }

  // The tree over `tree_lanes` lanes, depth first: there lane i and i + half come first, so a lane belongs to the
  // right where its bit `half` is set. A left side waits in the buffer of its level, behind the n results.
  static void columns(const char* base, const int64_t* offsets, int64_t count, int64_t tree_lanes, int64_t n,
      int64_t lines, int64_t step, void* acc_data) {
    auto* acc = static_cast<P*>(acc_data);
    n *= parts;
    tree_lanes = std::min(tree_lanes, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count))));
    int64_t in_lane = (count + tree_lanes - 1) / tree_lanes, used = std::min(count, tree_lanes), leaf_lanes = 1;
    while (leaf_lanes < std::min<int64_t>(tree_lanes, 4) && 2 * leaf_lanes * in_lane <= Leaves::usual_rows)
      leaf_lanes *= 2;
    const int64_t leaves_used = tree_lanes / leaf_lanes;
    for (int64_t leaf = 0, done = 0; done < leaves_used; ++done) {
      if (leaf < used) {
        Leaves leaves;
        const In** row = leaves.rows;
        for (int64_t k = 0; k < leaf_lanes; ++k) { // 0, 2, 1, 3
          int64_t lane = leaf + leaves_used * (leaf_lanes == 4 ? k / 2 + k % 2 * 2 : k);
          for (int64_t r = lane; r < count; r += tree_lanes, ++leaves.counts[k]) *row++ = at_bytes(base, offsets[r]);
        }
        leaves.to = acc;
        P* buffer = acc + n * lines;
        for (int64_t node = leaf, half = leaves_used / 2; half > 0; node &= ~half, half /= 2, buffer += n * lines) {
          if (node & half) {
            leaves.left[leaves.lefts++] = buffer;
          } else if (node + half < used) { // there is a right side
            leaves.to = buffer;
            break;
          }
        }
        for (int64_t line = 0; line < lines; ++line, leaves.to += n) {
          pass(leaves, n);
          for (const In** at = leaves.rows; at != row; ++at) *at = at_bytes(*at, step);
          for (int l = 0; l < leaves.lefts; ++l) leaves.left[l] += n;
        }
      }
      int64_t bit = leaves_used / 2;
      for (; leaf & bit; bit /= 2) leaf &= ~bit; // counts with its bits reversed
      leaf |= bit;
    }
  }

  // To other memory, so that the last vector may do some again.
  template <typename T>
  static HWY_INLINE void join_two(const T* a, const T* b, int64_t n, P* HWY_RESTRICT out) {
    auto by_vectors = [&](auto d) HWY_ATTR {
      const int64_t N = static_cast<int64_t>(hn::MaxLanes(d));
      auto one = [&](int64_t i)
                     HWY_ATTR { hn::StoreU(Op::vector(load_partial(d, a + i), load_partial(d, b + i)), d, out + i); };
      for (int64_t i = 0; i + N <= n; i += N) one(i);
      if (n % N != 0) one(n - N);
    };
    if constexpr (simd) {
      const hn::ScalableTag<P> d;
      const hn::Half<decltype(d)> half;
      if (n >= int64_t{hn::MaxLanes(d)}) return by_vectors(d);
      if (n >= int64_t{hn::MaxLanes(half)}) return by_vectors(half);
    }
    for (int64_t i = 0; i < n; ++i) out[i] = Op::scalar(static_cast<P>(a[i]), static_cast<P>(b[i]));
  }

  // A level of the tree is one pass over the rows that are left.
  static void groups(const void* in_data, int64_t rows, int64_t n, int64_t groups, void* acc_data) {
    const auto* in = static_cast<const In*>(in_data);
    auto *acc = static_cast<P*>(acc_data), *lane = acc + groups * n * parts;
    n *= parts;
    const int64_t used = std::min<int64_t>(rows, lanes);
    // `count` runs of n become the first of `half`.
    auto level = [n](const auto* from, int64_t count, int64_t half, P* to) HWY_ATTR {
      join_two(from, from + half * n, (count - half) * n, to);
      const auto* rest = from + (count - half) * n;
      if (2 * half > count) start(rest, (2 * half - count) * n / parts, to + (count - half) * n);
    };
    for (int64_t group = 0; group < groups; ++group, in += rows * n, acc += n) {
      auto half = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(used)) / 2);
      if (half == 0) { // one row, or lane
        start(in, n / parts, acc);
        for (int64_t r = 1; r < rows; ++r) join(in + r * n, n, acc);
        continue;
      }
      P *from = lane, *to = lane + lanes * n;
      if (rows > used) {
        start(in, used * n / parts, from);
        for (int64_t r = used; r < rows; r += used) join(in + r * n, std::min(used, rows - r) * n, from);
        level(from, used, half, half == 1 ? acc : to);
      } else {
        level(in, used, half, half == 1 ? acc : to);
      }
      for (; half > 1; half /= 2) {
        std::swap(from, to);
        level(from, half, half / 2, half == 2 ? acc : to);
      }
    }
  }

  static void store(const void* acc, int64_t n, void* out) {
    for (int64_t i = 0; i < n * parts; ++i) static_cast<In*>(out)[i] = static_cast<In>(static_cast<const P*>(acc)[i]);
  }

  static HWY_INLINE void fold_lanes(P* acc, int64_t count) {
    while (count > 1) {
      int64_t half = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count)) / 2);
      join(acc + half * parts, (count - half) * parts, acc);
      count = half;
    }
  }

  // The first `count` values, and what leaves the result as it is in the lanes beyond.
  template <class D>
  static HWY_INLINE hn::Vec<D> load_padded(D d, const In* in, int64_t count) {
    const auto neutral = hn::Set(d, Op::template neutral<P>());
    const auto mask = hn::FirstN(d, static_cast<size_t>(count));
    if constexpr (std::is_same_v<In, P> && (HWY_TARGET == HWY_AVX3 || (HWY_TARGET == HWY_AVX2 && sizeof(P) >= 4))) {
      return hn::IfThenElse(mask, hn::MaskedLoad(mask, d, in), neutral); // touches those alone
    } else if constexpr (sizeof(In) == 2 && sizeof(P) == 4 && HWY_TARGET == HWY_AVX3) {
      const hn::Rebind<uint16_t, D> bits;
      const auto some = hn::FirstN(bits, static_cast<size_t>(count));
      return hn::IfThenElse(
          mask, promoted<In>(d, hn::MaskedLoad(some, bits, reinterpret_cast<const uint16_t*>(in))), neutral);
    } else {
      HWY_ALIGN In part[hn::MaxLanes(D())] = {};
      std::copy(in, in + count, part);
      return hn::IfThenElse(mask, load_partial(d, part), neutral);
    }
  }

  // Joins lanes as fold_lanes() does, down to one in acc; of small integers, to a few. Returns how many.
  template <class D>
  static HWY_INLINE int64_t fold_vector(D d, hn::Vec<D> v, P* acc) {
    constexpr int N = hn::MaxLanes(D());
    if constexpr (N * sizeof(P) > 16) {
      const hn::Half<D> half;
      return fold_vector(half, Op::vector(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), acc);
    } else {
      if constexpr (sizeof(P) == 4) {
        v = Op::vector(v, hn::Shuffle1032(v));
        if constexpr (parts == 1) v = Op::vector(v, hn::Shuffle2301(v));
      } else if constexpr (sizeof(P) == 8 && parts == 1) {
        v = Op::vector(v, hn::Shuffle01(v));
      }
      hn::Store(v, d, acc);
      return sizeof(P) >= 4 ? 1 : N / parts;
    }
  }

  // The lanes of n values, in registers, joined into acc as far as fold_vector() does. Returns how many are left.
  static HWY_INLINE int64_t run_lanes(const In* HWY_RESTRICT in, int64_t n, P* HWY_RESTRICT acc) {
    const hn::ScalableTag<P> d;
    constexpr int N = hn::MaxLanes(d);
    constexpr int vectors = lane_values / N;
    hn::Vec<decltype(d)> v[vectors];
    if (Op::template slow<P> && n < lane_values) { // only what there is
#pragma GCC unroll 16
      for (int k = 0; k < vectors; ++k) {
        if (n >= (k + 1) * N)
          v[k] = load_partial(d, in + k * N);
        else if (k == 0 || n > k * N)
          v[k] = load_padded(d, in + k * N, n - k * N);
      }
#pragma GCC unroll 8
      for (int half = vectors / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
        for (int k = 0; k < half; ++k) {
          if (n > (k + half) * N) v[k] = Op::vector(v[k], v[k + half]);
        }
      }
      return fold_vector(d, v[0], acc);
    }
    if (n < lane_values) {
#pragma GCC unroll 16
      for (int k = 0; k < vectors; ++k) v[k] = hn::Set(d, Op::template neutral<P>());
    } else {
#pragma GCC unroll 16
      for (int k = 0; k < vectors; ++k) v[k] = load_partial(d, in + k * N);
      for (in += lane_values, n -= lane_values; n >= lane_values; in += lane_values, n -= lane_values) {
        // The processor's own prefetching ends where a page does, which elements of 16 bits wait for; wider ones gain
        // nothing.
        if constexpr (sizeof(In) < sizeof(P)) fetch_lines(in, 2048, lane_values * sizeof(In));
#pragma GCC unroll 16
        for (int k = 0; k < vectors; ++k) v[k] = Op::vector(v[k], load_partial(d, in + k * N));
      }
    }
    if (n > 0) {
#pragma GCC unroll 16
      for (int k = 0; k < vectors; ++k) {
        if (n >= (k + 1) * N)
          v[k] = Op::vector(v[k], load_partial(d, in + k * N));
        else if (n > k * N)
          v[k] = Op::vector(v[k], load_padded(d, in + k * N, n - k * N));
      }
    }
    return fold_vectors(d, v, acc);
  }

  template <class D, class V, int vectors>
  static HWY_INLINE int64_t fold_vectors(D d, V (&v)[vectors], P* acc) {
#pragma GCC unroll 8
    for (int half = vectors / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
      for (int k = 0; k < half; ++k) v[k] = Op::vector(v[k], v[k + half]);
    }
    return fold_vector(d, v[0], acc);
  }

  static void vectors(const char* in, const int64_t* offsets, int64_t count, void* partial) {
    const hn::ScalableTag<P> d;
    constexpr int side_by_side = lane_values / hn::MaxLanes(d);
    const auto load = [=](int64_t i) HWY_ATTR { return load_partial(d, reinterpret_cast<const In*>(in + offsets[i])); };
    hn::Vec<decltype(d)> v[side_by_side];
#pragma GCC unroll 16
    for (int k = 0; k < side_by_side; ++k) v[k] = load(k);
    int64_t i = side_by_side;
    for (; i + side_by_side <= count; i += side_by_side) {
#pragma GCC unroll 16
      for (int k = 0; k < side_by_side; ++k) v[k] = Op::vector(v[k], load(i + k));
    }
#pragma GCC unroll 16
    for (int k = 0; k < side_by_side; ++k) {
      if (i + k < count) v[k] = Op::vector(v[k], load(i + k));
    }
    HWY_ALIGN P acc[lane_values];
    fold_lanes(acc, fold_vectors(d, v, acc));
    *static_cast<P*>(partial) = acc[0];
  }

  static HWY_INLINE void reduce_block_to(const In* in, int64_t n, P* partial) {
    HWY_ALIGN P acc[lane_values];
    int64_t left = std::min<int64_t>(n, lanes);
    if constexpr (simd) {
      fold_lanes(acc, run_lanes(in, n * parts, acc));
      for (int p = 0; p < parts; ++p) partial[p] = acc[p];
      return;
    }
    start(in, left, acc);
    for (int64_t done = left; done < n; done += lanes) {
      join(in + done * parts, std::min<int64_t>(lanes, n - done) * parts, acc);
    }
    fold_lanes(acc, left);
    for (int p = 0; p < parts; ++p) partial[p] = acc[p];
  }

  static void block(const void* in, int64_t n, void* partial) {
    reduce_block_to(static_cast<const In*>(in), n, static_cast<P*>(partial));
  }

  static void finish(void* partials, int64_t count, void* out) {
    fold_lanes(static_cast<P*>(partials), count);
    store(partials, 1, out);
  }

  static void identity(void* out) {
    for (int p = 0; p < parts; ++p) static_cast<In*>(out)[p] = static_cast<In>(Op::template identity<P>());
  }

  static void rows(const void* in, int64_t n, int64_t row_bytes, int64_t rows, void* out) {
    for (int64_t r = 0; r < rows; ++r) {
      P partial[parts];
      reduce_block_to(reinterpret_cast<const In*>(static_cast<const char*>(in) + r * row_bytes), n, partial);
      store(partial, 1, static_cast<In*>(out) + r * parts);
    }
  }

  static constexpr auto by_vectors() {
    if constexpr (simd && parts == 1) {
      return &vectors;
    } else {
      return nullptr;
    }
  }
  static constexpr int vector = static_cast<int>(hn::MaxLanes(hn::ScalableTag<P>()));

  static const ReduceKernels& kernels() {
    static constexpr ReduceKernels all{lanes, parts * static_cast<int>(sizeof(P)), &block, &finish, &identity, &rows,
        &start, &accumulate, &combine, &store, &columns, &groups, by_vectors(), by_vectors() ? vector : 0};
    return all;
  }
};

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
