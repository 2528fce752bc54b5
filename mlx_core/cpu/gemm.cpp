// Matrix products: cuts them into pieces and shares those and the batch out over the pool.
#include "mlx_core/cpu/gemm.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "mlx_core/cpu/block_product.h"
#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/product_kernels.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/thin_product.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/cpu/tile_instructions.h"
#include "mlx_core/cpu/tiny_batch.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t task_work = int64_t{1} << 19; // a task's least number of multiplications
constexpr int64_t vector_work = int64_t{1} << 18, vector_task_work = int64_t{1} << 17;
constexpr int64_t side = 256;
// Of products done by our own bodies: multiplications that are better done in more than one turn of each thread, and
// the most elements of a piece.
constexpr int64_t turn_work = int64_t{1} << 24, turn_elements = int64_t{1} << 17, most_elements = int64_t{1} << 20;

// Of a multiplication, in those of float32.
int64_t cost(Dtype dtype) { return dtype == float64 ? 2 : dtype == complex64 ? 4 : dtype == complex128 ? 8 : 1; }

// How a product is cut. Pieces for BLAS are a function of the shape alone, as bits depend on them; how those are cut
// that our own bodies do changes none.
struct Cut {
  void (*run)(const Product&, Piece);
  int64_t down, across;         // pieces
  int64_t row_grain, col_grain; // pieces begin at multiples of these
};

// The longest and the shortest piece.
int64_t longest(int64_t length, int64_t count, int64_t grain) {
  return std::min(length, ceil_div(ceil_div(length, grain), count) * grain);
}
int64_t shortest(int64_t length, int64_t count, int64_t grain) {
  auto [last, end] = piece_bounds(length, count, grain, count - 1);
  return std::min(end - last, ceil_div(length, grain) / count * grain);
}

bool is_blas_product(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  return dtype.is_inexact() && !product_kernels(multiplied_dtype(dtype)).large && std::min({m, n, k}) >= blas_side &&
         m * n * k >= blas_piece_work;
}

// As many pieces as keep the threads busy, of the shape that reorders the least: each one reorders its part of b, and
// of a at times.
Cut cut_tiles(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k) {
  const ProductKernels& kernels = product_kernels(multiplied_dtype(dtype));
  // With few rows or columns, or few terms, most of the time goes into reading and writing.
  constexpr int64_t element_work = 4;
  const int64_t elements = m * n + m * k + k * n, threads = thread_count(),
                work = m * n * k * cost(dtype) + element_work * elements, rows = 2 * kernels.rows,
                columns = 2 * kernels.width;
  int64_t wanted = std::min(threads, work / task_work);
  wanted = std::max(wanted, std::min(4 * threads, work / turn_work));
  // Bound by memory, which the threads do not get equal shares of.
  if (wanted > 1 && work < 48 * elements) wanted = std::max(wanted, std::min(4 * threads, elements / turn_elements));
  wanted = std::max<int64_t>({ceil_div(wanted, batch), ceil_div(m * n, most_elements), 1});
  Cut best{tile_piece, 1, 1, kernels.rows, kernels.vector};
  // In multiplications for each term: an element that is reordered costs as much as some of these.
  int64_t least = INT64_MAX;
  for (int64_t down = 1; down <= std::min(wanted, std::max<int64_t>(1, m / rows)); ++down) {
    const int64_t across = std::min(ceil_div(wanted, down), std::max<int64_t>(1, n / columns));
    const int64_t pieces = down * across, all = batch * (m * n + 4 * down * n + 2 * across * m);
    const int64_t height = longest(m, down, best.row_grain), breadth = longest(n, across, best.col_grain);
    const int64_t time = std::max(height * breadth + 4 * breadth + 2 * height, all / std::min(batch * pieces, threads));
    const int64_t idle = pieces < wanted ? m * n / 32 / threads : 0;
    if (time + idle < least) least = time + idle, best.down = down, best.across = across;
  }
  return best;
}

Cut cut_product(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k) {
  if (is_vector_product(dtype, m, n, k)) {
    int64_t rows = std::max<int64_t>(512, vector_work / k), pieces = ceil_div(m * n, rows);
    if (pieces == 1 && batch == 1 && m * n >= 256 && m * n * k >= 2 * vector_task_work) pieces = 2;
    return m == 1 ? Cut{vector_piece, 1, pieces, 64, 64} : Cut{vector_piece, pieces, 1, 64, 64};
  }
  if (is_row_by_row(dtype, m, n, k)) {
    const int64_t columns = std::max<int64_t>(256, vector_work / k);
    return {rows_piece, 1, ceil_div(n, columns), 64, 64};
  }
  if (!is_blas_product(dtype, m, n, k)) return cut_tiles(dtype, batch, m, n, k);
  // Where one side is short pieces are longer along the other, so that packing stays a small part of the work.
  Cut cut{
      blas_piece, ceil_div(m, std::max(side, side * side / n)), ceil_div(n, std::max(side, side * side / m)), 16, 16};
  while (cut.down * cut.across > 1 &&
         (shortest(m, cut.down, cut.row_grain) < blas_side || shortest(n, cut.across, cut.col_grain) < blas_side ||
             shortest(m, cut.down, cut.row_grain) * shortest(n, cut.across, cut.col_grain) * k < blas_piece_work)) {
    --(cut.down >= cut.across ? cut.down : cut.across);
  }
  return cut;
}

// Of how many threads each multiplies some of the terms, where there are too few rows and columns to share: 1 if none
// should. A small tile waits for its own sums, however few they are.
int64_t threads_for_terms(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t most_results = 2048, least_results = 128, least_blocks = 4;
  if (!dtype.is_inexact() || m * n > most_results) return 1;
  int64_t most = thread_count();
  if (is_vector_product(dtype, m, n, k)) {
    most = std::min({most, k / vector_terms(dtype), m * n * k * dtype.size() / (4 * vector_task_work)});
  } else if (multiplied_dtype(dtype) == dtype) {
    const int64_t work = k * std::max(m * n, least_results) * cost(dtype);
    most = std::min({most, k / tile_terms / least_blocks, work / task_work / 2});
  } else {
    return 1;
  }
  return std::max<int64_t>(1, most);
}

// As one piece, which adds the sums of blocks of terms up in turn, too.
void share_terms(const Product& p, int64_t threads) {
  const bool by_vectors = is_vector_product(p.dtype, p.m, p.n, p.k);
  const Dtype wide = multiplied_dtype(p.dtype);
  const int64_t terms = by_vectors ? vector_terms(p.dtype) : tile_terms, blocks = ceil_div(p.k, terms),
                results = p.m * p.n, bytes = results * wide.size();
  const Piece all{0, 0, p.m, p.n};
  std::unique_ptr<char[]> sums(new char[static_cast<size_t>(blocks * bytes)]);
  parallel_for(threads, [&](int64_t t) {
    int64_t i = blocks * t / threads;
    const int64_t end = blocks * (t + 1) / threads;
    if (takes_blocks(p)) i = sum_blocks(p, i, end, sums.get());
    for (; i < end; ++i) {
      const int64_t first = i * terms, count = std::min(terms, p.k - first);
      throw_if_interrupted();
      if (by_vectors) {
        vector_terms_piece(p, all, first, count, sums.get() + i * bytes, false);
      } else {
        tile_piece({p.dtype, p.m, p.n, count, offset(p.a, first * p.a.column_stride, p.dtype),
                       offset(p.b, first * p.b.row_stride, p.dtype), sums.get() + i * bytes, wide},
            all);
      }
    }
  });
  {
    FlushSubnormals mode;
    auto add_up = [&]<class T>(T* of_blocks, int64_t count) {
      for (int64_t i = 1; i < blocks; ++i) {
        for (int64_t j = 0; j < count; ++j) of_blocks[j] = of_blocks[i * count + j] + of_blocks[j];
      }
    };
    const int64_t parts = wide.is_complex() ? 2 * results : results;
    bytes / parts == 8 ? add_up(reinterpret_cast<double*>(sums.get()), parts)
                       : add_up(reinterpret_cast<float*>(sums.get()), parts);
  }
  wide == p.results ? void(copy_contiguous(p.out, sums.get(), static_cast<size_t>(bytes)))
                    : narrow_rows(p, all, wide, sums.get());
}

// All of a with its rows one after another, in memory that is made for it: pieces with the same rows need not do it
// each. There are gaps: rows a power of two from each other would drive each other out of the cache.
Matrix turned(Dtype dtype, const Matrix& a, int64_t m, int64_t k, std::unique_ptr<char[]>& memory) {
  constexpr int64_t line = 64;
  const int64_t size = dtype.size(), pitch = k + line / size;
  memory.reset(new char[static_cast<size_t>(m * pitch * size + line)]);
  char* to = memory.get() + (line - reinterpret_cast<uintptr_t>(memory.get()) % line) % line;
  const int64_t shape[] = {m, k}, from[] = {a.row_stride, a.column_stride}, strides[] = {pitch, 1};
  copy_strided(a.data, from, to, strides, shape, dtype.size());
  return {to, pitch, 1};
}

void blocks_piece(const Product& p, Piece) { share_terms(p, 1); }

// Products so small that finding out how to do each would take longer than doing it. They are done where they lie: the
// same bodies in the same order as of a large one.
struct Small {
  const ProductKernels& kernels;
  int64_t m, n, k;
  Matrix a, b;
  int64_t a_stride, b_stride; // bytes from one product to the next
  char* out;
  Dtype dtype;

  // Null where they are not.
  static std::optional<Small> of(
      Dtype dtype, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_stride, Matrix b, int64_t b_stride, void* out) {
    if (!is_small_product(dtype, m, n, k)) return {};
    const ProductKernels& kernels = product_kernels(dtype);
    const int64_t size = dtype.size();
    Small small{kernels, m, n, k, a, b, a_stride * size, b_stride * size, static_cast<char*>(out), dtype};
    if (small.is_dot()) return a.column_stride == 1 && b.row_stride == 1 ? std::optional(small) : std::nullopt;
    const bool by_tiles = !is_vector_product(dtype, m, n, k) && reads_where_it_lies(kernels, b, n);
    return by_tiles ? std::optional(small) : std::nullopt;
  }
  bool is_dot() const { return m == 1 && n == 1 && is_vector_product(dtype, m, n, k); }

  void run(int64_t first, int64_t last) const {
    const char *left = static_cast<const char*>(a.data) + first * a_stride,
               *right = static_cast<const char*>(b.data) + first * b_stride;
    const bool dot = is_dot();
    const int64_t size = dtype.size();
    char* to = out + first * m * n * size;
    for (int64_t i = first; i < last; ++i, left += a_stride, right += b_stride, to += m * n * size) {
      if (dot) {
        kernels.dots(1, k, left, 0, right, to, false);
      } else {
        kernels.tiles(m, n, k, left, a.row_stride, a.column_stride, right, b.row_stride, kernels.width, false, nullptr,
            to, n, 1, false);
      }
    }
  }
};

} // namespace

void gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out, Dtype results) {
  if (batch == 0 || m == 0 || n == 0) return;
  if (k == 0) {
    std::memset(out, 0, static_cast<size_t>(batch * m * n * results.size()));
    return;
  }
  if (const TileInstructions* tiles = tile_instructions(dtype, m, n, k)) {
    return tiles->gemm(dtype, batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out, results);
  }
  if (!is_row_by_row(dtype, m, n, k) &&
      multiply_thin(dtype, batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out, results)) {
    return;
  }
  if (auto tiny = TinyBatch::of(dtype, batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out)) {
    constexpr int64_t per_task = 4096;
    return parallel_for(ceil_div(batch, per_task), [&](int64_t task) {
      tiny->run(task * per_task, std::min(batch, (task + 1) * per_task), [&](int64_t first, int64_t last) {
        gemm(dtype, last - first, m, n, k, offset(a, first * a_batch_stride, dtype), a_batch_stride,
            offset(b, first * b_batch_stride, dtype), b_batch_stride,
            static_cast<char*>(out) + first * m * n * dtype.size());
      });
    });
  }
  if (auto small = Small::of(dtype, m, n, k, a, a_batch_stride, b, b_batch_stride, out)) {
    const int64_t each = m * n * k + 64, per_task = batch * each <= 2 * task_work ? batch : task_work / each;
    return parallel_for(ceil_div(batch, per_task), [&](int64_t task) {
      std::optional<FlushSubnormals> mode;
      if (dtype.is_inexact()) mode.emplace();
      small->run(task * per_task, std::min(batch, (task + 1) * per_task));
    });
  }
  Cut cut = cut_product(dtype, batch, m, n, k);
  if (takes_blocks({dtype, m, n, k, a, b, nullptr, results})) cut = {blocks_piece, 1, 1, 1, 1};
  int64_t pieces = cut.down * cut.across, jobs = batch * pieces, work = ceil_div(m * n, pieces) * k * cost(dtype);
  if (jobs == 1 && cut.run != blas_piece) {
    if (const int64_t threads = threads_for_terms(dtype, m, n, k); threads > 1) {
      return share_terms({dtype, m, n, k, a, b, static_cast<char*>(out), results}, threads);
    }
  }
  constexpr int64_t least_turned_rows = 128, least_turned_work = int64_t{1} << 26,
                    most_turned_bytes = int64_t{16} << 20;
  std::unique_ptr<char[]> memory;
  if (batch == 1 && cut.run == tile_piece && cut.across > 1 && a.row_stride == 1 && a.column_stride != 1 &&
      multiplied_dtype(dtype) == dtype && m >= least_turned_rows && m * n * k >= least_turned_work &&
      m * k * dtype.size() <= most_turned_bytes) {
    a = turned(dtype, a, m, k, memory);
  }
  // A vector's product reads as much as it multiplies.
  const int64_t least_work = cut.run == vector_piece ? vector_task_work : task_work;
  int64_t per_task = jobs * work < 2 * least_work ? jobs : std::max<int64_t>(1, least_work / work);
  parallel_for(ceil_div(jobs, per_task), [&](int64_t task) {
    std::optional<FlushSubnormals> mode; // once for many small products; conversions of 16-bit floats are outside of it
    if (dtype.is_inexact() && dtype.size() != 2) mode.emplace();
    for (int64_t job = task * per_task; job < std::min(jobs, (task + 1) * per_task); ++job) {
      int64_t i = pieces == 1 ? job : job / pieces;
      Piece piece{0, 0, m, n};
      if (pieces > 1) {
        auto [row, row_end] = piece_bounds(m, cut.down, cut.row_grain, job % pieces / cut.across);
        auto [column, column_end] = piece_bounds(n, cut.across, cut.col_grain, job % cut.across);
        piece = {row, column, row_end - row, column_end - column};
        if (piece.rows == 0 || piece.columns == 0) continue;
      }
      Product product{dtype, m, n, k, offset(a, i * a_batch_stride, dtype), offset(b, i * b_batch_stride, dtype),
          static_cast<char*>(out) + i * m * n * results.size(), results};
      cut.run(product, piece);
    }
  });
}

} // namespace mlx::core::cpu
