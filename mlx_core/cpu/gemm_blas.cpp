// Large pieces of matrix products, by BLAS.
#include <algorithm>
#include <memory>

#include "mlx_core/cpu/blas.h"
#include "mlx_core/cpu/ceil_div.h"
#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/gemm_pieces.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {
namespace {

// Whether a large piece's bits are the same whichever order an operand's elements have in memory. OpenBLAS has paths
// for some orders on other machines than x86, and of another BLAS nothing is known: there it gets rows, nothing else.
#if defined(__x86_64__) && (defined(MLX_BLAS_SCIPY_OPENBLAS) || defined(OPENBLAS_VERSION))
constexpr bool any_order = true;
#else
constexpr bool any_order = false;
#endif

// The order of a matrix as BLAS takes it, row-major: NoTrans where its rows are consecutive, Trans where its columns
// are.
struct Order {
  CBLAS_TRANSPOSE order;
  int64_t leading;
  bool possible;

  Order(const Matrix& m, int64_t rows, int64_t columns) {
    if (m.column_stride == 1 && m.row_stride >= columns) {
      order = CblasNoTrans, leading = m.row_stride, possible = true;
    } else {
      order = CblasTrans, leading = m.column_stride;
      possible = any_order && m.row_stride == 1 && m.column_stride >= rows;
    }
  }
};

void multiply(Dtype dtype, int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b, void* out, int64_t stride,
    bool add) {
  use_one_blas_thread();
  Order left(a, m, k), right(b, k, n);
  auto call = [&](auto gemm, auto one, auto scalar) {
    using T = decltype(one);
    T alpha(1), beta(add ? 1 : 0);
    gemm(CblasRowMajor, left.order, right.order, to_blas_int(m), to_blas_int(n), to_blas_int(k), scalar(alpha),
        static_cast<const T*>(a.data), to_blas_int(left.leading), static_cast<const T*>(b.data),
        to_blas_int(right.leading), scalar(beta), static_cast<T*>(out), to_blas_int(stride));
  };
  auto value = [](auto& x) { return x; };
  auto address = [](auto& x) -> const void* { return &x; };
  FlushSubnormals mode;
  switch (dtype.val) {
    case Dtype::Val::float64: return call(MLX_CBLAS(dgemm), 0.0, value);
    case Dtype::Val::complex64: return call(MLX_CBLAS(cgemm), complex64_t(), address);
    case Dtype::Val::complex128: return call(MLX_CBLAS(zgemm), complex128_t(), address);
    default: return call(MLX_CBLAS(sgemm), 0.0f, value);
  }
}

// Multiplications in one call: some ten milliseconds, so that an interrupt is heeded in between.
int64_t call_work(Dtype dtype) {
  int64_t cost = dtype == float64 ? 2 : dtype == complex64 ? 4 : dtype == complex128 ? 8 : 1;
  return (int64_t{1} << 29) / cost;
}

struct Block {
  Matrix matrix;
  std::unique_ptr<char[]> ordered;

  Block(const Matrix& from, int64_t rows, int64_t columns, Dtype dtype, Dtype wanted, int slot) : matrix(from) {
    int64_t bytes = rows * columns * wanted.size();
    if (dtype != wanted || !(any_order && (from.row_stride == 1 || from.column_stride == 1))) {
      if (dtype == wanted && Order(from, rows, columns).possible) return;
      matrix = packed_block(from, rows, columns, dtype, wanted, product_memory(slot, bytes));
    }
    if (!Order(matrix, rows, columns).possible) {
      ordered.reset(new char[static_cast<size_t>(bytes)]);
      int64_t shape[] = {rows, columns}, strides[] = {matrix.row_stride, matrix.column_stride}, to[] = {columns, 1};
      copy_strided(matrix.data, strides, ordered.get(), to, shape, wanted.size());
      matrix = {ordered.get(), columns, 1};
    }
  }
};

} // namespace

void blas_piece(const Product& p, Piece at) {
  Dtype dtype = multiplied_dtype(p.dtype);
  bool widened = dtype != p.dtype;
  Matrix a = offset(p.a, at.row * p.a.row_stride, p.dtype), b = offset(p.b, at.column * p.b.column_stride, p.dtype);
  char* out = p.out + (at.row * p.n + at.column) * dtype.size();
  int64_t out_stride = widened ? at.columns : p.n;
  if (widened) out = static_cast<char*>(product_memory(2, at.rows * at.columns * dtype.size()));
  // Terms per call: blocks that were widened should stay in the cache, and none is smaller than blas_piece_work.
  int64_t work = at.rows * at.columns * p.k, calls = ceil_div(work, call_work(dtype));
  if (widened) calls = std::max(calls, ceil_div(p.k, 1024));
  calls = std::max<int64_t>(1, std::min({calls, work / (2 * blas_piece_work), p.k / blas_side}));
  for (int64_t i = 0; i < calls; ++i) {
    if (i > 0) throw_if_interrupted();
    int64_t first = p.k * i / calls, k = p.k * (i + 1) / calls - first;
    Block left(offset(a, first * a.column_stride, p.dtype), at.rows, k, p.dtype, dtype, 0);
    Block right(offset(b, first * b.row_stride, p.dtype), k, at.columns, p.dtype, dtype, 1);
    multiply(dtype, at.rows, at.columns, k, left.matrix, right.matrix, out, out_stride, i > 0);
  }
  if (widened) narrow_rows(p, at, dtype, out);
}

} // namespace mlx::core::cpu
