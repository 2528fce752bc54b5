// Pieces of matrix products done by our own bodies, and the blocks of operands that they and BLAS work on.
#include "mlx_core/cpu/gemm_pieces.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/cpu/copy_rows.h"
#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/product_kernels.h"
#include "mlx_core/cpu/subnormals.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

void* product_memory(int slot, int64_t bytes) {
  struct Block {
    std::unique_ptr<char[]> data;
    int64_t size = 0;
  };
  static thread_local Block blocks[4];
  Block& block = blocks[slot];
  if (block.size < bytes) {
    block.size = 0, block.data.reset();
    block.data.reset(new char[static_cast<size_t>(bytes + 64)]);
    block.size = bytes;
  }
  auto address = reinterpret_cast<uintptr_t>(block.data.get());
  return block.data.get() + (64 - address % 64) % 64;
}

Matrix packed_block(const Matrix& from, int64_t rows, int64_t columns, Dtype dtype, Dtype wanted, void* to) {
  bool by_rows = from.column_stride == 1 || from.row_stride != 1;
  int64_t lines = by_rows ? rows : columns, length = by_rows ? columns : rows;
  int64_t line_stride = by_rows ? from.row_stride : from.column_stride;
  int64_t item_stride = by_rows ? from.column_stride : 1;
  const Matrix packed = by_rows ? Matrix{to, columns, 1} : Matrix{to, 1, rows};
  if (item_stride == 1 && line_stride == length) { // without gaps
    length *= std::exchange(lines, 1);
  }
  auto line_of = [&](int64_t i) { return static_cast<const char*>(from.data) + i * line_stride * dtype.size(); };
  Kernel cast = dtype == wanted ? nullptr : find_cast(dtype, wanted);
  for (int64_t i = 0; i < lines; ++i) {
    char* target = static_cast<char*>(to) + i * length * wanted.size();
    const void* source = line_of(i);
    if (item_stride != 1 && length > 1) {
      // Gathered a stretch at a time, converted where that is wanted.
      alignas(64) char stretch[4096];
      int64_t most = static_cast<int64_t>(sizeof(stretch)) / dtype.size();
      for (int64_t done = 0; done < length; done += most) {
        int64_t count = std::min(most, length - done), shape[] = {count}, strides[] = {item_stride};
        void* gathered = cast ? stretch : target + done * wanted.size();
        read_strided(line_of(i) + done * item_stride * dtype.size(), shape, strides, dtype.size(), 0, count, gathered);
        source = gathered;
        if (cast) cast(&source, target + done * wanted.size(), count);
      }
    } else if (cast) {
      cast(&source, target, length);
    } else {
      copy_contiguous(target, source, static_cast<size_t>(length * dtype.size()));
    }
  }
  return packed;
}

namespace {

Matrix transposed(const Matrix& m) { return {m.data, m.column_stride, m.row_stride}; }

// A scope for bodies of this dtype.
struct Mode {
  explicit Mode(Dtype dtype) {
    if (dtype.is_inexact()) flush.emplace();
  }
  std::optional<FlushSubnormals> flush;
};

} // namespace

void narrow_rows(const Product& p, const Piece& at, Dtype wide, const char* sums) {
  Kernel narrow = find_cast(wide, p.results);
  for (int64_t i = 0; i < at.rows; ++i) {
    const void* row = sums + i * at.columns * wide.size();
    narrow(&row, p.out + ((at.row + i) * p.n + at.column) * p.results.size(), at.columns);
  }
}

namespace {

// Rows and columns of what is multiplied at once: a block of b that stays in the second level of the cache, and one of
// a that passes by it.
constexpr int64_t block_bytes = 2048, block_rows = 112; // of a row of b
// With few terms most of the time goes into writing: what is written at once are long stretches of few rows.
constexpr int64_t few_terms = 8, long_bytes = 16384, stretch_rows = 32;

// A block of b, in panels or where it lies.
struct Panels {
  const char* data;
  int64_t row_stride, panel_stride;
  bool packed;
  const void* tail = nullptr;

  // Few rows read b where it lies; so do more of them if it is small and without gaps.
  Panels(const ProductKernels& kernels, const Matrix& b, int64_t rows, int64_t columns, int64_t k, char* small,
      int64_t small_bytes)
      : data(static_cast<const char*>(b.data)) {
    const int64_t size = kernels.item_size, whole = columns / kernels.width * kernels.width, rest = columns - whole;
    packed = b.column_stride != 1 ||
             (rows > 16 && (b.row_stride > 2 * columns || k * columns * size > (int64_t{rows <= 64 ? 128 : 40} << 10)));
    row_stride = packed ? kernels.width : b.row_stride;
    panel_stride = packed ? kernels.width * k : kernels.width;
    if (packed) {
      void* panels = product_memory(1, k * (whole + kernels.width) * size);
      kernels.pack(k, columns, b.data, b.row_stride, b.column_stride, panels);
      data = static_cast<const char*>(panels);
    } else if (rest != 0 && !kernels.reads_tail) {
      const int64_t bytes = k * kernels.width * size;
      void* panel = bytes <= small_bytes ? small : product_memory(1, bytes);
      kernels.pack(k, rest, data + whole * size, b.row_stride, 1, panel);
      tail = panel;
    }
  }
};

} // namespace

void tile_piece(const Product& p, Piece at) {
  Dtype dtype = multiplied_dtype(p.dtype);
  bool widened = dtype != p.dtype, rounded = dtype != p.results;
  const ProductKernels& kernels = product_kernels(dtype);
  int64_t size = dtype.size(), rows = at.rows, columns = at.columns;
  Matrix a = offset(p.a, at.row * p.a.row_stride, p.dtype), b = offset(p.b, at.column * p.b.column_stride, p.dtype);
  char* out = p.out + (at.row * p.n + at.column) * size;
  int64_t out_row = p.n, out_column = 1;
  if (rounded) {
    out = static_cast<char*>(product_memory(2, rows * columns * size));
    out_row = columns;
  }
  char* const sums = out;
  // What fills vectors of columns, or is so little that it does not matter.
  const bool few_rows = rows <= 4 || rows == kernels.vector || (size == 8 && rows < kernels.vector);
  if (b.column_stride != 1 && columns > rows && few_rows && !dtype.is_complex()) {
    // (a b)' = b' a': the few rows of a are put in order instead of the many columns of b. A product of complex numbers
    // rounds differently when its factors change places.
    std::swap(a, b), std::swap(rows, columns), std::swap(out_row, out_column);
    a = transposed(a), b = transposed(b);
  }
  alignas(64) char small[4096];
  const bool few = p.k <= few_terms;
  const int64_t block_columns = (few ? long_bytes : block_bytes) / size,
                rows_at_once = few ? stretch_rows / kernels.rows * kernels.rows : block_rows;
  if (!widened && p.k > tile_terms && columns <= kernels.width && b.column_stride == 1 &&
      (columns == kernels.width || kernels.reads_tail) && a.column_stride == 1) {
    // One panel, read where it lies: the rows of a pass by it, each from one end to the other.
    for (int64_t row = 0; row < rows; row += kernels.rows) {
      const int64_t height = std::min<int64_t>(kernels.rows, rows - row);
      if (row % block_rows == 0 && row > 0) throw_if_interrupted();
      Mode mode(dtype);
      for (int64_t first = 0; first < p.k; first += tile_terms) {
        const Matrix left = offset(a, row * a.row_stride + first, dtype),
                     right = offset(b, first * b.row_stride, dtype);
        kernels.tiles(height, columns, std::min(tile_terms, p.k - first), left.data, left.row_stride, 1, right.data,
            b.row_stride, kernels.width, false, nullptr, out + row * out_row * size, out_row, out_column, first > 0);
      }
    }
    return;
  }
  for (int64_t column = 0; column < columns; column += block_columns) {
    const int64_t width = std::min(block_columns, columns - column);
    for (int64_t first = 0; first < p.k; first += tile_terms) {
      if (first > 0 || column > 0) throw_if_interrupted();
      const int64_t k = std::min(tile_terms, p.k - first);
      Matrix right = offset(b, first * b.row_stride + column * b.column_stride, p.dtype);
      if (widened) right = packed_block(right, k, width, p.dtype, dtype, product_memory(3, k * width * size));
      const Panels panels(kernels, right, rows, width, k, small, sizeof(small));
      for (int64_t row = 0; row < rows; row += rows_at_once) {
        const int64_t height = std::min(rows_at_once, rows - row);
        Matrix left = offset(a, row * a.row_stride + first * a.column_stride, p.dtype);
        if (widened || (width > kernels.width && left.column_stride != 1)) {
          left = packed_block(left, height, k, p.dtype, dtype, product_memory(0, height * k * size));
        }
        Mode mode(dtype);
        kernels.tiles(height, width, k, left.data, left.row_stride, left.column_stride, panels.data, panels.row_stride,
            panels.panel_stride, panels.packed, panels.tail, out + (row * out_row + column * out_column) * size,
            out_row, out_column, first > 0);
      }
    }
  }
  if (rounded) narrow_rows(p, at, dtype, sums);
}

void vector_piece(const Product& p, Piece at) {
  const Dtype wide = multiplied_dtype(p.dtype);
  char* out = p.out + (at.row * p.n + at.column) * wide.size();
  if (wide != p.results) out = static_cast<char*>(product_memory(2, at.rows * at.columns * wide.size()));
  const int64_t most = vector_terms(p.dtype);
  for (int64_t first = 0; first < p.k; first += most) {
    if (first > 0) throw_if_interrupted();
    vector_terms_piece(p, at, first, std::min(most, p.k - first), out, first > 0);
  }
  if (wide != p.results) narrow_rows(p, at, wide, out);
}

void rows_piece(const Product& p, Piece at) {
  const Dtype wide = multiplied_dtype(p.dtype);
  char* sums = p.out + (at.row * p.n + at.column) * wide.size();
  int64_t apart = p.n * wide.size();
  if (wide != p.results) {
    apart = at.columns * wide.size();
    sums = static_cast<char*>(product_memory(2, at.rows * apart));
  }
  const int64_t most = vector_terms(p.dtype);
  for (int64_t first = 0; first < p.k; first += most) {
    if (first > 0) throw_if_interrupted();
    Product row = p;
    row.m = 1;
    for (int64_t i = 0; i < at.rows; ++i) {
      row.a = offset(p.a, (at.row + i) * p.a.row_stride, p.dtype);
      vector_terms_piece(
          row, {0, at.column, 1, at.columns}, first, std::min(most, p.k - first), sums + i * apart, first > 0);
    }
  }
  if (wide != p.results) narrow_rows(p, at, wide, sums);
}

void vector_terms_piece(const Product& p, Piece at, int64_t first, int64_t k, char* out, bool add) {
  Dtype dtype = multiplied_dtype(p.dtype);
  bool widened = dtype != p.dtype;
  const ProductKernels& kernels = product_kernels(dtype);
  int64_t size = dtype.size(), rows = at.rows * at.columns;
  // A row times a matrix is that matrix, transposed, times a column.
  Matrix matrix = p.n == 1 ? offset(p.a, at.row * p.a.row_stride, p.dtype)
                           : transposed(offset(p.b, at.column * p.b.column_stride, p.dtype));
  Matrix x = p.n == 1 ? p.b : transposed(p.a);
  Matrix factor = offset(x, first * x.row_stride, p.dtype),
         block = offset(matrix, first * matrix.column_stride, p.dtype);
  if (widened || factor.row_stride != 1) {
    factor = packed_block({factor.data, 0, factor.row_stride}, 1, k, p.dtype, dtype, product_memory(0, k * size));
  }
  bool by_rows = block.column_stride == 1, by_columns = !by_rows && block.row_stride == 1;
  const ProductKernels::OfHalves& halves = p.dtype == bfloat16 ? kernels.bfloat16 : kernels.float16;
  if (widened && halves.dots && (by_rows || by_columns)) {
    Mode mode(dtype);
    auto* body = by_rows ? halves.dots : halves.columns;
    return body(rows, k, block.data, by_rows ? block.row_stride : block.column_stride, factor.data, out, add);
  }
  bool copied = widened || !(by_rows || by_columns);
  int64_t step = copied ? std::max<int64_t>(1, 65536 / k) : rows;
  for (int64_t i = 0; i < rows; i += step) {
    int64_t count = std::min(step, rows - i);
    Matrix part = offset(block, i * block.row_stride, p.dtype);
    if (copied) part = packed_block(part, count, k, p.dtype, dtype, product_memory(1, count * k * size));
    Mode mode(dtype);
    if (part.column_stride == 1) {
      kernels.dots(count, k, part.data, part.row_stride, factor.data, out + i * size, add);
    } else {
      kernels.columns(count, k, part.data, part.column_stride, factor.data, out + i * size, add);
    }
  }
}

} // namespace mlx::core::cpu
