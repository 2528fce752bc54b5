// A vector of lines at a time: for each of their numbers a vector, which is multiplied by one factor for each column.
#include "mlx_core/cpu/thin_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/thin_product.cpp"
#include "mlx_core/cpu/simd.h"

#include <algorithm>
#include <type_traits>

#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/lane_square-inl.h"
#include "mlx_core/cpu/product_arithmetic-inl.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/thread_pool.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class T>
struct Thin {
  using Square = LaneSquare<T>;
  using D = typename Square::D;
  using V = typename Square::V;
  static constexpr int64_t lanes = Square::N, interleaved = ThinProduct::interleaved;
  static constexpr int vectors = many_registers ? 4 : 2; // of lines, side by side
  static constexpr int64_t together = vectors * lanes;   // lines
  static_assert(together <= ThinProduct::least_lines);
  static constexpr int64_t portion = 64; // terms that are brought together at once: they stay near

  // Numbers of `together` lines for each of some terms: where they lie, or brought together.
  struct Numbers {
    const T* data;
    int64_t apart;
  };
  static HWY_INLINE Numbers read(const ThinProduct& p, int64_t line, int64_t first, int64_t terms, T* HWY_RESTRICT to) {
    const T* from = static_cast<const T*>(p.numbers.data);
    if (!p.along_lines()) return {from + first * p.numbers.column_stride + line, p.numbers.column_stride};
    const int64_t apart = p.numbers.row_stride;
    from += line * apart + first;
    for (int64_t v = 0; v < vectors; ++v, from += lanes * apart, to += lanes) {
      if (terms <= interleaved && apart == terms) {
        read_interleaved(from, terms, to);
      } else {
        const int64_t lines_behind = p.lines - line - (v + 1) * lanes;
        read_squares(from, apart, terms, lines_behind * apart + p.terms - first, to);
      }
    }
    return {to - together, together};
  }
  static HWY_INLINE void read_interleaved(const T* from, int64_t terms, T* HWY_RESTRICT to) {
    const D d;
    V x[interleaved];
    terms == 1   ? void(x[0] = hn::LoadU(d, from))
    : terms == 2 ? hn::LoadInterleaved2(d, from, x[0], x[1])
    : terms == 3 ? hn::LoadInterleaved3(d, from, x[0], x[1], x[2])
                 : hn::LoadInterleaved4(d, from, x[0], x[1], x[2], x[3]);
#pragma GCC unroll 4
    for (int64_t i = 0; i < interleaved; ++i) {
      if (i < terms) hn::Store(x[i], d, to + i * together);
    }
  }
  // `readable`: elements from the start of the last line on.
  static HWY_INLINE void read_squares(
      const T* from, int64_t apart, int64_t terms, int64_t readable, T* HWY_RESTRICT to) {
    const D d;
    constexpr int64_t far = 512; // elements
    for (int64_t i = 0; i < terms; i += lanes) {
      if (apart >= far) { // what is read next of these lines comes meanwhile
#pragma GCC unroll 16
        for (int64_t l = 0; l < lanes; ++l) __builtin_prefetch(from + l * apart + i + portion, 0, 2);
      }
      V x[lanes];
      const int64_t count = std::min(lanes, terms - i);
      if (i + lanes > readable) { // the square reaches beyond it
        HWY_ALIGN T part[lanes * lanes] = {};
        for (int64_t l = 0; l < lanes; ++l) std::copy_n(from + l * apart + i, count, part + l * lanes);
        Square::read_transposed(part, lanes, x, count);
      } else {
        Square::read_transposed(from + i, apart, x, count);
      }
#pragma GCC unroll 16
      for (int64_t l = 0; l < lanes; ++l) {
        if (l < count) hn::Store(x[l], d, to + (i + l) * together);
      }
    }
  }

  // Some columns' sums over some terms, which begin anew or go on.
  template <int columns>
  static HWY_INLINE void add_up(const Numbers& x, const Matrix& by, int64_t terms, bool goes_on, T* HWY_RESTRICT sums) {
    const D d;
    const T* factors = static_cast<const T*>(by.data);
    V sum[columns][vectors];
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v)
        sum[j][v] = goes_on ? hn::Load(d, sums + j * together + v * lanes) : hn::Zero(d);
    }
    for (int64_t i = 0; i < terms; ++i) {
      V number[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) number[v] = hn::LoadU(d, x.data + i * x.apart + v * lanes);
#pragma GCC unroll 4
      for (int j = 0; j < columns; ++j) {
        const V factor = hn::Set(d, factors[i * by.row_stride + j * by.column_stride]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sum[j][v] = hn::MulAdd(number[v], factor, sum[j][v]);
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < columns; ++j) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) hn::Store(sum[j][v], d, sums + j * together + v * lanes);
    }
  }

  static HWY_INLINE void add_up_all(
      const ThinProduct& p, const Numbers& x, int64_t first, int64_t terms, bool goes_on, T* HWY_RESTRICT sums) {
    Matrix by = p.factors;
    by.data = static_cast<const T*>(by.data) + first * by.row_stride;
    auto add = [&]<int columns>(std::integral_constant<int, columns>) HWY_ATTR {
      add_up<columns>(x, by, terms, goes_on, sums);
      by.data = static_cast<const T*>(by.data) + columns * by.column_stride;
      sums += columns * together;
    };
    for (int64_t j = 0; j + 4 <= p.columns; j += 4) add(std::integral_constant<int, 4>());
    const int64_t left = p.columns % 4;
    left == 3   ? add(std::integral_constant<int, 3>())
    : left == 2 ? add(std::integral_constant<int, 2>())
    : left == 1 ? add(std::integral_constant<int, 1>())
                : void();
  }

  static HWY_INLINE void write(const ThinProduct& p, const T* sums, int64_t line) {
    const D d;
    T* out = static_cast<T*>(p.out);
    for (int64_t v = 0; v < together; v += lanes) {
      if (p.out_apart != 1) {
        for (int64_t j = 0; j < p.columns; ++j) {
          hn::StoreU(hn::Load(d, sums + j * together + v), d, out + j * p.out_apart + line + v);
        }
        continue;
      }
      T* to = out + (line + v) * p.columns;
      V x[interleaved];
#pragma GCC unroll 4
      for (int64_t j = 0; j < interleaved; ++j) x[j] = hn::Load(d, sums + std::min(j, p.columns - 1) * together + v);
      p.columns == 1   ? hn::StoreU(x[0], d, to)
      : p.columns == 2 ? hn::StoreInterleaved2(x[0], x[1], d, to)
      : p.columns == 3 ? hn::StoreInterleaved3(x[0], x[1], x[2], d, to)
                       : hn::StoreInterleaved4(x[0], x[1], x[2], x[3], d, to);
    }
  }

  static void multiply(const ThinProduct& p) {
    const D d;
    HWY_ALIGN T near[portion * together], sums[ThinProduct::most_columns * together],
        totals[ThinProduct::most_columns * together];
    const int64_t all = p.columns * together, terms_at_once = p.along_lines() ? portion : tile_terms;
    for (int64_t begin = 0; begin < p.lines; begin += together) {
      const int64_t line = std::min(begin, p.lines - together); // the last ones may be done twice
      for (int64_t block = 0; block < p.terms; block += tile_terms) {
        const int64_t end = std::min(p.terms, block + tile_terms);
        for (int64_t first = block; first < end; first += terms_at_once) {
          const int64_t terms = std::min(terms_at_once, end - first);
          add_up_all(p, read(p, line, first, terms, near), first, terms, first > block, sums);
        }
        if (p.terms <= tile_terms) break;
        for (int64_t i = 0; i < all; i += lanes) {
          const V sum = hn::Load(d, sums + i);
          hn::Store(block > 0 ? hn::Add(sum, hn::Load(d, totals + i)) : sum, d, totals + i);
        }
      }
      write(p, p.terms <= tile_terms ? sums : totals, line);
    }
  }
};

MultiplyThin find_multiply(bool is_double) { return is_double ? Thin<double>::multiply : Thin<float>::multiply; }

} // namespace mlx::core::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {

HWY_EXPORT(find_multiply);

namespace {

// Of 16-bit floats, so many lines at a time are converted to float32.
void multiply_widened(MultiplyThin multiply, const ThinProduct& p, Dtype dtype, Dtype wanted) {
  constexpr int64_t together = 256;
  const Kernel narrow = wanted == dtype ? find_cast(float32, dtype) : nullptr;
  const bool results_along_lines = p.out_apart != 1;
  const int64_t lines = std::min(together, p.lines);
  auto* numbers = static_cast<float*>(product_memory(0, (lines * (p.terms + p.columns) + p.terms * p.columns) * 4));
  float *results = numbers + lines * p.terms, *factors = results + lines * p.columns;
  const Matrix by = packed_block(p.factors, p.terms, p.columns, dtype, float32, factors);
  for (int64_t begin = 0; begin < p.lines; begin += together) {
    const int64_t line = std::min(begin, p.lines - lines);
    const Matrix some =
        packed_block(offset(p.numbers, line * p.numbers.row_stride, dtype), lines, p.terms, dtype, float32, numbers);
    auto* out = static_cast<char*>(p.out) + line * (results_along_lines ? 1 : p.columns) * wanted.size();
    {
      FlushSubnormals mode; // but not of conversions
      narrow ? multiply({lines, p.terms, p.columns, some, by, results, results_along_lines ? lines : 1})
             : multiply({lines, p.terms, p.columns, some, by, out, p.out_apart});
    }
    if (!narrow) continue;
    const int64_t runs = results_along_lines ? p.columns : 1, length = lines * p.columns / runs;
    for (int64_t i = 0; i < runs; ++i) {
      const void* source = results + i * length;
      narrow(&source, out + i * p.out_apart * dtype.size(), length);
    }
  }
}

} // namespace

bool multiply_thin(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, const Matrix& a, int64_t a_batch_stride,
    const Matrix& b, int64_t b_batch_stride, void* out, Dtype results) {
  const Dtype wide = multiplied_dtype(dtype);
  const int64_t lines = std::max(m, n), columns = std::min(m, n);
  if (columns > ThinProduct::most_columns || lines < std::max(ThinProduct::least_lines, 16 * columns) ||
      (wide != float32 && wide != float64) || is_vector_product(dtype, m, n, k)) {
    return false;
  }
  // The longer side's lines are those of a, or those of b transposed; the other side's are the columns.
  const bool by_rows = m >= n;
  auto transposed = [](const Matrix& x) { return Matrix{x.data, x.column_stride, x.row_stride}; };
  ThinProduct whole{
      lines, k, columns, by_rows ? a : transposed(b), by_rows ? b : transposed(a), out, by_rows && n > 1 ? 1 : lines};
  const bool along_lines = whole.along_lines() && whole.numbers.row_stride >= k,
             across = whole.numbers.row_stride == 1 && whole.numbers.column_stride >= lines;
  // What lies across lines is read where it is, which waits for memory alone where there are few operations for each
  // number; beyond that, and beyond some columns, what puts it in order once and for all is quicker.
  constexpr int64_t few_columns = 4, few_operations = 30, some_operations = 1024;
  const bool few = by_rows ? columns <= ThinProduct::interleaved
                   : along_lines && columns > few_columns
                       ? columns * k <= some_operations
                       : along_lines || columns == 1 || columns * k <= few_operations;
  if (!(along_lines || across) || !few) {
    return false;
  }
  const MultiplyThin multiply = HWY_DYNAMIC_DISPATCH(find_multiply)(wide == float64);
  constexpr int64_t task_work = 1 << 18;
  const int64_t work = lines * k * (4 + columns),
                parts = std::clamp<int64_t>(work / task_work, 1, lines / ThinProduct::least_lines),
                jobs = batch * parts, at_once = std::clamp<int64_t>(task_work * parts / work, 1, jobs);
  parallel_for(ceil_div(jobs, at_once), [&](int64_t task) {
    for (int64_t job = task * at_once; job < std::min(jobs, (task + 1) * at_once); ++job) {
      const int64_t i = job / parts, first = lines * (job % parts) / parts;
      ThinProduct part = whole;
      part.lines = lines * (job % parts + 1) / parts - first;
      part.numbers = offset(
          part.numbers, i * (by_rows ? a_batch_stride : b_batch_stride) + first * part.numbers.row_stride, dtype);
      part.factors = offset(part.factors, i * (by_rows ? b_batch_stride : a_batch_stride), dtype);
      part.out = static_cast<char*>(out) + (i * m * n + first * (part.out_apart == 1 ? columns : 1)) * results.size();
      if (wide != dtype) {
        multiply_widened(multiply, part, dtype, results);
      } else {
        FlushSubnormals mode;
        multiply(part);
      }
    }
  });
  return true;
}

} // namespace mlx::core::cpu
#endif
