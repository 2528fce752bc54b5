// Colouring the columns of a sparse matrix so that those of one colour can go through one pass together.
#pragma once

#include "mlx_core/transforms/sparsity.h"

namespace mlx::core {

struct Coloring {
  std::vector<int32_t> color; // of each column
  int32_t count = 0;
};

// Columns of one colour share no row: entry (i, j) of the matrix is entry i of the product with the sum of the unit
// vectors of j's colour (Curtis, Powell and Reid, On the estimation of sparse Jacobian matrices, 1974). Greedy, in
// order, which is optimal for bands.
Coloring color_columns(const Pattern& pattern);

// For a symmetric pattern: each entry (i, j) can be read in row i of j's colour or in row j of i's. Neighbours differ,
// and no path of four columns has two colours (star colouring: Gebremedhin, Manne and Pothen, What color is your
// Jacobian?, 2005, algorithm 4.1).
Coloring color_symmetric(const Pattern& pattern);

// For each entry: whether no other column of row i has its colour.
std::vector<bool> alone_in_row(const Pattern& pattern, const Coloring& coloring);

} // namespace mlx::core
