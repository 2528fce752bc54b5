// Comparisons, predicates and logic: ops with bool outputs.
#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

using UnaryFunction = array (*)(const array&, StreamOrDevice);
using BinaryFunction = array (*)(const array&, const array&, StreamOrDevice);

// Any dtypes to bool, without a derivative.
constexpr OpInfo bool_info(const char* name, const char* primitive, const char* summary, const char* example,
    UnaryFunction unary, BinaryFunction binary, const char* details) {
  return {.name = name,
      .primitive = primitive,
      .summary = summary,
      .differentiable = Differentiable::no,
      .no_derivative = {"the output is bool"},
      .example = example,
      .details = details,
      .unary = unary,
      .binary = binary};
}

// --- comparison ---

constexpr OpInfo comparison_info(
    const char* name, const char* primitive, const char* summary, const char* example, BinaryFunction function) {
  return bool_info(name, primitive, summary, example, nullptr, function,
      "Complex numbers are ordered by real part, then by imaginary part. NaN is equal to nothing. Integers of any two "
      "dtypes are compared exactly.");
}

// No dtype holds every int64 and every uint64: they are compared as uint64 where the signed number is not negative.
template <typename Op>
array compared(const array& a, const array& b, const StreamOrDevice& s) {
  auto is_signed = [](const array& x) { return x.dtype().is_integer() && x.dtype().is_signed(); };
  bool first = is_signed(a) && b.dtype() == uint64;
  if (!first && !(is_signed(b) && a.dtype() == uint64)) {
    return Binary<Op>::apply(a, b, s);
  }
  array number = astype(first ? a : b, int64, s), bits = view(number, uint64, s);
  array negative = less(number, array(int64_t{0}), s);
  array as_unsigned = first ? Binary<Op>::apply(bits, b, s) : Binary<Op>::apply(a, bits, s);
  return Op::holds(first ? -1 : 0, first ? 0 : -1) ? logical_or(negative, as_unsigned, s)
                                                   : logical_and(logical_not(negative, s), as_unsigned, s);
}

struct Equal {
  static constexpr OpInfo info = comparison_info("equal", "Equal", "a == b, element by element.",
      ">>> mx.equal(mx.array([1, 2]), mx.array([1, 3]))\narray([True, False], dtype=bool)", &equal);
  static constexpr Body body = Body::equal;
  static constexpr bool holds(int a, int b) { return a == b; }
};
array equal(const array& a, const array& b, StreamOrDevice s) { return compared<Equal>(a, b, s); }

struct NotEqual {
  static constexpr OpInfo info = comparison_info("not_equal", "NotEqual", "a != b, element by element.",
      ">>> mx.not_equal(mx.array([1, 2]), mx.array([1, 3]))\narray([False, True], dtype=bool)", &not_equal);
  static constexpr Body body = Body::not_equal;
  static constexpr bool holds(int a, int b) { return a != b; }
};
array not_equal(const array& a, const array& b, StreamOrDevice s) { return compared<NotEqual>(a, b, s); }

struct Less {
  static constexpr OpInfo info = comparison_info("less", "Less", "a < b, element by element.",
      ">>> mx.less(mx.array([1, 2]), mx.array([2, 2]))\n"
      "array([True, False], dtype=bool)",
      &less);
  static constexpr Body body = Body::less;
  static constexpr bool holds(int a, int b) { return a < b; }
};
array less(const array& a, const array& b, StreamOrDevice s) { return compared<Less>(a, b, s); }

struct LessEqual {
  static constexpr OpInfo info = comparison_info("less_equal", "LessEqual", "a <= b, element by element.",
      ">>> mx.less_equal(mx.array([1, 3]), mx.array([2, 2]))\narray([True, False], dtype=bool)", &less_equal);
  static constexpr Body body = Body::less_equal;
  static constexpr bool holds(int a, int b) { return a <= b; }
};
array less_equal(const array& a, const array& b, StreamOrDevice s) { return compared<LessEqual>(a, b, s); }

struct Greater {
  static constexpr OpInfo info = comparison_info("greater", "Greater", "a > b, element by element.",
      ">>> mx.greater(mx.array([1, 3]), mx.array([2, 2]))\narray([False, True], dtype=bool)", &greater);
  static constexpr Body body = Body::greater;
  static constexpr bool holds(int a, int b) { return a > b; }
};
array greater(const array& a, const array& b, StreamOrDevice s) { return compared<Greater>(a, b, s); }

struct GreaterEqual {
  static constexpr OpInfo info = comparison_info("greater_equal", "GreaterEqual", "a >= b, element by element.",
      ">>> mx.greater_equal(mx.array([1, 2]), mx.array([2, 2]))\narray([False, True], dtype=bool)", &greater_equal);
  static constexpr Body body = Body::greater_equal;
  static constexpr bool holds(int a, int b) { return a >= b; }
};
array greater_equal(const array& a, const array& b, StreamOrDevice s) { return compared<GreaterEqual>(a, b, s); }

// --- logic ---

constexpr OpInfo logical_info(
    const char* name, const char* primitive, const char* summary, const char* example, BinaryFunction function) {
  return bool_info(name, primitive, summary, example, nullptr, function,
      "An element that is not bool counts as True where it is not 0.");
}

// Each operand becomes bool in its own dtype: promotion could round a small number to 0.
template <typename Op>
array logical(const array& a, const array& b, const StreamOrDevice& s) {
  return Binary<Op>::apply(astype(a, bool_, s), astype(b, bool_, s), s);
}

struct LogicalAnd {
  static constexpr OpInfo info =
      logical_info("logical_and", "LogicalAnd", "Whether both a and b hold, element by element.",
          ">>> mx.logical_and(mx.array([True, True]), mx.array([True, False]))\n"
          "array([True, False], dtype=bool)",
          &logical_and);
  static constexpr Body body = Body::logical_and;
};
array logical_and(const array& a, const array& b, StreamOrDevice s) { return logical<LogicalAnd>(a, b, s); }

struct LogicalOr {
  static constexpr OpInfo info = logical_info("logical_or", "LogicalOr", "Whether a or b holds, element by element.",
      ">>> mx.logical_or(mx.array([True, False]), mx.array([False, False]))\n"
      "array([True, False], dtype=bool)",
      &logical_or);
  static constexpr Body body = Body::logical_or;
};
array logical_or(const array& a, const array& b, StreamOrDevice s) { return logical<LogicalOr>(a, b, s); }

struct LogicalXor {
  static constexpr OpInfo info =
      logical_info("logical_xor", "LogicalXor", "Whether exactly one of a and b holds, element by element.",
          ">>> mx.logical_xor(mx.array([True, False]), mx.array([True, True]))\n"
          "array([False, True], dtype=bool)",
          &logical_xor);
  static constexpr Body body = Body::logical_xor;
};
array logical_xor(const array& a, const array& b, StreamOrDevice s) { return logical<LogicalXor>(a, b, s); }

// --- predicates ---

constexpr OpInfo predicate_info(const char* name, const char* primitive, const char* summary, const char* example,
    UnaryFunction function, const char* details = nullptr) {
  return bool_info(name, primitive, summary, example, function, nullptr, details);
}

struct LogicalNot {
  static constexpr OpInfo info = predicate_info("logical_not", "LogicalNot", "Whether each element is False, or 0.",
      ">>> mx.logical_not(mx.array([True, False]))\narray([False, True], dtype=bool)", &logical_not);
  static constexpr Body body = Body::logical_not;
};
array logical_not(const array& a, StreamOrDevice s) { return Unary<LogicalNot>::apply(a, s); }

struct IsNan {
  static constexpr OpInfo info = predicate_info("isnan", "IsNan", "Whether each element, or a part of it, is NaN.",
      ">>> mx.isnan(mx.array([1.0, mx.nan]))\narray([False, True], dtype=bool)", &isnan);
  static constexpr Body body = Body::isnan;
};
array isnan(const array& a, StreamOrDevice s) { return Unary<IsNan>::apply(a, s); }

struct IsInf {
  static constexpr OpInfo info = predicate_info("isinf", "IsInf", "Whether each element, or a part of it, is infinite.",
      ">>> mx.isinf(mx.array([1.0, -mx.inf]))\narray([False, True], dtype=bool)", &isinf);
  static constexpr Body body = Body::isinf;
};
array isinf(const array& a, StreamOrDevice s) { return Unary<IsInf>::apply(a, s); }

struct IsFinite {
  static constexpr OpInfo info =
      predicate_info("isfinite", "IsFinite", "Whether each element is neither NaN nor infinite.",
          ">>> mx.isfinite(mx.array([1.0, mx.inf]))\narray([True, False], dtype=bool)", &isfinite);
  static constexpr Body body = Body::isfinite;
};
array isfinite(const array& a, StreamOrDevice s) { return Unary<IsFinite>::apply(a, s); }

struct IsPosInf {
  static constexpr OpInfo info = predicate_info("isposinf", "IsPosInf", "Whether each element is positive infinity.",
      ">>> mx.isposinf(mx.array([mx.inf, -mx.inf]))\n"
      "array([True, False], dtype=bool)",
      &isposinf, "A complex number is where it is inf + 0j.");
  static constexpr Body body = Body::isposinf;
};
array isposinf(const array& a, StreamOrDevice s) { return Unary<IsPosInf>::apply(a, s); }

struct IsNegInf {
  static constexpr OpInfo info = predicate_info("isneginf", "IsNegInf", "Whether each element is negative infinity.",
      ">>> mx.isneginf(mx.array([mx.inf, -mx.inf]))\n"
      "array([False, True], dtype=bool)",
      &isneginf, "A complex number is where it is -inf + 0j.");
  static constexpr Body body = Body::isneginf;
};
array isneginf(const array& a, StreamOrDevice s) { return Unary<IsNegInf>::apply(a, s); }

// --- closeness, and equality of whole arrays ---

static array both_nan(const array& a, const array& b, const StreamOrDevice& s) {
  return logical_and(isnan(a, s), isnan(b, s), s);
}

constexpr OpInfo isclose_info = bool_info("isclose", nullptr,
    "Whether abs(a - b) <= atol + rtol abs(b), element by element.",
    ">>> mx.isclose(mx.array([1.0, 2.0]), mx.array([1.0, 2.1]))\narray([True, False], dtype=bool)", nullptr, nullptr,
    "Equal infinities are close. NaN is close to NaN only with equal_nan. Integers are subtracted exactly.");

// |a - b| of integers, which a uint64 holds, and the tolerance in float64.
static array integers_close(const array& a, const array& b, double rtol, double atol, const StreamOrDevice& s) {
  Dtype dtype = promote_types(promote_types(a.dtype(), b.dtype()), int8);
  dtype = dtype.is_signed() ? int64 : uint64;
  array x = astype(a, dtype, s), y = astype(b, dtype, s), low = minimum(x, y, s), high = maximum(x, y, s);
  array distance = subtract(high, low, s); // modulo 2^64
  distance = astype(dtype == uint64 ? distance : view(distance, uint64, s), float64, s);
  auto number = [&](double value) { return array(value, float64); };
  array tolerance = add(number(atol), multiply(number(rtol), abs(astype(y, float64, s), s), s), s);
  return less_equal(distance, tolerance, s);
}
array isclose(const array& a, const array& b, double rtol, double atol, bool equal_nan, StreamOrDevice s) {
  if (promote_types(a.dtype(), b.dtype()).is_integer()) {
    return integers_close(a, b, rtol, atol, s);
  }
  Dtype dtype = inexact_of(promote_types(a.dtype(), b.dtype()));
  if (dtype.size() == 2) { // the tolerances are below float16's smallest numbers
    dtype = float32;
  }
  array x = astype(a, dtype, s), y = astype(b, dtype, s);
  auto number = [&](double value) { return array(value, real_of(dtype)); };
  array tolerance = add(number(atol), multiply(number(rtol), abs(y, s), s), s);
  array near = less_equal(abs(subtract(x, y, s), s), tolerance, s);
  // an infinite tolerance says nothing
  array close = logical_or(equal(x, y, s), logical_and(near, isfinite(y, s), s), s);
  return equal_nan ? logical_or(close, both_nan(x, y, s), s) : close;
}

constexpr OpInfo allclose_info = bool_info("allclose", nullptr, "Whether all elements are close: all(isclose(a, b)).",
    ">>> mx.allclose(mx.array([1.0, 2.0]), mx.array([1.0, 2.1]))\narray(False, dtype=bool)", nullptr, nullptr, nullptr);
array allclose(const array& a, const array& b, double rtol, double atol, bool equal_nan, StreamOrDevice s) {
  return all(isclose(a, b, rtol, atol, equal_nan, s), false, s);
}

constexpr OpInfo array_equal_info =
    bool_info("array_equal", nullptr, "Whether a and b have the same shape and equal elements.",
        ">>> mx.array_equal(mx.array([1, 2]), mx.array([1.0, 2.0]))\narray(True, dtype=bool)", nullptr, nullptr,
        "The dtypes may differ. With equal_nan, NaN is equal to NaN.");
array array_equal(const array& a, const array& b, bool equal_nan, StreamOrDevice s) {
  StreamScope on(s);
  if (!(a.shape() == b.shape())) {
    return array(false);
  }
  array same = equal(a, b, s);
  return all(equal_nan ? logical_or(same, both_nan(a, b, s), s) : same, false, s);
}

std::span<const OpInfo* const> comparison_ops() {
  static constexpr const OpInfo* ops[] = {&Equal::info, &NotEqual::info, &Less::info, &LessEqual::info, &Greater::info,
      &GreaterEqual::info, &LogicalNot::info, &LogicalAnd::info, &LogicalOr::info, &LogicalXor::info, &IsNan::info,
      &IsInf::info, &IsFinite::info, &IsPosInf::info, &IsNegInf::info, &isclose_info, &allclose_info,
      &array_equal_info};
  return ops;
}

} // namespace mlx::core
