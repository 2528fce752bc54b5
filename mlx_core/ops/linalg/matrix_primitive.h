// The rule kind of what is done to each matrix of a stack (kernel::MatrixWork): batching is one more leading axis, and
// the vjp is the transpose of the jvp. And the operations that rules of this kind are made of.
#pragma once

#include "mlx_core/backend/kernels.h"
#include "mlx_core/error.h"
#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/linalg/products.h"
#include "mlx_core/ops/linear.h"
#include "mlx_core/remake.h"

namespace mlx::core {

class MatrixPrimitive : public Primitive {
 public:
  // One of these: an operation that is linear in an operand gives a vjp, as its jvp in that operand is itself.
  Tangents vjp(
      Operands primals, const Tangents& cotangents, Operands outputs, std::span<const bool> wanted) const override;
  Mapped vmap(Operands operands, const MapAxes& axes) const override;

 protected:
  struct Options {
    bool upper = false, adjoint = false, full = false, lenient = false;
  };
  // Allocates the outputs and asks for the task. Operands before `first` are for the rules alone.
  static void work(MatrixTask task, const char* op, Operands operands, std::span<array> outputs, Kernels& kernels,
      Options options, size_t first = 0);
};

// --- arguments and results of public functions ---
// Matrices to compute with: at least two dimensions, float32 where the dtype is an integer or narrower.
array matrix_argument(const char* op, const array& a);
array square_argument(const char* op, const array& a);
// The dtype that matrices of this dtype are computed in.
Dtype matrix_dtype(Dtype dtype);
// A result for an argument of this dtype: rounded to it where it is a narrow floating one.
array rounded_to(const array& y, Dtype argument);

// --- for rules ---
array adjoint_of(const array& a);
array hermitian_part(const array& a);
array antihermitian_part(const array& a);
// The first rows, or columns.
array first_rows(const array& a, Dim count);
array first_columns(const array& a, Dim count);
array last_rows(const array& a, Dim first);
array last_columns(const array& a, Dim first);
array diagonal_of(const array& a);
// a's rows or columns times the elements of a vector.
array scale_columns(const array& a, const array& by);
array scale_rows(const array& a, const array& by);
// 1 / x, and 0 where |x| is no more than `noise`.
array reciprocal_above(const array& x, const array& noise);
// What rounding makes of values that are equal: 64 epsilon of the root of the sum of their squares (..., 1).
array noise_of(const array& values);
array identity_like(const array& square);
// Every leading axis of a, broadcast with those of b.
std::pair<array, array> with_equal_batch(const char* op, const array& a, const array& b);

// --- operations, of operands that were checked ---
array triangular_solution(const array& a, const array& b, bool upper, bool adjoint, bool lenient);
array inverse_of(const array& a, bool lenient);
std::vector<array> lu_of(const array& a);             // both factors, swaps, places
std::vector<array> svd_of(const array& a, bool full); // u, s, vh
array singular_values_of(const array& a);

// Parts of files: matrices of a dtype that LAPACK has.
const array& matrices(const array& a);
const array& square_matrices(const array& a);

} // namespace mlx::core
