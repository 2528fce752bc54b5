// Matrix products: cuts them into pieces and shares those and the batch out over the pool.
#include "mlx_core/cpu/gemm.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "mlx_core/cpu/amx.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/cpu/thread_pool.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t task_work = int64_t{1} << 19; // a task's least number of multiplications
constexpr int64_t vector_work = int64_t{1} << 18;
constexpr int64_t side = 256;
constexpr int64_t short_vector = 16; // terms up to which a vector is a matrix

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A function of the shape alone, as the bits are.
struct Cut {
  void (*run)(const Product&, Piece);
  int64_t down, across; // pieces
  int64_t grain;        // pieces begin at multiples of it
};

// [first, second) of piece i of `count`: their lengths differ by less than two grains.
std::pair<int64_t, int64_t> bounds(int64_t length, int64_t count, int64_t grain, int64_t i) {
  auto at = [&](int64_t k) { return k == count ? length : length * k / count / grain * grain; };
  return {at(i), at(i + 1)};
}

int64_t least(int64_t length, int64_t count, int64_t grain) { return count == 1 ? length : length / count - grain; }

bool is_blas_product(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  return dtype.is_inexact() && std::min({m, n, k}) >= blas_side && m * n * k >= blas_piece_work;
}

Cut cut_product(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  if (dtype.is_inexact() && (m == 1 || n == 1) && k > short_vector) {
    int64_t rows = std::max<int64_t>(512, vector_work / k), pieces = ceil_div(m * n, rows);
    return m == 1 ? Cut{vector_piece, 1, pieces, 64} : Cut{vector_piece, pieces, 1, 64};
  }
  if (!is_blas_product(dtype, m, n, k)) {
    return {tile_piece, ceil_div(m, side), ceil_div(n, side), 32};
  }
  // Where one side is short pieces are longer along the other, so that packing stays a small part of the work.
  Cut cut{blas_piece, ceil_div(m, std::max(side, side * side / n)), ceil_div(n, std::max(side, side * side / m)), 16};
  while (cut.down * cut.across > 1 &&
         (least(m, cut.down, cut.grain) < blas_side || least(n, cut.across, cut.grain) < blas_side ||
             least(m, cut.down, cut.grain) * least(n, cut.across, cut.grain) * k < blas_piece_work)) {
    --(cut.down >= cut.across ? cut.down : cut.across);
  }
  return cut;
}

} // namespace

void gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, int64_t a_batch_stride, Matrix b,
    int64_t b_batch_stride, void* out) {
  if (batch == 0 || m == 0 || n == 0) return;
  if (k == 0) {
    std::memset(out, 0, static_cast<size_t>(batch * m * n * dtype.size()));
    return;
  }
  if (dtype == bfloat16 && is_tile_product(m, n, k) && has_amx()) {
    return amx_gemm(batch, m, n, k, a, a_batch_stride, b, b_batch_stride, out);
  }
  Cut cut = cut_product(dtype, m, n, k);
  int64_t pieces = cut.down * cut.across, jobs = batch * pieces, work = ceil_div(m * n, pieces) * k;
  int64_t per_task = jobs * work <= 2 * task_work ? jobs : std::max<int64_t>(1, task_work / work);
  parallel_for(ceil_div(jobs, per_task), [&](int64_t task) {
    std::optional<FlushSubnormals> mode; // once for many small products; conversions of 16-bit floats are outside of it
    if (dtype.is_inexact() && dtype.size() != 2) mode.emplace();
    for (int64_t job = task * per_task; job < std::min(jobs, (task + 1) * per_task); ++job) {
      int64_t i = pieces == 1 ? job : job / pieces;
      Piece piece{0, 0, m, n};
      if (pieces > 1) {
        auto [row, row_end] = bounds(m, cut.down, cut.grain, job % pieces / cut.across);
        auto [column, column_end] = bounds(n, cut.across, cut.grain, job % cut.across);
        piece = {row, column, row_end - row, column_end - column};
        if (piece.rows == 0 || piece.columns == 0) continue;
      }
      Product product{dtype, m, n, k, offset(a, i * a_batch_stride, dtype), offset(b, i * b_batch_stride, dtype),
          static_cast<char*>(out) + i * m * n * dtype.size()};
      cut.run(product, piece);
    }
  });
}

} // namespace mlx::core::cpu
