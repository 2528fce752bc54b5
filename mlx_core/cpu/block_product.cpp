// A vector of blocks at a time: what each side has of a term is put in order, lane by lane, and multiplied as it is.
#include "mlx_core/cpu/block_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/block_product.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <type_traits>

#include "mlx_core/cpu/lane_square-inl.h"
#include "mlx_core/cpu/product_arithmetic-inl.h"
#include "mlx_core/cpu/subnormals.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
struct Blocks {
  using Square = LaneSquare<T>;
  using D = typename Square::D;
  using V = typename Square::V;
  static constexpr int64_t lanes = Square::N, together = BlocksOfTerms::terms_together;
  static constexpr int rows = many_registers ? 4 : 2, columns = 4; // of sums in registers
  static_assert(together % lanes == 0);

  // `count` consecutive numbers of each block, a vector of each: these are `apart` from each other.
  static HWY_INLINE void read(const T* from, int64_t block_stride, int64_t count, T* HWY_RESTRICT to, int64_t apart) {
    const D d;
    for (int64_t i = 0; i < count; i += lanes, to += lanes * apart) {
      V x[lanes];
      Square::read_transposed(from + i, block_stride, x);
#pragma GCC unroll 16
      for (int64_t l = 0; l < lanes; ++l) hn::Store(x[l], d, to + l * apart);
    }
  }
  // Those of a term come to lie side by side.
  static HWY_INLINE void read(const BlocksOfTerms::Side& side, int64_t first, T* HWY_RESTRICT to) {
    const T* from = static_cast<const T*>(side.data);
    if (!side.by_lines) {
      return read(from + first * side.count, tile_terms * side.count, together * side.count, to, lanes);
    }
    for (int64_t i = 0; i < side.count; ++i) {
      read(from + i * side.line_stride + first, tile_terms, together, to + i * lanes, side.count * lanes);
    }
  }

  // Sums of R rows and C columns, which begin anew or go on.
  template <int R, int C>
  static HWY_INLINE void add_up(const T* a, int64_t a_apart, const T* b, int64_t b_apart, bool goes_on,
      T* HWY_RESTRICT sums, int64_t sums_apart) {
    const D d;
    V sum[R][C];
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) sum[i][j] = goes_on ? hn::Load(d, sums + i * sums_apart + j * lanes) : hn::Zero(d);
    }
    for (int64_t t = 0; t < together; ++t, a += a_apart, b += b_apart) {
      V right[C];
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) right[j] = hn::Load(d, b + j * lanes);
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        const V left = hn::Load(d, a + i * lanes);
#pragma GCC unroll 4
        for (int j = 0; j < C; ++j) sum[i][j] = hn::MulAdd(left, right[j], sum[i][j]);
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) hn::Store(sum[i][j], d, sums + i * sums_apart + j * lanes);
    }
  }

  // Calls f with the number, or `most` if that is less, known to the compiler.
  template <int most, class F>
  static HWY_INLINE void with_constant(int64_t number, F f) {
    if constexpr (most > 1) {
      if (number < most) return with_constant<most - 1>(number, f);
    }
    f(std::integral_constant<int, most>());
  }

  static void multiply(const BlocksOfTerms& p, void* out) {
    const int64_t m = p.a.count, n = p.b.count;
    T* of_a = static_cast<T*>(product_memory(0, (together * (m + n) + m * n) * lanes * sizeof(T)));
    T *of_b = of_a + together * m * lanes, *sums = of_b + together * n * lanes;
    for (int64_t first = 0; first < tile_terms; first += together) {
      read(p.a, first, of_a);
      if (!p.same) read(p.b, first, of_b);
      const T* right = p.same ? of_a : of_b;
      for (int64_t i = 0; i < m; i += rows) {
        for (int64_t j = p.same ? i / columns * columns : 0; j < n; j += columns) {
          with_constant<rows>(m - i, [&](auto r) HWY_ATTR {
            with_constant<columns>(n - j, [&](auto c) HWY_ATTR {
              add_up<r(), c()>(of_a + i * lanes, m * lanes, right + j * lanes, n * lanes, first > 0,
                  sums + (i * n + j) * lanes, n * lanes);
            });
          });
        }
      }
    }
    T* to = static_cast<T*>(out);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const T* from = sums + (p.same && j < i ? j * n + i : i * n + j) * lanes;
        for (int64_t l = 0; l < lanes; ++l) to[l * m * n + i * n + j] = from[l];
      }
    }
  }
};

SumBlocks find_sum_blocks(bool is_double) { return is_double ? Blocks<double>::multiply : Blocks<float>::multiply; }
int64_t lanes_of(bool is_double) { return is_double ? Blocks<double>::lanes : Blocks<float>::lanes; }

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_sum_blocks);
HWY_EXPORT(lanes_of);

namespace {

// Lines, or else the columns of a matrix whose rows are terms.
bool lies_in_lines(int64_t count, int64_t line_stride, int64_t term_stride) {
  return term_stride == 1 || (line_stride == 1 && term_stride == count);
}
BlocksOfTerms::Side side(const Matrix& x, int64_t count, int64_t line_stride, int64_t term_stride) {
  return {x.data, count, line_stride, term_stride == 1};
}

bool is_symmetric(const Product& p) {
  return p.m == p.n && p.a.data == p.b.data && p.a.row_stride == p.b.column_stride &&
         p.a.column_stride == p.b.row_stride;
}

} // namespace

bool takes_blocks(const Product& p) {
  const bool is_double = p.dtype == float64;
  return std::max(p.m, p.n) <= BlocksOfTerms::most_numbers && (is_double || p.dtype == float32) &&
         (is_symmetric(p) ? p.m : p.m + p.n) <= BlocksOfTerms::most_numbers &&
         p.k >= tile_terms * HWY_DYNAMIC_DISPATCH(lanes_of)(is_double) && !is_vector_product(p.dtype, p.m, p.n, p.k) &&
         lies_in_lines(p.m, p.a.row_stride, p.a.column_stride) && lies_in_lines(p.n, p.b.column_stride, p.b.row_stride);
}

int64_t sum_blocks(const Product& p, int64_t first, int64_t last, void* sums) {
  const bool is_double = p.dtype == float64;
  const int64_t lanes = HWY_DYNAMIC_DISPATCH(lanes_of)(is_double), whole = std::min(last, p.k / tile_terms);
  if (whole - first < lanes) return first;
  const SumBlocks run = HWY_DYNAMIC_DISPATCH(find_sum_blocks)(is_double);
  FlushSubnormals mode;
  for (int64_t begin = first; begin < whole; begin += lanes) {
    const int64_t block = std::min(begin, whole - lanes); // the last ones may be done twice
    const Matrix a = offset(p.a, block * tile_terms * p.a.column_stride, p.dtype),
                 b = offset(p.b, block * tile_terms * p.b.row_stride, p.dtype);
    run({side(a, p.m, p.a.row_stride, p.a.column_stride), side(b, p.n, p.b.column_stride, p.b.row_stride),
            is_symmetric(p)},
        static_cast<char*>(sums) + block * p.m * p.n * p.dtype.size());
  }
  return whole;
}

} // namespace mlx::core::cpu
#endif
