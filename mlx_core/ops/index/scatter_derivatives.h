// Derivatives of scatters that multiply or take extrema, made of ops: so they have derivatives of every order.
#pragma once

#include <vector>

#include "mlx_core/primitive.h"

namespace mlx::core {

// Where a scatter writes: the indices, the axes of x that they select along, and the shape of a slice.
struct ScatterPlaces {
  std::vector<array> indices;
  Axes axes;
  Shape whole, slice;

  // Of an array of x's shape, what is at the place of each update; has the shape of the updates.
  array read(const array& from) const;
  // The sum (product) of the updates of each place; has x's shape.
  array sum(const array& updates) const;
  array product(const array& updates) const;
  // The number of index positions is 1: no two updates have one place.
  bool apart() const;
};

struct ScatterOperands {
  Operands primals; // x, updates, indices
  const ScatterPlaces& places;
  const array& y;
};

// Multiplying: y is x times its updates, so the derivative in each of these is the product of the others.
Tangent product_jvp(const ScatterOperands& at, const Tangents& tangents);
void product_vjp(const ScatterOperands& at, const array& cotangent, std::span<const bool> wanted, Tangents& out);

// Extrema: whatever equals y, x and updates alike, has an equal share in it.
Tangent extremum_jvp(const ScatterOperands& at, const Tangents& tangents);
void extremum_vjp(const ScatterOperands& at, const array& cotangent, std::span<const bool> wanted, Tangents& out);

} // namespace mlx::core
