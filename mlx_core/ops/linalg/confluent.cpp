// Quotients of what vanishes together, and directions in which equal values part.
#include "mlx_core/ops/linalg/confluent.h"

#include <cmath>
#include <limits>

#include "mlx_core/ops/index/indexing.h"
#include "mlx_core/ops/linalg/matrix_primitive.h"
#include "mlx_core/ops/shape/size_number.h"

namespace mlx::core {

namespace {

double epsilon_of(Dtype real) {
  return real == float64 ? std::numeric_limits<double>::epsilon()
                         : static_cast<double>(std::numeric_limits<float>::epsilon());
}
array number(double value, const array& like) { return array(value, like.dtype()); }

array factor_where(const array& part, const Gap& gap, int order) {
  array away = divide(number(1, *gap.parting), where(part, *gap.parting, number(1, *gap.parting)));
  array factor = away;
  for (int k = 2; k <= order; ++k) {
    factor = multiply(multiply(factor, multiply(away, gap.size)), number(-1.0 / k, away));
  }
  return where(part, factor, number(0, factor));
}

array parts(const Gap& gap) { return not_equal(*gap.parting, number(0, *gap.parting)); }
array is_zero(const Gap& gap) { return less_equal(abs(stop_gradient(gap.size)), gap.noise); }
array times(const array& n, const array& factor) { return zero_times(n, astype(factor, n.dtype())); }

} // namespace

array series_factor(const Gap& gap, int order) { return factor_where(parts(gap), gap, order); }
array limit_factor(const Gap& gap, int order) {
  return factor_where(logical_and(parts(gap), is_zero(gap)), gap, order);
}
array reciprocal_of(const Gap& gap) { return reciprocal_above(gap.size, gap.noise); }

array quotient(const std::vector<array>& n, const Gap& gap, const array& scale) {
  array direct = times(n[0], reciprocal_of(gap));
  if (n.size() < 2) {
    return direct;
  }
  std::optional<array> series;
  for (size_t k = 1; k < n.size(); ++k) {
    array term = times(n[k], series_factor(gap, static_cast<int>(k)));
    series = series ? add(*series, term) : term;
  }
  // Beside 0 the series is as good as the quotient where they agree but for the rounding errors of n; these may be
  // many where the gap is small.
  Dtype dtype = scale.dtype();
  double epsilon = epsilon_of(dtype);
  array size = abs(stop_gradient(gap.size));
  auto within = [&](double bound) {
    return less_equal(size, multiply(gap.noise, number(bound / (64 * epsilon), gap.noise)));
  };
  array miss = abs(stop_gradient(subtract(n[0], times(*series, gap.size))));
  array digits = where(within(std::sqrt(epsilon)), array(4096 * epsilon, dtype), array(8 * epsilon, dtype));
  // k terms leave out gap^k, the quotient loses epsilon / gap.
  array near = within(3 * std::pow(epsilon, 1.0 / static_cast<double>(n.size())));
  array agrees = logical_and(logical_and(parts(gap), near), less_equal(miss, multiply(digits, scale)));
  // n may consist of nothing but rounding errors, of terms whose size is unknown: hence the 1.
  array depends = logical_and(
      is_zero(gap), greater(miss, multiply(add(scale, number(1, scale)), number(std::sqrt(epsilon), scale))));
  double nothing = std::numeric_limits<double>::quiet_NaN();
  array limit = where(depends, times(n[0], where(depends, number(nothing, scale), number(1, scale))), *series);
  return where(is_zero(gap), limit, where(agrees, *series, direct));
}

array nearness_of(const array& noise) {
  return multiply(noise, number(std::pow(epsilon_of(noise.dtype()), -0.75) / 64, noise));
}

array parting_of(const array& values, bool from_zero) {
  array w = stop_gradient(values);
  Dim n = w.shape(-1);
  if (surely_equal(n, 0)) {
    return w;
  }
  Dtype dtype = w.dtype();
  array near = nearness_of(noise_of(w));
  array last = size_number(n - 1, dtype), place = astype(position_numbers({n}), dtype);
  array before = first_columns(concatenate({first_columns(w, 1), w}, -1), n);
  array apart = greater(abs(subtract(w, before)), near);
  array after = last_columns(concatenate({apart, broadcast_to(array(true), first_columns(apart, 1).shape())}, -1), 1);
  array first = cummax(where(apart, place, array(0, dtype)), -1);
  array final = cummin(where(after, place, last), -1, true);
  array spread = subtract(multiply(add(first, final), array(0.5, dtype)), place);
  if (from_zero) {
    array large = multiply(add(near, array(1, dtype)), array(2, dtype)); // there may be no values at all
    array zero = logical_and(equal(final, last), less_equal(min(concatenate({w, large}, -1), -1, true), near));
    spread = where(zero, add(subtract(final, place), array(1, dtype)), spread);
  }
  return stop_gradient(spread);
}

namespace {

Gap pairs(const array& values, const array& noise, const std::optional<array>& parting,
    array (*combined)(const array&, const array&, StreamOrDevice)) {
  auto of = [&](const array& x) { return combined(expand_dims(x, {-2}), expand_dims(x, {-1}), {}); };
  return {of(values), expand_dims(noise, {-1}), parting ? std::optional<array>(of(*parting)) : std::nullopt};
}

} // namespace

Gap difference_gap(const array& values, const array& noise, const std::optional<array>& parting) {
  return pairs(values, noise, parting, subtract);
}
Gap sum_gap(const array& values, const array& noise, const std::optional<array>& parting) {
  return pairs(values, noise, parting, add);
}

array size_of_matrices(const array& a) { return sqrt(sum(square(abs(stop_gradient(a))), Axes{-2, -1}, true)); }

} // namespace mlx::core
