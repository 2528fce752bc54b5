// The pieces that gemm() cuts a product into, each done by one thread: with BLAS where it is large, with our own bodies
// where it is not or one of the operands is a vector.
#pragma once

#include <algorithm>
#include <utility>

#include "mlx_core/cpu/gemm.h"
#include "mlx_core/cpu/product_kernels.h"

namespace mlx::core::cpu {

struct Product {
  Dtype dtype;
  int64_t m, n, k;
  Matrix a, b;
  char* out;     // row-major (m, n)
  Dtype results; // what is in it: dtype, or what that is multiplied in
};

// Rows [row, row + rows) and columns [column, column + columns) of the output.
struct Piece {
  int64_t row, column, rows, columns;
};

// [first, second) of piece i of `count`, which begin at multiples of the grain and are as long as each other but for
// one of these.
inline std::pair<int64_t, int64_t> piece_bounds(int64_t length, int64_t count, int64_t grain, int64_t i) {
  const int64_t grains = (length + grain - 1) / grain;
  return {std::min(length, grains * i / count * grain), std::min(length, grains * (i + 1) / count * grain)};
}

// What elements are converted to before they are multiplied: float32 for the 16-bit floats, 16 bits for 8-bit integers.
inline Dtype multiplied_dtype(Dtype dtype) {
  if (dtype == float16 || dtype == bfloat16) return float32;
  return dtype == int8 ? int16 : dtype == uint8 ? uint16 : dtype;
}

// Terms added up before they join the sum: fewer roundings on a way, and blocks that fit into the cache. Bits depend on
// this number.
inline constexpr int64_t tile_terms = 256;

// Whether the product is one with a vector, whose terms are added side by side: one of few terms is as of a matrix.
// Bits depend on it.
inline bool is_vector_product(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t few_terms = 16;
  return dtype.is_inexact() && (m == 1 || n == 1) && k > few_terms;
}

// Whether each of two rows is multiplied as a vector is: a matrix of 16-bit floats is converted in registers there,
// which is quicker than bringing it into order. Bits depend on it.
inline bool is_row_by_row(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t least_columns = 128, least_terms = 64, least_work = int64_t{1} << 16;
  return m == 2 && multiplied_dtype(dtype) == float32 && dtype != float32 && n >= least_columns && k >= least_terms &&
         m * n * k >= least_work;
}

// Whether finding out how to do the product would take longer than doing it: by one call of a body, where that can read
// b where it lies.
inline bool is_small_product(Dtype dtype, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t most_work = 4096;
  return m * n * k <= most_work && k <= tile_terms && multiplied_dtype(dtype) == dtype;
}
inline bool reads_where_it_lies(const ProductKernels& kernels, const Matrix& b, int64_t n) {
  return (b.column_stride == 1 || n == 1) && (n % kernels.width == 0 || kernels.reads_tail);
}

void tile_piece(const Product& product, Piece piece);
void vector_piece(const Product& product, Piece piece); // m or n is 1; floating or complex
void rows_piece(const Product& product, Piece piece);   // as many of those with one matrix, block by block
// Of so many terms, into `out`, which has the elements that are multiplied, or to what is there.
void vector_terms_piece(const Product& product, Piece piece, int64_t first, int64_t terms, char* out, bool add);
// As tile_terms, of products with a vector.
inline int64_t vector_terms(Dtype dtype) { return multiplied_dtype(dtype) == dtype ? 4096 : 1024; }

void blas_piece(const Product& product, Piece piece); // floating or complex, not small

// The least number of multiplications in a piece that BLAS gets. OpenBLAS turns larger pieces into one layout of its
// own first, and from there on does not know how they lay; smaller ones it may read in place, with bodies that differ.
constexpr int64_t blas_piece_work = int64_t{1} << 23;
constexpr int64_t blas_side = 48; // and its least rows, columns and terms

// A block of a matrix in memory of its own, without gaps: in the dtype asked for, its rows one after another, or its
// columns if those were consecutive before.
Matrix packed_block(const Matrix& from, int64_t rows, int64_t columns, Dtype dtype, Dtype wanted, void* to);

// The output's piece from consecutive rows of sums of another dtype, rounded.
void narrow_rows(const Product& product, const Piece& piece, Dtype wide, const char* sums);

// Memory of the calling thread, kept for its next product; `slot` tells blocks in use at the same time apart.
void* product_memory(int slot, int64_t bytes);

} // namespace mlx::core::cpu
