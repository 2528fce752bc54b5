// Bodies of matrix products, compiled once per instruction set. Included by product_*.cpp through hwy/foreach_target.h.

// Per-target include guard
#if defined(MLX_CPU_PRODUCT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MLX_CPU_PRODUCT_INL_H
#undef MLX_CPU_PRODUCT_INL_H
#else
#define MLX_CPU_PRODUCT_INL_H
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <complex>
#include <cstring>
#include <type_traits>

#include "mlx_core/cpu/lane_square-inl.h"
#include "mlx_core/cpu/product_arithmetic-inl.h"
#include "mlx_core/cpu/product_kernels.h"
#include "mlx_core/cpu/product_vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- matrices ----

template <class P>
struct MatrixBodies {
  using T = typename P::Element;
  using V = typename P::Value;
  static constexpr int N = P::lanes, width = N * P::vectors;

  struct Target {
    T* data;
    int64_t row, column;
    bool add;
  };
  // A panel of b: rows that are `row` apart. The next one lies `stride` behind it. While it is read, what lies `ahead`
  // comes into the cache, unless that is 0.
  struct Panel {
    const T* data;
    int64_t row, stride, ahead;
    int columns; // that exist
  };
  static constexpr int64_t few_rows = 16;
  enum Reading { whole, whole_first, masked, packed, packed_first };

  // To the next row. The compiler would keep an address of each row instead, in memory, and wait for it.
  template <class Pointer>
  static HWY_INLINE void down(Pointer& at, int64_t row) {
    at += row;
    asm("" : "+r"(at));
  }

  // Term q of those that begin at `first`, where rows are, three for each address, and at b. `mask`: of the
  // last vector's columns.
  template <int R, int W, Reading reading, class Addresses>
  static HWY_INLINE void term(V (&sum)[R][W], const Addresses& first, int64_t q, int64_t a_row, const T* HWY_RESTRICT b,
      int64_t stride, int64_t ahead, [[maybe_unused]] hn::Mask<typename P::D> mask) {
    V right[W];
    if constexpr (reading == masked) {
#pragma GCC unroll 4
      for (int j = 0; j < W - 1; ++j) right[j] = P::load(b + j * N);
      right[W - 1] = hn::MaskedLoad(mask, typename P::D(), b + (W - 1) * N);
    } else {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) {
        const T* at = b + j / P::vectors * stride + j % P::vectors * N;
        right[j] = reading >= packed ? P::load_packed(at) : P::load(at);
      }
    }
    if (reading <= whole_first && ahead != 0) {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) __builtin_prefetch(b + ahead + j * N, 0, 2);
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      V left = P::spread(first[i / 3] + (i % 3) * a_row + q);
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) sum[i][j] = P::multiply_add(left, right[j], sum[i][j]);
    }
  }

  // R rows times W vectors of columns; `masked` reads no more than the columns that exist, `packed` what pack() wrote;
  // `..._first` that, while the rows of a below these come into the cache.
  template <int R, int W, Reading reading>
  static HWY_INLINE void tile(
      int64_t k, const T* HWY_RESTRICT a, int64_t a_row, int64_t a_column, const Panel& panel, const Target& c) {
    const T* HWY_RESTRICT b = panel.data;
    const int64_t b_row = reading >= packed ? width : panel.row, stride = panel.stride, ahead = panel.ahead;
    const int columns = panel.columns;
    V sum[R][W];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) sum[i][j] = P::zero();
    }
    // What is written in the end comes near meanwhile: into the second level, as the few lines that may be on their way
    // to the first at once are those of a and b.
    if (k >= 16 && c.column == 1) {
      const T* to = c.data;
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < W; ++j) __builtin_prefetch(to + j * N, 0, 2);
        down(to, c.row);
      }
    }
    // One address for three rows: more than these the registers cannot hold.
    constexpr int groups = (R + 2) / 3;
    const T* first[groups];
#pragma GCC unroll 8
    for (int g = 0; g < groups; ++g) first[g] = a + 3 * g * a_row;
    [[maybe_unused]] const auto rest = static_cast<size_t>(columns - (W - 1) * N);
    [[maybe_unused]] const auto mask = hn::FirstN(typename P::D(), reading == masked ? rest : 0);
    // The rows of the next tile come into the cache meanwhile, a line of each at a time.
    constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
    constexpr bool bring = reading == packed_first || reading == whole_first;
    const T* next = a + R * a_row;
    int64_t p = 0;
    do {
      if constexpr (bring) {
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) __builtin_prefetch(next + i * a_row + p);
      }
      const int64_t end = bring ? std::min(k, p + line) : k;
      // Four terms of a wide tile, with fewer instructions for addresses.
      constexpr int most = W > P::vectors ? 4 : 1;
      while (p < end) {
        const int64_t terms = most > 1 && a_column == 1 && p + most <= end ? most : 1;
        term<R, W, reading>(sum, first, 0, a_row, b, stride, ahead, mask);
        if (most > 1 && terms == most) {
#pragma GCC unroll 4
          for (int q = 1; q < most; ++q) {
            term<R, W, reading>(sum, first, q, a_row, b + q * b_row, stride, ahead, mask);
          }
        }
        p += terms, b += terms * b_row;
#pragma GCC unroll 8
        for (int g = 0; g < groups; ++g) {
          first[g] += terms * a_column;
          asm("" : "+r"(first[g])); // the compiler would have an address for each row instead
        }
      }
    } while (bring && p < k);
    if (columns == W * N && c.column == 1) {
      T* to = c.data;
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < W; ++j) {
          P::store(c.add ? P::add(sum[i][j], P::load(to + j * N)) : sum[i][j], to + j * N);
        }
        down(to, c.row);
      }
      return;
    }
    if constexpr (has_masks<T>) {
      if (c.column == 1) {
        const typename P::D d;
        const auto mask = hn::FirstN(d, rest);
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
          for (int j = 0; j < W - 1; ++j) {
            T* to = c.data + i * c.row + j * N;
            P::store(c.add ? P::add(sum[i][j], P::load(to)) : sum[i][j], to);
          }
          T* to = c.data + i * c.row + (W - 1) * N;
          V last = sum[i][W - 1];
          hn::BlendedStore(c.add ? P::add(last, hn::MaskedLoad(mask, d, to)) : last, mask, d, to);
        }
        return;
      }
    }
    // What sticks out is computed and dropped; sums already in c come in and go out through a whole tile.
    HWY_ALIGN T part[R][W * N];
    if (c.add) {
      std::memset(static_cast<void*>(part), 0, sizeof(part));
      for (int i = 0; i < R; ++i) {
        for (int j = 0; j < columns; ++j) part[i][j] = c.data[i * c.row + j * c.column];
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) {
        T* to = part[i] + j * N;
        P::store(c.add ? P::add(sum[i][j], P::load(to)) : sum[i][j], to);
      }
    }
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < columns; ++j) c.data[i * c.row + j * c.column] = part[i][j];
    }
  }

  // All rows of one panel, or of two next to each other. A struct would be written in parts and read as a whole, which
  // waits until everything that was written before is in the cache: the tiles of the panel before it.
  template <int W, Reading reading>
  static HWY_NOINLINE void rows_of(int64_t m, int64_t k, const T* a, int64_t a_row, int64_t a_column, const T* b,
      int64_t b_row, int64_t stride, int64_t ahead, int columns, T* to, int64_t c_row, int64_t c_column, bool add) {
    Panel panel{b, b_row, stride, ahead, columns};
    Target c{to, c_row, c_column, add};
    auto below = [&](int64_t rows) HWY_ATTR {
      a += rows * a_row, c.data += rows * c.row, m -= rows;
      panel.ahead = 0; // the rows above brought it
    };
    constexpr bool two = W > P::vectors;
    constexpr int R = two ? P::wide_rows : P::rows;
    for (; m >= R && !(two && m == R + 1); below(R)) tile<R, W, reading>(k, a, a_row, a_column, panel, c);
    // Below the rest there is nothing to bring, and each of two panels has tiles of its own.
    if constexpr (two || reading == whole_first || reading == packed_first) {
      for (int j = 0; j < columns && m > 0; j += two ? width : columns) {
        rows_of<two ? P::vectors : W, reading <= whole_first ? whole : packed>(m, k, a, a_row, a_column,
            b + j / width * stride, b_row, stride, panel.ahead, two ? width : columns, c.data + j * c_column, c_row,
            c_column, add);
      }
      return;
    }
    // The rest: a tile of few rows waits for its own sums, so that one of 5 rows is quicker than 4 and 1.
    auto rest = [&]<int H>(std::integral_constant<int, H>)
                    HWY_ATTR { tile<H, W, reading>(k, a, a_row, a_column, panel, c), below(H); };
    if constexpr (P::rows > 12 && reading == whole && W == P::vectors) { // b comes from afar: once
      if (m == 13) rest(std::integral_constant<int, 13>());
      if (m == 11) rest(std::integral_constant<int, 11>());
      if (m == 10) rest(std::integral_constant<int, 10>());
      if (m == 9) rest(std::integral_constant<int, 9>());
      if (m == 7) rest(std::integral_constant<int, 7>());
    }
    if constexpr (P::rows > 12) {
      if (m >= 12 && m != 13) rest(std::integral_constant<int, 12>());
    }
    if constexpr (P::rows > 8) {
      if (m == 8 || m == 13) rest(std::integral_constant<int, 8>());
      if (m == 6 || m >= 10) rest(std::integral_constant<int, 6>());
      if (m == 5 || m == 9) rest(std::integral_constant<int, 5>());
    }
    if (m >= 4) rest(std::integral_constant<int, 4>());
    if constexpr (P::rows > 3) {
      if (m == 3) rest(std::integral_constant<int, 3>());
    }
    if (m >= 2) rest(std::integral_constant<int, 2>());
    if (m >= 1) rest(std::integral_constant<int, 1>());
  }

  static void tiles(int64_t m, int64_t n, int64_t k, const void* a, int64_t a_row, int64_t a_column, const void* b,
      int64_t b_row, int64_t panel_stride, bool is_packed, const void* tail, void* c, int64_t c_row, int64_t c_column,
      bool add) {
    for (int64_t j = 0, columns; j < n; j += columns) {
      // Many rows of two panels that are full are done at once.
      const bool two = P::wide_rows > 0 && m > few_rows && n - j >= 2 * width;
      columns = std::min<int64_t>(two ? 2 * width : width, n - j);
      Panel panel{
          static_cast<const T*>(b) + j / width * panel_stride, b_row, panel_stride, 0, static_cast<int>(columns)};
      // The rows of a large b are far apart and read for the first time here: nothing else brings the next panel near.
      constexpr int64_t large = int64_t{256} << 10; // bytes
      const bool far = j + columns < n && k * b_row * static_cast<int64_t>(sizeof(T)) >= large;
      if (m <= few_rows ? n > 4 * width || far : !is_packed && j + 2 * columns <= n) panel.ahead = columns;
      bool from_tail = columns < width && tail;
      if (from_tail) panel.data = static_cast<const T*>(tail), panel.row = width;
      auto* to = static_cast<T*>(c) + j * c_column;
      auto* left = static_cast<const T*>(a);
      auto run = [&](auto body) HWY_ATTR {
        body(m, k, left, a_row, a_column, panel.data, panel.row, panel.stride, panel.ahead, panel.columns, to, c_row,
            c_column, add);
      };
      bool brings = j == 0 && columns > N && k >= 64 && m > P::rows && a_column == 1;
      if constexpr (P::wide_rows > 0) {
        if (two) {
          constexpr int W = 2 * P::vectors;
          is_packed ? run(brings ? rows_of<W, packed_first> : rows_of<W, packed>)
                    : run(brings ? rows_of<W, whole_first> : rows_of<W, whole>);
          continue;
        }
      }
      if (is_packed && brings) {
        run(rows_of<P::vectors, packed_first>);
        continue;
      }
      if (is_packed || from_tail) {
        columns <= N ? run(rows_of<1, packed>) : run(rows_of<P::vectors, packed>);
        continue;
      }
      if constexpr (has_masks<T>) {
        if (columns < width) {
          columns <= N ? run(rows_of<1, masked>) : run(rows_of<P::vectors, masked>);
          continue;
        }
      }
      if (brings) {
        run(rows_of<P::vectors, whole_first>);
        continue;
      }
      columns <= N ? run(rows_of<1, whole>) : run(rows_of<P::vectors, whole>);
    }
  }

  static void pack(int64_t k, int64_t n, const void* b, int64_t b_row, int64_t b_column, void* to_data) {
    auto* from = static_cast<const T*>(b);
    auto* to = static_cast<T*>(to_data);
    for (int64_t j = 0; j < n; j += width, from += width * b_column, to += k * width) {
      int64_t columns = std::min<int64_t>(width, n - j);
      if (columns < width) std::memset(static_cast<void*>(to), 0, static_cast<size_t>(k * width) * sizeof(T));
      if constexpr (!std::is_arithmetic_v<T>) {
        pack_parts(k, columns, from, b_row, b_column, to);
      } else if (b_column == 1) {
        for (int64_t p = 0; p < k; ++p) {
          if (columns == width)
            std::memcpy(static_cast<void*>(to + p * width), from + p * b_row, width * sizeof(T));
          else if (columns > 8)
            std::copy_n(from + p * b_row, columns, to + p * width);
          else // not worth a call
            for (int64_t c = 0; c < columns; ++c) to[p * width + c] = from[p * b_row + c];
        }
      } else {
        pack_across(k, columns, from, b_row, b_column, to);
      }
    }
  }

  // One panel of complex numbers, as load_packed() reads them.
  static void pack_parts(int64_t k, int64_t columns, const T* from, int64_t b_row, int64_t b_column, T* to) {
    using R = typename T::value_type;
    auto* parts = reinterpret_cast<R*>(to);
    constexpr int64_t panel = 2 * int64_t{width};
    if (b_column == 1 && columns == width) {
      for (int64_t p = 0; p < k; ++p) {
        V v = P::load(from + p * b_row);
        hn::StoreU(v.re, typename P::D(), parts + p * panel);
        hn::StoreU(v.im, typename P::D(), parts + p * panel + N);
      }
      return;
    }
    auto write = [&](int64_t p, int64_t j) {
      T x = from[p * b_row + j * b_column];
      parts[p * panel + j] = x.real(), parts[p * panel + N + j] = x.imag();
    };
    if (b_column == 1) {
      for (int64_t p = 0; p < k; ++p) {
        for (int64_t j = 0; j < columns; ++j) write(p, j);
      }
    } else { // neighbours along b's columns, a few at a time so that what is written stays in the cache
      constexpr int64_t stretch = 16;
      for (int64_t start = 0; start < k; start += stretch) {
        for (int64_t j = 0; j < columns; ++j) {
          for (int64_t p = start; p < std::min(k, start + stretch); ++p) write(p, j);
        }
      }
    }
  }

  // One panel of a matrix whose columns are consecutive, or nothing is: blocks are turned in registers where they can.
  static void pack_across(int64_t k, int64_t columns, const T* from, int64_t b_row, int64_t b_column, T* to) {
    int64_t j = 0;
    if constexpr (sizeof(T) == 4 || sizeof(T) == 8) {
      using Bits = std::conditional_t<sizeof(T) == 4, float, double>;
      using Square = LaneSquare<Bits>;
      for (; b_row == 1 && j + Square::N <= columns; j += Square::N) {
        const T* source = from + j * b_column;
        int64_t p = 0;
        for (; p + Square::N <= k; p += Square::N) {
          // Lines far from each other are read for the first time: those of the next squares come meanwhile.
          constexpr int64_t ahead = 4 * Square::N, far = 512;
          if (b_column >= far) {
            const T* next = source + p + ahead + (p + ahead < k ? 0 : Square::N * b_column - k);
#pragma GCC unroll 16
            for (int64_t i = 0; i < Square::N; ++i) __builtin_prefetch(next + i * b_column, 0, 2);
          }
          typename Square::V v[Square::N];
          Square::read_transposed(reinterpret_cast<const Bits*>(source + p), b_column, v);
#pragma GCC unroll 16
          for (int64_t i = 0; i < Square::N; ++i) {
            hn::StoreU(v[i], typename Square::D(), reinterpret_cast<Bits*>(to + (p + i) * width + j));
          }
        }
        for (; p < k; ++p) {
          for (int64_t i = 0; i < Square::N; ++i) to[p * width + j + i] = source[i * b_column + p];
        }
      }
    }
    if constexpr (sizeof(T) == 4) {
      const hn::FixedTag<uint32_t, 4> d;
      const hn::FixedTag<uint64_t, 2> pairs;
      for (; b_row == 1 && j < columns; j += 4) { // of fewer than four the last one stands for those beyond
        auto* target = reinterpret_cast<uint32_t*>(to + j);
        const uint32_t* source[4];
        for (int64_t i = 0; i < 4; ++i) {
          source[i] = reinterpret_cast<const uint32_t*>(from + std::min(j + i, columns - 1) * b_column);
        }
        int64_t p = 0;
        for (; p + 4 <= k; p += 4) {
          auto r0 = hn::LoadU(d, source[0] + p), r1 = hn::LoadU(d, source[1] + p);
          auto r2 = hn::LoadU(d, source[2] + p), r3 = hn::LoadU(d, source[3] + p);
          auto l01 = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1));
          auto l23 = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3));
          auto u01 = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1));
          auto u23 = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
          hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, l01, l23)), d, target + p * width);
          hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, l01, l23)), d, target + (p + 1) * width);
          hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, u01, u23)), d, target + (p + 2) * width);
          hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, u01, u23)), d, target + (p + 3) * width);
        }
        for (; p < k; ++p) {
          for (int64_t i = 0; i < 4; ++i) target[p * width + i] = source[i][p];
        }
      }
    }
    for (; j < columns; ++j) {
      for (int64_t p = 0; p < k; ++p) to[p * width + j] = from[p * b_row + j * b_column];
    }
  }
};

// ---- many sums side by side ----

template <class P>
struct LaneBodies {
  using T = typename P::Element;
  using V = typename P::Value;
  static constexpr int N = P::lanes;

  struct Terms {
    int64_t count;
    const T* const* a;
    const T* const* b;
    int64_t a_step;
    T* out;
    int64_t out_step;
  };
  // W vectors at Q places.
  template <int W, int Q>
  static HWY_INLINE void some(int64_t at, int64_t place, const Terms& terms) {
    V sum[Q][W];
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) sum[q][j] = P::zero();
    }
    for (int64_t t = 0; t < terms.count; ++t) {
      const T *a = terms.a[t] + place * terms.a_step + at, *b = terms.b[t] + at;
      V right[W];
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) right[j] = P::load(b + j * N);
#pragma GCC unroll 4
      for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 4
        for (int j = 0; j < W; ++j) {
          sum[q][j] = P::multiply_add(P::load(a + q * terms.a_step + j * N), right[j], sum[q][j]);
        }
      }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q) {
#pragma GCC unroll 4
      for (int j = 0; j < W; ++j) P::store(sum[q][j], terms.out + (place + q) * terms.out_step + at + j * N);
    }
  }
  // The last lanes, which fill no vector.
  static HWY_INLINE void rest(int64_t at, int64_t n, int64_t place, const Terms& terms) {
    const int64_t offset = place * terms.a_step + at;
    T* out = terms.out + place * terms.out_step + at;
    V sum = P::zero();
    if constexpr (has_masks<T>) {
      const typename P::D d;
      const auto mask = hn::FirstN(d, static_cast<size_t>(n - at));
      for (int64_t t = 0; t < terms.count; ++t) {
        V left = hn::MaskedLoad(mask, d, terms.a[t] + offset), right = hn::MaskedLoad(mask, d, terms.b[t] + at);
        sum = P::multiply_add(left, right, sum);
      }
      hn::BlendedStore(sum, mask, d, out);
    } else {
      HWY_ALIGN T left[N] = {};
      HWY_ALIGN T right[N] = {};
      for (int64_t t = 0; t < terms.count; ++t) {
        std::copy_n(terms.a[t] + offset, n - at, left);
        std::copy_n(terms.b[t] + at, n - at, right);
        sum = P::multiply_add(P::load(left), P::load(right), sum);
      }
      P::store(sum, left);
      std::copy_n(left, n - at, out);
    }
  }

  static void lanes(int64_t n, int64_t count, const void* const* a, const void* const* b, int64_t places,
      int64_t a_step, void* out, int64_t out_step) {
    const Terms terms{count, reinterpret_cast<const T* const*>(a), reinterpret_cast<const T* const*>(b), a_step,
        static_cast<T*>(out), out_step};
    int64_t place = 0;
    for (; place + 4 <= places; place += 4) { // which share what is loaded of b
      int64_t at = 0;
      for (; at + 2 * N <= n; at += 2 * N) some<2, 4>(at, place, terms);
      for (; at + N <= n; at += N) some<1, 4>(at, place, terms);
      for (int q = 0; at < n && q < 4; ++q) rest(at, n, place + q, terms);
    }
    for (; place < places; ++place) {
      int64_t at = 0;
      for (; at + 4 * N <= n; at += 4 * N) some<4, 1>(at, place, terms);
      for (; at + N <= n; at += N) some<1, 1>(at, place, terms);
      if (at < n) rest(at, n, place, terms);
    }
  }
};

template <class P>
const ProductKernels& real_or_complex_kernels() {
  using M = MatrixBodies<P>;
  using V = VectorBodies<P>;
  static constexpr ProductKernels all{static_cast<int>(sizeof(typename P::Element)), P::lanes, M::width, P::rows,
      tall_tiles, has_masks<typename P::Element>, &M::tiles, &M::pack, &V::template dots<P>, &V::template columns<P>,
      &LaneBodies<P>::lanes, {}, {}};
  return all;
}

// Of float32, which 16-bit floats are multiplied in.
inline const ProductKernels& float32_kernels() {
  using V = VectorBodies<RealProduct<float>>;
  static const ProductKernels all = [] {
    ProductKernels kernels = real_or_complex_kernels<RealProduct<float>>();
    kernels.bfloat16 = {&V::template dots<Bfloat16Loader>, &V::template columns<Bfloat16Loader>};
    if (loads_float16) kernels.float16 = {&V::template dots<Float16Loader>, &V::template columns<Float16Loader>};
    return kernels;
  }();
  return all;
}

template <class P>
const ProductKernels& exact_kernels() {
  using M = MatrixBodies<P>;
  static constexpr ProductKernels all{static_cast<int>(sizeof(typename P::Element)), P::lanes, M::width, P::rows,
      tall_tiles, has_masks<typename P::Element>, &M::tiles, &M::pack, nullptr, nullptr, &LaneBodies<P>::lanes, {}, {}};
  return all;
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
