// Products of matrices that indices choose, summed up where they are for the same place.
#pragma once

#include <array>

#include "mlx_core/array.h"

namespace mlx::core {

// a is (lanes, matrices, m, k) and b (lanes, matrices, k, n), of one dtype; `indices` is (lanes, 3, terms), of int64:
// which matrix of a, which of b, and which of the result, in the order that `rows` says. The result is
// (lanes, count, m, n):
//   result[l, r] = the sum of a[l, i] @ b[l, j] over the terms (i, j, r) of lane l,
// 0 where there is none, and with `sums` added up over the lanes, which become one. Operands of one lane are the same
// for all lanes. Negative indices count from the end; one out of bounds is an IndexError at evaluation. With
// `zero_terms` a factor 0 makes 0 of any other. The op is closed: its derivatives are such products.
struct ChosenProducts {
  Dim count;
  bool sums = false, zero_terms = false;
  std::array<int, 3> rows{0, 1, 2};
};
array chosen_products(const array& a, const array& b, const array& indices, const ChosenProducts& how);

} // namespace mlx::core
