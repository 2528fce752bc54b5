// Exponentials, logarithms and what is made of them: sigmoid and logaddexp.
#include <numbers>

#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

struct Exp {
  static constexpr OpInfo info{.name = "exp",
      .primitive = "Exp",
      .summary = "Exponential of each element.",
      .accepts = Dtypes::inexact,
      .max_ulp = 1,
      .example = ">>> mx.exp(mx.array([0.0, 1.0]))\narray([1, 2.71828], dtype=float32)",
      .unary = &exp};
  static constexpr Body body = Body::exp;
  // d exp(x) = y dx
  static array derivative(const array&, const array& y) { return y; }
};
array exp(const array& a, StreamOrDevice s) { return Unary<Exp>::apply(a, s); }

struct Expm1 {
  static constexpr OpInfo info{.name = "expm1",
      .primitive = "Expm1",
      .summary = "exp(a) - 1 of each element, accurate where a is near 0.",
      .accepts = Dtypes::inexact,
      .max_ulp = 2,
      .example = ">>> mx.expm1(mx.array([1e-06, 1.0]))\narray([1e-06, 1.71828], dtype=float32)",
      .unary = &expm1};
  static constexpr Body body = Body::expm1;
  // d expm1(x) = exp(x) dx; y + 1 would cancel where x is far below 0
  static array derivative(const array& x, const array&) { return exp(x); }
};
array expm1(const array& a, StreamOrDevice s) { return Unary<Expm1>::apply(a, s); }

struct Log {
  static constexpr OpInfo info{.name = "log",
      .primitive = "Log",
      .summary = "Natural logarithm of each element.",
      .accepts = Dtypes::inexact,
      .domain = {0.1, 10},
      .max_ulp = 1,
      .example = ">>> mx.log(mx.array([1.0, 2.0]))\narray([0, 0.693147], dtype=float32)",
      .details = "-inf at 0, NaN for negative real numbers.",
      .unary = &log};
  static constexpr Body body = Body::log;
  // d log(x) = dx / x
  static array chain(const array& g, const array& x, const array&) { return zero_divide(g, x); }
};
array log(const array& a, StreamOrDevice s) { return Unary<Log>::apply(a, s); }

struct Log2 {
  static constexpr OpInfo info{.name = "log2",
      .primitive = "Log2",
      .summary = "Base-2 logarithm of each element.",
      .accepts = Dtypes::inexact,
      .domain = {0.1, 10},
      .max_ulp = 1,
      .example = ">>> mx.log2(mx.array([1.0, 8.0]))\narray([0, 3], dtype=float32)",
      .unary = &log2};
  static constexpr Body body = Body::log2;
  // d log2(x) = dx / (x ln 2)
  static array chain(const array& g, const array& x, const array&) { return zero_divide(g, x) * std::numbers::log2e; }
};
array log2(const array& a, StreamOrDevice s) { return Unary<Log2>::apply(a, s); }

struct Log10 {
  static constexpr OpInfo info{.name = "log10",
      .primitive = "Log10",
      .summary = "Base-10 logarithm of each element.",
      .accepts = Dtypes::inexact,
      .domain = {0.1, 10},
      .max_ulp = 1,
      .example = ">>> mx.log10(mx.array([1.0, 1000.0]))\narray([0, 3], dtype=float32)",
      .unary = &log10};
  static constexpr Body body = Body::log10;
  // d log10(x) = dx / (x ln 10)
  static array chain(const array& g, const array& x, const array&) { return zero_divide(g, x) * std::numbers::log10e; }
};
array log10(const array& a, StreamOrDevice s) { return Unary<Log10>::apply(a, s); }

struct Log1p {
  static constexpr OpInfo info{.name = "log1p",
      .primitive = "Log1p",
      .summary = "log(1 + a) of each element, accurate where a is near 0.",
      .accepts = Dtypes::inexact,
      .domain = {-0.9, 10},
      .max_ulp = 1,
      .example = ">>> mx.log1p(mx.array([1e-06, 1.0]))\narray([1e-06, 0.693147], dtype=float32)",
      .unary = &log1p};
  static constexpr Body body = Body::log1p;
  // d log1p(x) = dx / (1 + x)
  static array chain(const array& g, const array& x, const array&) { return zero_divide(g, 1 + x); }
};
array log1p(const array& a, StreamOrDevice s) { return Unary<Log1p>::apply(a, s); }

struct Sigmoid {
  static constexpr OpInfo info{.name = "sigmoid",
      .primitive = "Sigmoid",
      .summary = "1 / (1 + exp(-a)) of each element: the logistic function.",
      .accepts = Dtypes::inexact,
      .max_ulp = 2,
      .example = ">>> mx.sigmoid(mx.array([0.0, 2.0]))\narray([0.5, 0.880797], dtype=float32)",
      .unary = &sigmoid};
  static constexpr Body body = Body::sigmoid;
  // d sigmoid(x) = y (1 - y) dx, and 1 - y = sigmoid(-x), which does not cancel where y is near 1
  static array derivative(const array& x, const array& y) { return y * sigmoid(-x); }
};
array sigmoid(const array& a, StreamOrDevice s) { return Unary<Sigmoid>::apply(a, s); }

struct LogAddExp {
  static constexpr OpInfo info{.name = "logaddexp",
      .primitive = "LogAddExp",
      .summary = "log(exp(a) + exp(b)), element by element, without overflow.",
      .accepts = Dtypes::inexact,
      .domain = {0.1, 3}, // near a result of 0 the error is relative to the operands
      .max_ulp = 2,
      .example =
          ">>> mx.logaddexp(mx.array([0.0, 1000.0]), mx.array([0.0, 1000.0]))\n"
          "array([0.693147, 1000.69], dtype=float32)",
      .details = "Equal infinities share the gradient equally.",
      .binary = &logaddexp};
  static constexpr Body body = Body::logaddexp;
  // d logaddexp(a, b) = sigmoid(a - b) da + sigmoid(b - a) db; equal infinities have the difference 0
  static array chain(int k, const array& g, const array& a, const array& b, const array&) {
    array difference = k == 0 ? a - b : b - a;
    array equal_infinities = logical_and(isinf(a), equal(a, b));
    return zero_times(g, sigmoid(where(equal_infinities, array(0, a.dtype()), difference)));
  }
};
array logaddexp(const array& a, const array& b, StreamOrDevice s) { return Binary<LogAddExp>::apply(a, b, s); }

struct Exp2 {
  static constexpr OpInfo info{.name = "exp2",
      .primitive = "Exp2",
      .summary = "2 to the power of each element.",
      .accepts = Dtypes::floating,
      .max_ulp = 1,
      .example = ">>> mx.exp2(mx.array([0.0, 3.0]))\narray([1, 8], dtype=float32)",
      .unary = &exp2};
  static constexpr Body body = Body::exp2;
  // d 2^x = log(2) y dx
  static array derivative(const array&, const array& y) { return std::numbers::ln2 * y; }
};
array exp2(const array& a, StreamOrDevice s) { return Unary<Exp2>::apply(a, s); }

constexpr OpInfo logaddexp2_info{.name = "logaddexp2",
    .summary = "log2(2**a + 2**b), element by element, without overflow.",
    .accepts = Dtypes::floating,
    .domain = {0.1, 3},
    .max_ulp = 4,
    .example = ">>> mx.logaddexp2(mx.array([0.0, 1000.0]), mx.array([0.0, 1000.0]))\narray([1, 1001], dtype=float32)",
    .details = "Equal infinities share the gradient equally."};
// The larger, and how much the smaller adds to it: only that is a logarithm, so that scaling rounds only that.
array logaddexp2(const array& a, const array& b, StreamOrDevice s) {
  StreamScope on(s);
  auto [x, y] = to_common(logaddexp2_info, a, b);
  if (x.itemsize() == 2) {
    return astype(logaddexp2(astype(x, float32), astype(y, float32)), x.dtype());
  }
  array larger = maximum(x, y), distance = negative(abs(where(equal(x, y), array(0, x.dtype()), x - y)));
  return add(larger, log1p(exp2(distance)) * (1 / std::numbers::ln2));
}

std::span<const OpInfo* const> exponential_ops() {
  static constexpr const OpInfo* ops[] = {&Exp::info, &Expm1::info, &Log::info, &Log2::info, &Log10::info, &Log1p::info,
      &Sigmoid::info, &LogAddExp::info, &Exp2::info, &logaddexp2_info};
  return ops;
}

} // namespace mlx::core
