// Rounding to integers, and to decimals.
#include <cmath>
#include <limits>

#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

constexpr OpInfo rounding_info(const char* name, const char* primitive, const char* summary, const char* example,
    array (*function)(const array&, StreamOrDevice)) {
  return {.name = name,
      .primitive = primitive,
      .summary = summary,
      .accepts = Dtypes::real,
      .differentiable = Differentiable::zero,
      .no_derivative = {"rounding is piecewise constant"},
      .example = example,
      .details = "Integers and bool are returned as they are.",
      .unary = function};
}

template <typename Op>
array rounded(const array& a, const StreamOrDevice& s) {
  return a.dtype().is_inexact() ? Unary<Op>::apply(a, s) : positive(a, s);
}

struct Floor {
  static constexpr OpInfo info = rounding_info("floor", "Floor", "The largest integer not above each element.",
      ">>> mx.floor(mx.array([1.5, -1.5]))\narray([1, -2], dtype=float32)", &floor);
  static constexpr Body body = Body::floor;
};
array floor(const array& a, StreamOrDevice s) { return rounded<Floor>(a, s); }

struct Ceil {
  static constexpr OpInfo info = rounding_info("ceil", "Ceil", "The smallest integer not below each element.",
      ">>> mx.ceil(mx.array([1.5, -1.5]))\narray([2, -1], dtype=float32)", &ceil);
  static constexpr Body body = Body::ceil;
};
array ceil(const array& a, StreamOrDevice s) { return rounded<Ceil>(a, s); }

struct Trunc {
  static constexpr OpInfo info = rounding_info("trunc", "Trunc", "Each element rounded toward 0.",
      ">>> mx.trunc(mx.array([1.5, -1.5]))\narray([1, -1], dtype=float32)", &trunc);
  static constexpr Body body = Body::trunc;
};
array trunc(const array& a, StreamOrDevice s) { return rounded<Trunc>(a, s); }

// --- round ---

struct Round {
  static constexpr OpInfo info{.name = "round",
      .primitive = "Round",
      .summary = "Each element rounded to a number of decimals, ties to the even digit.",
      .accepts = Dtypes::all,
      .differentiable = Differentiable::zero,
      .no_derivative = {"rounding is piecewise constant"},
      .example = ">>> mx.round(mx.array([0.5, 1.5, 2.345]), 2)\narray([0.5, 1.5, 2.34], dtype=float32)",
      .details =
          "Negative decimals round to tens, hundreds and so on, integers too. Complex numbers are rounded part by "
          "part."};
  static constexpr Body body = Body::rint;
};

// Integers to a multiple of 10^k: rounded down, then up where the rest is above the half, or the quotient is odd and
// the rest is the half.
static array round_integers(const array& a, int k, const StreamOrDevice& s) {
  double ten_to_k = std::pow(10.0, k);
  int bits = 8 * a.itemsize() - (a.dtype().is_signed() ? 1 : 0);
  if (a.dtype().is_bool() || ten_to_k >= std::ldexp(1.0, bits)) {
    return zeros_like(a, s);
  }
  auto number = [&](uint64_t value) { return array(value, a.dtype()); };
  array scale = number(static_cast<uint64_t>(ten_to_k));
  array half = number(static_cast<uint64_t>(ten_to_k) / 2);
  array quotient = floor_divide(a, scale, s);
  array rest = subtract(a, multiply(quotient, scale, s), s);
  array odd_quotient = equal(remainder(quotient, number(2), s), number(1), s);
  array up = logical_or(greater(rest, half, s), logical_and(equal(rest, half, s), odd_quotient, s), s);
  return multiply(add(quotient, astype(up, a.dtype(), s), s), scale, s);
}

static array round_floats(const array& a, int decimals, const StreamOrDevice& s) {
  if (a.itemsize() == 2) { // 10^5 is beyond float16
    return astype(round_floats(astype(a, float32, s), decimals, s), a.dtype(), s);
  }
  double ten_to_k = std::pow(10.0, std::abs(decimals));
  double largest = a.dtype() == float64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  array x = stop_gradient(a, s);
  array scale(std::min(ten_to_k, largest), a.dtype());
  if (decimals < 0) {
    return multiply(Unary<Round>::apply(divide(x, scale, s), s), scale, s);
  }
  // From this size on every number of the dtype is an integer, so that x has no more decimals than asked for.
  array whole(a.dtype() == float64 ? 0x1p52 : 0x1p23, a.dtype());
  array scaled = multiply(x, scale, s);
  return where(less(abs(scaled, s), whole, s), divide(Unary<Round>::apply(scaled, s), scale, s), x, s);
}

array round(const array& a, int decimals, StreamOrDevice s) {
  if (!a.dtype().is_inexact()) {
    return decimals >= 0 ? positive(a, s) : round_integers(a, -decimals, s);
  }
  if (decimals == 0) {
    return Unary<Round>::apply(a, s);
  }
  if (a.dtype().is_complex()) {
    return make_complex(round_floats(real(a, s), decimals, s), round_floats(imag(a, s), decimals, s), s);
  }
  return round_floats(a, decimals, s);
}

std::span<const OpInfo* const> rounding_ops() {
  static constexpr const OpInfo* ops[] = {&Floor::info, &Ceil::info, &Trunc::info, &Round::info};
  return ops;
}

std::span<const Remake> rounding_remakes() {
  static constexpr Remake rows[] = {{"Round", [](const Parts& p) { return std::vector<array>{round(p[0])}; }}};
  return rows;
}

} // namespace mlx::core
