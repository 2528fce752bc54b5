// Jacobians and Hessians that are mostly zero: the pattern is found from the graph, and columns that share no row go
// through one pass.
#pragma once

#include <memory>

#include "mlx_core/jacobian.h"

namespace mlx::core {

// A matrix by its entries that may be nonzero, in row-major order. Rows and columns are numbered as in the flattened
// output and argument.
struct SparseMatrix {
  array rows, cols; // int32, one per entry
  array values;     // (..., entries): under vmap with the lanes in front
  int64_t row_count, column_count;
  int passes; // tangents or cotangents that were sent through the function

  array todense() const; // (..., row_count, column_count)
};

// Where the entries are and how they are computed: found once, it serves every argument of that shape for which the
// function does the same operations on the same elements.
class SparsePlan;

// `plan` is made when it is null, and kept there.
SparseMatrix sparse_jacobian(const ArrayFunction& fun, const array& x, std::shared_ptr<const SparsePlan>& plan);
SparseMatrix sparse_hessian(const ArrayFunction& fun, const array& x, std::shared_ptr<const SparsePlan>& plan);

} // namespace mlx::core
