// Derivatives of scatters that multiply or take extrema.
#include "mlx_core/ops/index/scatter_derivatives.h"

#include "mlx_core/ops/batching.h"
#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/reduce.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

array ScatterPlaces::read(const array& from) const { return gather(from, indices, axes, slice); }
array ScatterPlaces::sum(const array& updates) const {
  return scatter_add(zeros(whole, updates.dtype()), indices, updates, axes);
}
array ScatterPlaces::product(const array& updates) const {
  return scatter_prod(ones(whole, updates.dtype()), indices, updates, axes);
}
bool ScatterPlaces::apart() const { return surely_equal(size_of(index_shape_of("scatter", indices)), 1); }

namespace {

// --- multiplying ---

array part(const array& a, int64_t from, int64_t to) { return slice(a, Shape{from}, Shape{to}); }

// The product of the elements before each one in its run of equal `places`. Each step doubles how many are in it. It
// has no division, so that zeros are right to every order; and no product across runs, so that an infinity in one
// cannot reach another.
array products_before(const array& values, const array& places) {
  int64_t n = values.size();
  array product = values;
  auto same = [&](int64_t distance) { return equal(part(places, distance, n), part(places, 0, n - distance)); };
  for (int64_t reach = 1; reach < n; reach *= 2) {
    array near = part(product, reach, n), far = part(product, 0, n - reach);
    product = concatenate({part(product, 0, reach), where(same(reach), multiply(near, far), near)});
  }
  array one = array(1, values.dtype());
  return concatenate({reshape(one, {1}), where(same(1), part(product, 0, n - 1), one)});
}

// For each update the product of what else is multiplied at its place, x included.
array product_of_others(const array& x, const array& updates, const ScatterPlaces& places) {
  array there = places.read(x);
  if (places.apart() || surely_equal(updates.size(), 0)) {
    return there;
  }
  // Sorted by place, updates of one place are neighbours.
  array place = flatten(places.read(position_numbers(places.whole)));
  array order = argsort(place, 0);
  array sorted = take(place, order, 0), values = take(flatten(updates), order, 0);
  array others = multiply(products_before(values, sorted), flip(products_before(flip(values), flip(sorted))));
  return multiply(there, reshape(take(others, argsort(order, 0), 0), updates.shape()));
}

// --- extrema ---

array only(const array& winners, const array& g) { return where(winners, g, array(0, g.dtype())); }

struct Winners {
  explicit Winners(const ScatterOperands& at)
      : x(same(at.primals[0], at.y)),
        updates(same(at.primals[1], at.places.read(at.y))),
        count(add(astype(x, wide_of(at.y.dtype())), at.places.sum(astype(updates, wide_of(at.y.dtype()))))) {}
  array x, updates; // who won
  array count;      // how many did, at each place
};

} // namespace

Tangent product_jvp(const ScatterOperands& at, const Tangents& tangents) {
  const array &x = at.primals[0], &updates = at.primals[1];
  Tangent out;
  if (tangents[0]) {
    out = zero_times(*tangents[0], at.places.product(updates));
  }
  if (tangents[1]) {
    array moved = at.places.sum(zero_times(*tangents[1], product_of_others(x, updates, at.places)));
    out = out ? add(*out, moved) : moved;
  }
  return out;
}

void product_vjp(const ScatterOperands& at, const array& cotangent, std::span<const bool> wanted, Tangents& out) {
  const array &x = at.primals[0], &updates = at.primals[1];
  if (wanted[0]) {
    out[0] = zero_times(cotangent, conj_of(at.places.product(updates)));
  }
  if (wanted[1]) {
    out[1] = zero_times(at.places.read(cotangent), conj_of(product_of_others(x, updates, at.places)));
  }
}

Tangent extremum_jvp(const ScatterOperands& at, const Tangents& tangents) {
  Winners won(at);
  Tangent sum;
  if (tangents[0]) {
    sum = only(won.x, *tangents[0]);
  }
  if (tangents[1]) {
    array moved = at.places.sum(only(won.updates, *tangents[1]));
    sum = sum ? add(*sum, moved) : moved;
  }
  return sum ? Tangent(astype(divide(*sum, won.count), sum->dtype())) : std::nullopt;
}

void extremum_vjp(const ScatterOperands& at, const array& cotangent, std::span<const bool> wanted, Tangents& out) {
  Winners won(at);
  array share = astype(divide(cotangent, won.count), cotangent.dtype());
  if (wanted[0]) {
    out[0] = only(won.x, share);
  }
  if (wanted[1]) {
    out[1] = only(won.updates, at.places.read(share));
  }
}

} // namespace mlx::core
