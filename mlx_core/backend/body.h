// The elementwise bodies, reductions, scans and scatters there are, named by what they compute. Every device reads
// these names; none of them is a device's own.
#pragma once

#include <cstdint>

#include "mlx_core/dtype.h"

namespace mlx::core {

// Named by what they compute. `dtype` below is the dtype of the (value) inputs; the output has the same dtype
// except where a comment says otherwise.
enum class Body : uint16_t {
  // arithmetic, unary. On complex, abs gives the real dtype, sign gives z / |z| (0 at 0).
  copy,
  negative,
  abs,
  sign,
  square,
  cube, // power of 3, of real floats
  sqrt,
  rsqrt,
  reciprocal,
  conjugate,
  real,
  imag,         // complex -> its real dtype
  make_complex, // (real, real) -> the complex dtype of that width
  // exponential
  exp,
  expm1,
  log,
  log2,
  log10,
  log1p,
  sigmoid,
  erf,
  erfinv,
  exp2,
  // trigonometric and hyperbolic
  sin,
  cos,
  tan,
  arcsin,
  arccos,
  arctan,
  sinh,
  cosh,
  tanh,
  arcsinh,
  arccosh,
  arctanh,
  // rounding
  floor,
  ceil,
  trunc,
  rint,
  // predicates: any dtype -> bool
  isnan,
  isinf,
  isfinite,
  isposinf,
  isneginf,
  logical_not,
  signbit,
  // bitwise, integers and bool
  bitwise_invert,
  // arithmetic, binary
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  remainder,
  power,
  maximum,
  minimum,
  logaddexp,
  arctan2,
  gap,         // a == b ? 0 : a - b, so that equal infinities are no distance apart
  zero_times,  // 0 where a or b is 0, whatever the other is: the product of the chain rule
  zero_divide, // the same of a and 1 / b: 0 where a is 0 or b infinite
  hypot,
  nextafter,
  copysign,
  // comparison: (T, T) -> bool
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  nan_equal,
  logical_and,
  logical_or,
  logical_xor,
  // bitwise, binary
  bitwise_and,
  bitwise_or,
  bitwise_xor,
  left_shift,
  right_shift,
  // ternary
  select, // (bool, T, T) -> T
  share,  // of (g, a, b) g where a > b, half of it where they are equal, else 0: the larger one's part of a gradient
  count_
};

// Whether a body takes this dtype (and, a copy, gives that one).
bool is_defined(Body body, Dtype from, Dtype to);
// The dtype a body's output has.
Dtype output_dtype(Body body, Dtype dtype);
// What an element takes, in cheap arithmetic: that which takes about as long as its operands' loads.
int64_t cost_of(Body body);

enum class Reduction : uint8_t { sum, prod, min, max, all, any };

// Whether a few rows of columns, one after another, are best reduced a level of the tree at a time: levels are long, or
// made of whole vectors. Others are brought together with those of more results.
constexpr bool go_by_levels(int64_t rows, int64_t columns) {
  constexpr int64_t least = 64, vector = 16; // elements
  const bool halves = columns % (vector / 2) == 0 && (rows & (rows - 1)) == 0;
  return rows * columns >= least && (rows >= vector || columns % vector == 0 || halves);
}
enum class ScanOp : uint8_t { sum, prod, max, min };
enum class ScatterMode : uint8_t { set, add, multiply, maximum, minimum };

} // namespace mlx::core
