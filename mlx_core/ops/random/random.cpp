// Random distributions: exact functions of random bits, so that the same key gives the same numbers everywhere, and
// differentiable in their parameters (the bits are constants).
#include <cmath>
#include <limits>

#include "mlx_core/ops/families.h"
#include "mlx_core/ops/random/random_keys.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core::random {

namespace {

// The largest value below 1 that a floating dtype holds.
array below_one(Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::float16: return array(1 - std::ldexp(1.0, -11), dtype);
    case Dtype::Val::bfloat16: return array(1 - std::ldexp(1.0, -8), dtype);
    case Dtype::Val::float64: return array(std::nextafter(1.0, 0.0), dtype);
    default: return array(std::nextafter(1.0f, 0.0f), dtype);
  }
}

double number(const array& scalar) { return load_complex(scalar.raw_data(), scalar.dtype()).real(); }

// A bound as a real number of the given dtype.
array bound(const array& a, Dtype dtype) { return astype(a.dtype().is_complex() ? real(a) : a, dtype); }

// The number rounded to the dtype.
double rounded(double value, Dtype dtype) {
  alignas(16) unsigned char element[16];
  store_element(element, dtype, complex128_t(value));
  return load_complex(element, dtype).real();
}

// Whether draws may round to `high`, and whether high - low is beyond the dtype. Draws do not decrease as u grows, so
// that of known bounds the largest u decides.
struct Reach {
  bool top = true, overflow = true;
};
Reach reach_of(const array& low, const array& high, Dtype dtype) {
  if (!low.is_available() || !high.is_available() || low.ndim() > 0 || high.ndim() > 0) {
    return {};
  }
  double a = rounded(number(low), dtype), b = rounded(number(high), dtype);
  double range = rounded(b - a, dtype);
  double largest = number(below_one(dtype));
  bool overflow = std::isinf(range) && std::isfinite(a) && std::isfinite(b);
  return {
      a < b && std::isfinite(b) && (overflow || rounded(rounded(range * largest, dtype) + a, dtype) >= b), overflow};
}

array uniform_for(const char* op, const array& low, const array& high, const Shape& shape, Dtype dtype,
    const std::optional<array>& key, const StreamOrDevice& s) {
  check_broadcast(op, "low and high", broadcast_shapes(op, low.shape(), high.shape()), shape);
  Reach reach = reach_of(low, high, dtype);
  array lowest = bound(low, dtype), highest = bound(high, dtype);
  array range = highest - lowest, u = unit(op, shape, dtype, key, s);
  array y = range * u + lowest;
  if (reach.overflow) {
    array finite = logical_and(isfinite(lowest), isfinite(highest));
    y = where(logical_and(isinf(range), finite), highest * u + lowest * (1 - u), y);
  }
  if (reach.top) {
    // What rounds to high, or beyond, becomes the number below it, with the derivative that it has.
    array below = nextafter(highest, lowest);
    array over = logical_and(logical_and(less(lowest, highest), greater_equal(y, highest)), isfinite(y));
    y = y + stop_gradient(where(over, below - y, array(0, dtype)));
  }
  return y;
}

} // namespace

void check_broadcast(const char* op, const char* names, const Shape& parameters, const Shape& shape) {
  if (!(broadcast_shapes(op, parameters, shape) == shape)) {
    fail(op, names, " with shape ", parameters, " cannot be broadcast to shape=", shape, ".");
  }
}

// --- uniform ---

// float64 has all 53 bits; the narrower types are 32 bits scaled in float32 and rounded, and what rounds to 1 is the
// value below it.
array unit(const char* op, const Shape& shape, Dtype dtype, const std::optional<array>& key, const StreamOrDevice& s) {
  if (dtype == float64) {
    array high_bits = right_shift(words(op, shape, 8, key, s), array(uint64_t{11}));
    return astype(high_bits, float64) * std::ldexp(1.0, -53);
  }
  array scaled = astype(words(op, shape, 4, key, s), float32) * std::ldexp(1.0, -32);
  return minimum(astype(scaled, dtype), below_one(dtype));
}

array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype, const std::optional<array>& key,
    StreamOrDevice s) {
  if (!dtype.is_floating()) {
    fail("random.uniform", "dtype is ", dtype, "; it must be a real floating type.");
  }
  return uniform_for("random.uniform", low, high, shape, dtype, key, s);
}

array uniform(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  return uniform(array(0.0f), array(1.0f), shape, dtype, key, s);
}

// --- normal ---

array normal(const Shape& shape, Dtype dtype, const std::optional<array>& loc, const std::optional<array>& scale,
    const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.normal";
  if (!dtype.is_inexact()) {
    fail(op, "dtype is ", dtype, "; it must be a floating or complex type.");
  }
  // The inverse of the distribution function, from a uniform in (-1, 1): x = sqrt(2) erfinv(u). The parts of a complex
  // number have variance 1/2 each, so there the factor is 1.
  Dtype part = dtype.is_complex() ? real_of(dtype) : dtype;
  Dtype drawn_in = part == float64 ? float64 : float32;
  Shape drawn = shape;
  if (dtype.is_complex()) {
    drawn.push_back(2);
  }
  array lowest(-number(below_one(drawn_in)), drawn_in); // known, as what it takes to stay below 1 is left out then
  array x = erfinv(uniform_for(op, lowest, array(1.0f), drawn, drawn_in, key, s));
  std::optional<array> factor = scale ? std::optional(astype(*scale, dtype)) : std::nullopt;
  if (dtype.is_complex()) {
    std::vector<array> parts = unstack(x, -1);
    x = make_complex(parts[0], parts[1]);
  } else {
    array sqrt2(std::sqrt(2.0), part);
    x = astype(x, dtype);
    factor = factor ? sqrt2 * *factor : sqrt2;
  }
  if (factor) {
    x = *factor * x;
  }
  return loc ? x + astype(*loc, dtype) : x;
}
array normal(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  return normal(shape, dtype, {}, {}, key, s);
}

// --- bernoulli ---

array bernoulli(const array& p, const std::optional<Shape>& shape, const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.bernoulli";
  if (!p.dtype().is_floating()) {
    fail(op, "p has dtype ", p.dtype(), "; a probability is a real floating-point number.");
  }
  const Shape& drawn = shape ? *shape : p.shape();
  check_broadcast(op, "p", p.shape(), drawn);
  // Above 2^32, so that p = 1 is always true.
  array scale(std::nextafter(std::ldexp(1.0f, 32), std::numeric_limits<float>::infinity()));
  return less(words(op, drawn, 4, key, s), p * scale);
}

// --- permutation ---

array permutation(const array& x, int axis, const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.permutation";
  int along = normalize_axis(op, axis, x.ndim());
  return take(x, argsort(words(op, Shape{x.shape(along)}, 4, key, s), 0), along);
}

array permutation(int x, const std::optional<array>& key, StreamOrDevice s) {
  constexpr const char* op = "random.permutation";
  if (x < 0) {
    fail(op, "x is ", x, "; the number of integers to permute cannot be negative.");
  }
  return view(argsort(words(op, Shape{x}, 4, key, s), 0), uint32);
}

// --- what the registry knows ---

namespace {

constexpr const char* float32_bits =
    "Drawn as 32 random bits scaled to [0, 1) (53 in float64), then high - low times that plus low; what rounds to "
    "high "
    "is the number below it. Where high is not above low, the draws are in (high, low]. Differentiable in low "
    "and high. Raises ValueError when dtype is not a real floating type, or when the bounds do not broadcast to shape.";

constexpr OpInfo uniform_info{.name = "random.uniform",
    .summary = "Uniformly random numbers in [low, high).",
    .accepts = Dtypes::floating,
    .example =
        ">>> mx.random.uniform(shape=(3,), key=mx.random.key(0))\n"
        "array([0.965321, 0.314682, 0.63303], dtype=float32)",
    .details = float32_bits};

constexpr OpInfo normal_info{.name = "random.normal",
    .summary = "Normally distributed random numbers with mean loc and standard deviation scale.",
    .accepts = Dtypes::inexact,
    .max_ulp = 8,
    .example = ">>> mx.random.normal((3,), key=mx.random.key(0))\narray([1.81609, -0.482623, 0.339889], dtype=float32)",
    .details =
        "sqrt(2) erfinv(u) of a uniform u in (-1, 1). The real and imaginary parts of complex numbers have variance "
        "1/2 each. Differentiable in loc and scale."};

constexpr OpInfo bernoulli_info{.name = "random.bernoulli",
    .summary = "True with probability p.",
    .accepts = Dtypes::floating,
    .differentiable = Differentiable::no,
    .no_derivative = {"the samples are booleans"},
    .domain = {0, 1},
    .example =
        ">>> mx.random.bernoulli(0.3, (4,), key=mx.random.key(0))\n"
        "array([False, True, False, True], dtype=bool)",
    .details = "The output has the shape of p unless shape is given, to which p must broadcast."};

constexpr OpInfo permutation_info{.name = "random.permutation",
    .summary = "The integers below x in random order, or the slices of the array x along axis in random order.",
    .example = ">>> mx.random.permutation(5, key=mx.random.key(0))\narray([1, 2, 0, 4, 3], dtype=uint32)",
    .details = "Every slice along axis moves as a whole."};

} // namespace
} // namespace mlx::core::random

namespace mlx::core {

std::span<const OpInfo* const> random_ops() {
  static const std::vector<const OpInfo*>& ops = *[] {
    auto* all = new std::vector<const OpInfo*>(random::key_ops().begin(), random::key_ops().end());
    for (const OpInfo* op : {&random::uniform_info, &random::normal_info, &random::randint_op(),
             &random::bernoulli_info, &random::permutation_info, &random::categorical_op()}) {
      all->push_back(op);
    }
    for (std::span<const OpInfo* const> more : {random::inverse_ops(), random::multivariate_ops()}) {
      all->insert(all->end(), more.begin(), more.end());
    }
    return all;
  }();
  return ops;
}

namespace {

array drawn(const Parts& p) {
  int width = p.integer("width");
  Shape shape = p.shape("shape");
  Parts::require(width == 1 || width == 2 || width == 4 || width == 8, "random bits have an unknown width.");
  auto draw = [&](const std::vector<array>& in) {
    return std::vector<array>{random::words("random.bits", shape, width, in[0], {})};
  };
  return over_leading(p[0].ndim() - 1, draw, {p[0]})[0];
}

array picked(const Parts& p) {
  const array &weights = p[0], &u = p[1];
  Shape leading = weights.shape(), others = u.shape();
  Parts::require(
      !leading.empty() && !others.empty() && leading.back() > 0 && weights.dtype() == float32 && u.dtype() == float32,
      "the operands of a weighted pick do not fit.");
  leading.pop_back();
  others.pop_back();
  Parts::require(leading == others, "the operands of a weighted pick do not fit.");
  return random::pick_by_weight(weights, u);
}

} // namespace

std::span<const Remake> random_remakes() {
  using A = std::vector<array>;
  static constexpr Remake rows[] = {
      {"RandomBits", [](const Parts& p) { return A{drawn(p)}; }},
      {"PickByWeight", [](const Parts& p) { return A{picked(p)}; }},
  };
  return rows;
}

} // namespace mlx::core
