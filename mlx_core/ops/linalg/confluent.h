// Decompositions into values and vectors: what their derivatives are where values coincide.
//
// Vectors of equal values are a basis that anyone may turn, so they have no derivative; but what is made of values and
// vectors together, v diag(f(w)) v^H say, may be a smooth function g of the matrix. By the chain rule alone its
// derivative is n / gap, where n is how g changes as two vectors turn into each other and gap is the difference of
// their values; n is 0 where gap is, if g is smooth: n = gap m, and m is wanted. While values move apart in some
// direction (the parting), with the vectors held still, n grows by gap' m. So m is n' / gap': a derivative, by the
// values, of what the chain rule finds for the vectors. With n' = D n, n'' = D D n and so on along the parting,
//
//   m = n' / gap' - gap n'' / (2 gap'^2) + gap^2 n''' / (6 gap'^3) - ...
//
// holds beside gap = 0, too: k terms give m with an error of order gap^k, and k - 1 derivatives of m where gap is 0.
// transforms/confluence.h computes n', n''; here is what a decomposition says of itself for that.
#pragma once

#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

class Confluent {
 public:
  virtual ~Confluent() = default;
  // Which output holds the values; the others hold vectors.
  virtual size_t values() const = 0;
  // Which output of an application of `other` to the same operands holds the same values; -1 when none does.
  virtual int same_values(const Primitive& other) const = 0;
  // A direction in which values part that coincide or nearly do; 0 in all others.
  virtual array parting(Operands outputs) const = 0;
  // Forward: how the vectors of equal values turn. Tangents of the outputs which, derived `order` times along the
  // parting by what is made of them, are this term (1, 2, ...) of the sum.
  virtual Tangents turning(
      Operands primals, const Tangents& tangents, Operands outputs, const array& parting, int order) const = 0;
  // Reverse: the cotangent of the matrix. cotangents[r] are those of the outputs, derived r times along the parting.
  virtual array pulled(
      Operands outputs, const std::vector<Tangents>& cotangents, const std::optional<array>& parting) const = 0;
};

// A difference, sum or size of values, by which vectors turn: 0 where it is no more than `noise`.
struct Gap {
  array size, noise;
  std::optional<array> parting; // its derivative along the parting
};

// What term `order` of the sum multiplies the derivative of that order by; 0 where values do not part.
array series_factor(const Gap& gap, int order);
// The same where the gap is 0.
array limit_factor(const Gap& gap, int order);
// 1 / gap; 0 where the gap is 0.
array reciprocal_of(const Gap& gap);
// n / gap, given n and its derivatives along the parting. `scale` is the size of what n is a difference of. Where the
// gap is 0 but n is not, what is made of the vectors depends on their choice: NaN.
array quotient(const std::vector<array>& n, const Gap& gap, const array& scale);

// How close values are that are to part, given their noise.
array nearness_of(const array& noise);
// The parting of values that are sorted. Those that are to part from 0, too, if so asked.
array parting_of(const array& values, bool from_zero);
// The pairs of places j and i, as (..., i, j).
Gap difference_gap(const array& values, const array& noise, const std::optional<array>& parting);
Gap sum_gap(const array& values, const array& noise, const std::optional<array>& parting);

// The root of the sum of squares of each matrix, (..., 1, 1); no derivative.
array size_of_matrices(const array& a);

} // namespace mlx::core
