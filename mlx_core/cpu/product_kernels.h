// The serial bodies of matrix products, one table for each type that is multiplied. Every body computes an element from
// its row and its column alone, with terms added in an order that only their number decides: where an operand lies,
// how a product is cut up and which body runs changes no bit.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core::cpu {

// Elements of the operands are of the table's type; strides count elements and may have any sign.
struct ProductKernels {
  int item_size;
  int vector;      // columns of a vector of them
  int width;       // columns of a panel of b, some vectors of them
  int rows;        // of a tile
  bool large;      // whether these bodies are as quick as a BLAS on large products, too
  bool reads_tail; // whether `tiles` can read a last panel that is not full

  // c[i * c_row + j * c_column] = (or += where `add`) the sum over p < k, in that order, of a[i, p] * b[p, j].
  // b lies in panels of `width` columns, panel_stride apart, whose rows are b_row apart; `packed` if pack() wrote them.
  // A last panel with fewer columns is read from `tail`, if that is given, which pack() wrote. Otherwise it is full
  // where it lies, unless reads_tail.
  void (*tiles)(int64_t m, int64_t n, int64_t k, const void* a, int64_t a_row, int64_t a_column, const void* b,
      int64_t b_row, int64_t panel_stride, bool packed, const void* tail, void* c, int64_t c_row, int64_t c_column,
      bool add);

  // Panels of `width` columns, one after another, of a (k, n) matrix, in an order of their own; zeros where the last
  // one has no columns.
  void (*pack)(int64_t k, int64_t n, const void* b, int64_t b_row, int64_t b_column, void* to);

  // Products of a (rows, k) matrix and a vector of consecutive elements; null for integers, whose sums are exact in any
  // order. out[i] = (or += where `add`) the sum of a[i, p] * x[p]: term p goes to partial sum p % lanes, and the
  // partial sums are added in a tree. `dots` takes rows of consecutive elements, a_stride apart; `columns` takes
  // columns.
  void (*dots)(int64_t rows, int64_t k, const void* a, int64_t a_stride, const void* x, void* out, bool add);
  void (*columns)(int64_t rows, int64_t k, const void* a, int64_t a_stride, const void* x, void* out, bool add);

  // out[q * out_step + i] = the sum over t < count, in that order, of a[t][q * a_step + i] * b[t][i], for q < places
  // and i < n.
  void (*lanes)(int64_t n, int64_t count, const void* const* a, const void* const* b, int64_t places, int64_t a_step,
      void* out, int64_t out_step);

  // `dots` and `columns` of 16-bit floats and a float32 vector, into float32; null where there are none.
  struct OfHalves {
    void (*dots)(int64_t rows, int64_t k, const void* a, int64_t a_stride, const void* x, void* out, bool add);
    void (*columns)(int64_t rows, int64_t k, const void* a, int64_t a_stride, const void* x, void* out, bool add);
  } bfloat16, float16;
};

// float32, float64, complex64, complex128; all integers but the 8-bit ones, whose products are done in 16 bits; bool.
const ProductKernels& product_kernels(Dtype dtype);

const ProductKernels& float_product_kernels(Dtype dtype);
const ProductKernels& complex_product_kernels(Dtype dtype);
const ProductKernels& integer_product_kernels(Dtype dtype);

} // namespace mlx::core::cpu
