// random.randint. Where a float32 uniform reaches the interval evenly it is drawn as MLX draws it, so that the same key
// gives MLX's numbers; elsewhere, over intervals that are wide or far from 0, 128 random bits are scaled to the
// interval in integers.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "mlx_core/cpu/copy.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/random/random_keys.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core::random {

namespace {

constexpr const char* op = "random.randint";

array real_part(const array& a) { return a.dtype().is_complex() ? real(a) : a; }

// Whether [low, high) is drawn as MLX does: near 0, or not small beside its distance from 0, and of at most 2^32
// numbers. Rounding to float32 shifts less than 1 in 100 draws at the ends then. An empty interval has no draws.
bool as_mlx(double low, double high) {
  double farthest = std::max(std::abs(low), std::abs(high)), width = high - low;
  return farthest <= 0x1p18 || (width >= farthest / 2 && width <= 0x1p32);
}
array as_mlx(const array& low, const array& high) {
  array a = astype(low, float64), b = astype(high, float64);
  array farthest = maximum(abs(a), abs(b)), width = b - a;
  array even = logical_and(greater_equal(width, farthest * 0.5), less_equal(width, array(0x1p32, float64)));
  array near = less_equal(farthest, array(0x1p18, float64));
  return logical_or(logical_not(less(low, high)), logical_or(near, even));
}

// --- bounds ---

// A bound whose value is known: an int64 or uint64 exactly, or a double.
struct Number {
  double real = 0;
  bool negative = false; // of an integer, whose magnitude modulo 2^64 is in `bits`
  uint64_t bits = 0;
  bool integer = false;
};

std::vector<Number> numbers_of(const array& bound) {
  std::vector<char> elements(bound.nbytes());
  cpu::read_strided(bound.raw_data(), sizes_of(bound.shape()), bound.strides(), bound.itemsize(), 0,
      static_cast<int64_t>(bound.size()), elements.data());
  std::vector<Number> out;
  for (int64_t i = 0; i < static_cast<int64_t>(bound.size()); ++i) {
    const char* element = elements.data() + i * bound.itemsize();
    Number n;
    n.integer = !bound.dtype().is_inexact();
    if (n.integer) {
      int64_t value = load_int(element, bound.dtype());
      n.negative = bound.dtype().is_signed() && value < 0;
      n.bits = static_cast<uint64_t>(value);
      n.real = n.negative || bound.dtype().is_signed() ? static_cast<double>(value) : static_cast<double>(n.bits);
    } else {
      n.real = load_complex(element, bound.dtype()).real();
    }
    out.push_back(n);
  }
  return out;
}

bool below(const Number& a, const Number& b) {
  if (!a.integer || !b.integer) {
    return a.real < b.real;
  }
  return a.negative == b.negative ? a.bits < b.bits : a.negative;
}

std::string text(const Number& n) {
  std::ostringstream out;
  if (n.integer && n.negative) {
    out << static_cast<int64_t>(n.bits);
  } else if (n.integer) {
    out << n.bits;
  } else {
    out << n.real;
  }
  return out.str();
}

// Whether lowest <= value <= highest + above, of the dtype's range.
bool within(const Number& n, Dtype dtype, int above) {
  int bits = dtype.is_bool() ? 1 : 8 * dtype.size() - (dtype.is_signed() ? 1 : 0);
  double top = std::ldexp(1.0, bits);
  if (!n.integer) {
    return n.real > (dtype.is_signed() ? -top - 1 : -1) && n.real < top + above;
  }
  if (n.negative) {
    return dtype.is_signed() && (bits == 63 || n.bits >= uint64_t{0} - (uint64_t{1} << bits));
  }
  return bits == 64 || n.bits < (uint64_t{1} << bits) + static_cast<uint64_t>(above);
}

// Fails for bounds that are known now and outside of the dtype.
void check_bounds(const std::vector<Number>& low, const std::vector<Number>& high, Dtype dtype) {
  auto outside = [&](const std::vector<Number>& bounds, int above) {
    return std::find_if(bounds.begin(), bounds.end(), [&](const Number& n) { return !within(n, dtype, above); });
  };
  auto bad_low = outside(low, 0), bad_high = outside(high, 1);
  if (bad_low == low.end() && bad_high == high.end()) {
    return;
  }
  const Number& shown_low = bad_low != low.end() ? *bad_low : low.front();
  const Number& shown_high = bad_high != high.end() ? *bad_high : high.front();
  fail(op, "low=", text(shown_low), " and high=", text(shown_high), " reach outside of dtype ", dtype,
      "; pass a wider dtype, or bounds that it holds.");
}

// --- draws ---

array word(uint64_t value) { return array(value, uint64); }

// The upper half of the product of two uint64.
array upper_product(const array& a, const array& b) {
  array mask = word(0xffffffff), shift = word(32);
  array a0 = bitwise_and(a, mask), a1 = right_shift(a, shift);
  array b0 = bitwise_and(b, mask), b1 = right_shift(b, shift);
  array middle = a1 * b0 + right_shift(a0 * b0, shift);
  array other = a0 * b1 + bitwise_and(middle, mask);
  return a1 * b1 + right_shift(middle, shift) + right_shift(other, shift);
}

// The bits of a bound in 64: a fraction counts as the next whole number, below which the same integers are.
array bits_of(const array& bound, Dtype dtype) {
  array whole = bound.dtype().is_inexact() ? ceil(bound) : bound;
  if (bound.dtype().is_unsigned() || bound.dtype().is_bool() || dtype == uint64) {
    return bound.dtype().is_signed() ? view(astype(whole, int64), uint64) : astype(whole, uint64);
  }
  return view(astype(whole, int64), uint64);
}

// low + floor(r (high - low)) of an r in [0, 1) of 128 bits.
array from_words(
    const array& low, const array& high, const Shape& shape, Dtype dtype, const array& key, const StreamOrDevice& s) {
  Shape pairs = shape;
  pairs.push_back(2);
  std::vector<array> parts = unstack(words(op, pairs, 8, split(key).first, s), -1);
  array from = bits_of(low, dtype), width = bits_of(high, dtype) - from;
  // (upper 2^64 + lower) width / 2^128
  array product = parts[0] * width;
  array sum = product + upper_product(parts[1], width);
  array offset = upper_product(parts[0], width) + astype(less(sum, product), uint64);
  // All 2^64 numbers: their count is 0 modulo 2^64.
  return astype(from + where(equal(width, word(0)), parts[0], offset), dtype);
}

// A float32 uniform rounded down, into the interval where rounding has left it.
array from_uniform(
    const array& low, const array& high, const Shape& shape, Dtype dtype, const array& key, const StreamOrDevice& s) {
  array lowest = astype(low, float32);
  array range = astype(high, float32) - lowest;
  array drawn = astype(floor(range * unit(op, shape, float32, key, s) + lowest), dtype);
  return maximum(minimum(drawn, astype(high - 1, dtype)), astype(low, dtype));
}

} // namespace

array randint(const array& low, const array& high, const Shape& shape, Dtype dtype, const std::optional<array>& key,
    StreamOrDevice s) {
  if (dtype.is_inexact()) {
    fail(op, "dtype is ", dtype, "; it must be an integer type or bool.");
  }
  check_broadcast(op, "low and high", broadcast_shapes(op, low.shape(), high.shape()), shape);
  array from = real_part(low), to = real_part(high);
  bool mlx = false, wide = false; // which draws are known to serve every element
  if (from.is_available() && to.is_available() && static_cast<int64_t>(from.size()) > 0 &&
      static_cast<int64_t>(to.size()) > 0) {
    std::vector<Number> lows = numbers_of(from), highs = numbers_of(to);
    check_bounds(lows, highs, dtype);
    auto near = [](const Number& n) { return std::abs(n.real) <= 0x1p18; };
    if (lows.size() == 1 && highs.size() == 1) {
      mlx = !below(lows[0], highs[0]) || as_mlx(lows[0].real, highs[0].real);
      wide = !mlx;
    } else {
      mlx = std::all_of(lows.begin(), lows.end(), near) && std::all_of(highs.begin(), highs.end(), near);
    }
  }
  array start = key ? *key : next_key(op);
  if (mlx) {
    return from_uniform(from, to, shape, dtype, start, s);
  }
  if (wide) {
    return from_words(from, to, shape, dtype, start, s);
  }
  return where(
      as_mlx(from, to), from_uniform(from, to, shape, dtype, start, s), from_words(from, to, shape, dtype, start, s));
}

array randint_to_end(const array& low, const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  check_broadcast(op, "low", low.shape(), shape);
  if (low.is_available() && static_cast<int64_t>(low.size()) > 0) {
    std::vector<Number> lows = numbers_of(real_part(low));
    check_bounds(lows, lows, uint64);
  }
  return from_words(real_part(low), word(0), shape, uint64, key ? *key : next_key(op), s);
}

const OpInfo& randint_op() {
  static constexpr OpInfo info{.name = op,
      .summary = "Uniformly random integers in [low, high).",
      .accepts = Dtypes::integral,
      .differentiable = Differentiable::no,
      .no_derivative = {"the samples are integers"},
      .example = ">>> mx.random.randint(0, 10, (5,), key=mx.random.key(0))\narray([5, 0, 3, 8, 5], dtype=int32)",
      .details =
          "As in MLX they are drawn from a float32 uniform, so that intervals of up to 2**32 numbers, but not all of "
          "their numbers, are reached; over wider intervals, and over those that are short beside their distance from "
          "0, from 128 random bits, which reach every integer, over all of int64 and uint64. low where high is not "
          "above "
          "it. Raises ValueError when a bound is outside of dtype, as far as it is known when this is called: an array "
          "that is not computed yet, or the argument of a transformed function, is not."};
  return info;
}

} // namespace mlx::core::random
