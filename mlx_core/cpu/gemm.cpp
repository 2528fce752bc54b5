// Matrix products: cuts a product into panels and shares them and the batch out over the pool.
#include "mlx_core/cpu/gemm.h"

#include <algorithm>
#include <memory>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/gemm_panel.h"
#include "mlx_core/cpu/thread_pool.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

constexpr int64_t whole_product = 1 << 21; // multiplications up to which a product stays in one piece
constexpr int64_t task_product = 1 << 19;  // a task's least work
constexpr int64_t panel_side = 256;
constexpr int64_t vector_panel = 1 << 18;    // matrix elements per piece of a matrix-vector product
constexpr int64_t longest_stretch = 1 << 15; // of k, in float32, which BLAS gets at once
constexpr int64_t half_panel = 1 << 16;      // elements widened at a time where few rows or columns use them

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Product {
  Dtype dtype;
  int64_t m, n, k;
  double alpha, beta;
  Matrix a, b;
  char* out; // rows n apart
};

// Rows and columns of one panel: a function of the shape, as the bits are.
struct Cut {
  int64_t rows, columns;
};

Cut cut_product(int64_t m, int64_t n, int64_t k) {
  if (m * n * k <= whole_product) return {m, n};
  if (m == 1 || n == 1) {
    int64_t piece = std::max<int64_t>(512, ceil_div(vector_panel, k) / 64 * 64);
    return {std::min(m, piece), std::min(n, piece)};
  }
  // A side that is short makes the other panel side longer, so that packing stays a small part of the work.
  int64_t rows = std::max(panel_side, panel_side * panel_side / std::max<int64_t>(16, n) / 16 * 16);
  int64_t columns = std::max(panel_side, panel_side * panel_side / std::max<int64_t>(16, m) / 16 * 16);
  return {std::min(m, rows), std::min(n, columns)};
}

// A stretch of k at a time, each added to the sum of those before: between them an interrupt is seen.
void run_panel(const Product& p, int64_t row, int64_t column, int64_t rows, int64_t columns) {
  int64_t at_once = longest_stretch / (p.dtype.size() * (p.dtype.is_complex() ? 2 : 1) / 4);
  for (int64_t first = 0; first < p.k; first += at_once) {
    if (first > 0) throw_if_interrupted();
    gemm_panel(p.dtype, rows, columns, std::min(at_once, p.k - first), p.alpha,
        offset(p.a, row * p.a.row_stride + first * p.a.column_stride, p.dtype),
        offset(p.b, column * p.b.column_stride + first * p.b.row_stride, p.dtype), first == 0 ? p.beta : 1,
        p.out + (row * p.n + column) * p.dtype.size(), p.n);
  }
}

// ---- 16-bit floats: widened to float32, multiplied, rounded once ----

// A widened copy of a rows x columns part, lying in memory as the original does.
struct Widened {
  Widened(const Matrix& from, int64_t rows, int64_t columns, Dtype dtype, bool parallel) {
    bool by_rows = from.column_stride == 1 || from.row_stride != 1;
    int64_t lines = by_rows ? rows : columns, length = by_rows ? columns : rows;
    int64_t line_stride = by_rows ? from.row_stride : from.column_stride;
    int64_t item_stride = by_rows ? from.column_stride : 1;
    data.reset(new float[static_cast<size_t>(rows * columns) + 1]);
    Kernel widen = find_cast(dtype, float32);
    auto line = [&](int64_t i) {
      auto* source = static_cast<const uint16_t*>(from.data) + i * line_stride;
      float* to = data.get() + i * length;
      if (item_stride == 1 || length == 1) {
        const void* inputs[] = {source};
        widen(inputs, to, length);
      } else {
        for (int64_t j = 0; j < length; ++j) {
          const void* inputs[] = {source + j * item_stride};
          widen(inputs, to + j, 1);
        }
      }
    };
    int64_t per_task = parallel && rows * columns > half_panel ? std::max<int64_t>(1, half_panel / length) : lines;
    parallel_for(ceil_div(lines, std::max<int64_t>(1, per_task)), [&](int64_t task) {
      for (int64_t i = task * per_task; i < std::min(lines, (task + 1) * per_task); ++i) line(i);
    });
    matrix = by_rows ? Matrix{data.get(), columns, 1} : Matrix{data.get(), 1, rows};
  }
  std::unique_ptr<float[]> data;
  Matrix matrix;
};

// Rows [row, row + rows) and columns [column, column + columns) of the output, which one operand, `whole`, has in
// float32 already, and the other gets a stretch of k at a time, to be used while it is in the cache.
struct HalfPanel {
  int64_t row, column, rows, columns;
};

void run_half_panel(const Product& p, const Matrix& whole, bool whole_is_b, HalfPanel at, int64_t k_piece) {
  std::unique_ptr<float[]> wide(new float[static_cast<size_t>(at.rows * at.columns)]);
  auto* out = reinterpret_cast<uint16_t*>(p.out) + at.row * p.n + at.column;
  Kernel widen = find_cast(p.dtype, float32), narrow = find_cast(float32, p.dtype);
  for (int64_t i = 0; p.beta != 0 && i < at.rows; ++i) {
    const void* inputs[] = {out + i * p.n};
    widen(inputs, wide.get() + i * at.columns, at.columns);
  }
  for (int64_t first = 0; first < p.k; first += k_piece) {
    if (first > 0) throw_if_interrupted();
    int64_t k = std::min(k_piece, p.k - first);
    Matrix a = offset(
        whole_is_b ? p.a : whole, first * (whole_is_b ? p.a : whole).column_stride, whole_is_b ? p.dtype : float32);
    Matrix b =
        offset(whole_is_b ? whole : p.b, first * (whole_is_b ? whole : p.b).row_stride, whole_is_b ? float32 : p.dtype);
    Matrix part =
        whole_is_b ? offset(a, at.row * a.row_stride, p.dtype) : offset(b, at.column * b.column_stride, p.dtype);
    Widened widened(part, whole_is_b ? at.rows : k, whole_is_b ? k : at.columns, p.dtype, false);
    (whole_is_b ? a : b) = widened.matrix;
    gemm_panel(float32, at.rows, at.columns, k, p.alpha, a, b, first == 0 ? p.beta : 1, wide.get(), at.columns);
  }
  for (int64_t i = 0; i < at.rows; ++i) {
    const void* inputs[] = {wide.get() + i * at.columns};
    narrow(inputs, out + i * p.n, at.columns);
  }
}

// The operand of the shorter side is widened whole; panels of the other are, each where it is used.
void half_product(const Product& p, bool parallel) {
  bool by_rows = p.n <= p.m; // b is the one widened whole
  int64_t side = by_rows ? p.m : p.n, other = by_rows ? p.n : p.m;
  bool thin = other <= 16; // the work is the widening: keep what is widened in the second-level cache
  int64_t piece = thin ? 512 : panel_side, k_piece = thin ? half_panel / piece : 1024;
  if (p.m * p.n * p.k <= whole_product / 8) piece = side;
  Widened whole(by_rows ? p.b : p.a, by_rows ? p.k : p.m, by_rows ? p.n : p.k, p.dtype, parallel);
  parallel_for(ceil_div(side, piece), [&](int64_t i) {
    int64_t first = i * piece, count = std::min(piece, side - first);
    HalfPanel at = by_rows ? HalfPanel{first, 0, count, other} : HalfPanel{0, first, other, count};
    run_half_panel(p, whole.matrix, by_rows, at, k_piece);
  });
}

// k == 0: out = beta * out.
void scale_only(Product p) {
  if (p.beta == 1) return;
  int64_t count = p.m * p.n, size = p.dtype.size();
  if (p.beta == 0) {
    const uint64_t zero[2] = {0, 0};
    return fill(p.out, zero, count, static_cast<int>(size));
  }
  alignas(16) static const char nothing[16] = {};
  Matrix none{nothing, 1, 1}; // times one zero
  p.k = 1, p.a = none, p.b = none;
  for (int64_t i = 0; i < count; ++i) {
    Product one = p;
    one.m = one.n = 1, one.out = p.out + i * size;
    p.dtype.size() == 2 ? half_product(one, false) : run_panel(one, 0, 0, 1, 1);
  }
}

} // namespace

void gemm(Dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k, double alpha, Matrix a, int64_t a_batch_stride,
    Matrix b, int64_t b_batch_stride, double beta, void* out, int64_t out_batch_stride) {
  if (batch == 0 || m == 0 || n == 0) return;
  if (batch > 1 && b_batch_stride == 0 && a.column_stride == 1 && a_batch_stride == m * a.row_stride &&
      out_batch_stride == m * n) {
    m *= batch, batch = 1; // one taller product
  }
  bool half = dtype.size() == 2;
  auto product = [&](int64_t i) {
    return Product{dtype, m, n, k, alpha, beta, offset(a, i * a_batch_stride, dtype),
        offset(b, i * b_batch_stride, dtype), static_cast<char*>(out) + i * out_batch_stride * dtype.size()};
  };
  if (k == 0) {
    for (int64_t i = 0; i < batch; ++i) scale_only(product(i));
    return;
  }
  if (half && batch == 1) return half_product(product(0), true);
  Cut cut = half ? Cut{m, n} : cut_product(m, n, k);
  int64_t down = ceil_div(m, cut.rows), across = ceil_div(n, cut.columns), jobs = batch * down * across;
  int64_t work = cut.rows * cut.columns * k;
  int64_t per_task = jobs * work <= 2 * task_product ? jobs : std::max<int64_t>(1, task_product / work);
  parallel_for(ceil_div(jobs, per_task), [&](int64_t task) {
    for (int64_t job = task * per_task; job < std::min(jobs, (task + 1) * per_task); ++job) {
      Product p = product(job / (down * across));
      if (half) {
        half_product(p, false);
        continue;
      }
      int64_t row = job % (down * across) / across * cut.rows, column = job % across * cut.columns;
      run_panel(p, row, column, std::min(cut.rows, m - row), std::min(cut.columns, n - column));
    }
  });
}

} // namespace mlx::core::cpu
