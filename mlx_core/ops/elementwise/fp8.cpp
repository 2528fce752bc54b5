// to_fp8 and from_fp8, as arithmetic on bits. An e4m3 number is (1 + f/8) 2^(e-7), or f/8 2^-6 where e is 0; the
// largest fraction of the largest exponent is NaN.
#include "mlx_core/fp8.h"

#include "mlx_core/error.h"
#include "mlx_core/ops.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/shape/shape.h"

namespace mlx::core {

static constexpr OpInfo to_fp8_info{.name = "to_fp8",
    .summary = "Each element rounded to an eight-bit float (e4m3), as its bits in a uint8.",
    .accepts = Dtypes::floating,
    .differentiable = Differentiable::zero,
    .no_derivative = {"rounding is piecewise constant"},
    .example = ">>> mx.to_fp8(mx.array([1.0, -448.0, 1000.0]))\narray([56, 254, 126], dtype=uint8)",
    .details =
        "Rounds to nearest, ties to even. What is beyond 448, the largest, becomes that, infinities too; NaN is "
        "127 or 255. x has a floating dtype; ValueError for others."};

array to_fp8(const array& x, StreamOrDevice s) {
  StreamScope on(s);
  if (!x.dtype().is_floating()) {
    fail("to_fp8", "x has dtype ", x.dtype(), "; it should be a floating one. Convert it with astype.");
  }
  // Rounded once: from the dtype itself, or from float32, which holds the narrower ones.
  bool wide = x.dtype() == float64;
  array value = wide ? x : astype(x, float32);
  Dtype bits_dtype = wide ? uint64 : uint32;
  int fraction = wide ? 52 : 23, bias = wide ? 1023 : 127, cut = fraction - 3;
  auto number = [&](uint64_t n) { return array(n, bits_dtype); };
  array magnitude = minimum(abs(value), array(448.0, value.dtype()));
  array bits = view(magnitude, bits_dtype);
  array odd = bitwise_and(right_shift(bits, number(static_cast<uint64_t>(cut))), number(1));
  array rounded = add(add(bits, number((uint64_t{1} << (cut - 1)) - 1)), odd);
  array normal =
      subtract(right_shift(rounded, number(static_cast<uint64_t>(cut))), number(static_cast<uint64_t>(bias - 7) << 3));
  array tiny = astype(round(multiply(magnitude, array(512.0, value.dtype()))), bits_dtype);
  array code = where(less(magnitude, array(0.015625, value.dtype())), tiny, normal);
  code = where(isnan(value), number(127), code);
  array sign = left_shift(right_shift(view(value, bits_dtype), number(wide ? 63 : 31)), number(7));
  return astype(bitwise_or(code, sign), uint8);
}

static constexpr OpInfo from_fp8_info{.name = "from_fp8",
    .summary = "The eight-bit floats (e4m3) whose bits are the elements of x.",
    .differentiable = Differentiable::no,
    .no_derivative = {"it takes bits"},
    .example = ">>> mx.from_fp8(mx.array([56, 254], mx.uint8))\narray([1, -448], dtype=bfloat16)",
    .details = "Exact in every floating dtype. ValueError where x is not uint8 or dtype not floating."};

array from_fp8(const array& x, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  if (x.dtype() != uint8) {
    fail("from_fp8", "x has dtype ", x.dtype(), "; it should be uint8, as mx.to_fp8 gives.");
  }
  if (!dtype.is_floating()) {
    fail("from_fp8", "dtype is ", dtype, "; it should be a floating one.");
  }
  auto number = [](uint32_t n) { return array(n, uint32); };
  array bits = astype(x, uint32);
  array magnitude = bitwise_and(bits, number(127));
  array normal = view(add(left_shift(magnitude, number(20)), number(120u << 23)), float32);
  array tiny = multiply(astype(magnitude, float32), array(0.001953125, float32));
  array value = where(less(magnitude, number(8)), tiny, normal);
  value = where(equal(magnitude, number(127)), array(std::numeric_limits<float>::quiet_NaN()), value);
  value = where(greater_equal(bits, number(128)), negative(value), value);
  return astype(value, dtype);
}

std::span<const OpInfo* const> fp8_ops() {
  static constexpr const OpInfo* ops[] = {&to_fp8_info, &from_fp8_info};
  return ops;
}

} // namespace mlx::core
