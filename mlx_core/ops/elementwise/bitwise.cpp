// Bitwise operations and shifts, on integers and bool.
#include "mlx_core/ops/binary.h"
#include "mlx_core/ops/families.h"

namespace mlx::core {

constexpr OpInfo bitwise_info(const char* name, const char* primitive, const char* summary, const char* example,
    array (*function)(const array&, const array&, StreamOrDevice), const char* details = nullptr) {
  return {.name = name,
      .primitive = primitive,
      .summary = summary,
      .accepts = Dtypes::integral,
      .differentiable = Differentiable::no,
      .no_derivative = {"bits carry no derivative"},
      .domain = {0, 7},
      .example = example,
      .details = details,
      .binary = function};
}

struct BitwiseAnd {
  static constexpr OpInfo info = bitwise_info("bitwise_and", "BitwiseAnd", "Bits set in both a and b.",
      ">>> mx.bitwise_and(mx.array([6, 5]), mx.array([3, 4]))\narray([2, 4], dtype=int32)", &bitwise_and);
  static constexpr Body body = Body::bitwise_and;
};
array bitwise_and(const array& a, const array& b, StreamOrDevice s) { return Binary<BitwiseAnd>::apply(a, b, s); }

struct BitwiseOr {
  static constexpr OpInfo info = bitwise_info("bitwise_or", "BitwiseOr", "Bits set in a or b.",
      ">>> mx.bitwise_or(mx.array([6, 5]), mx.array([3, 4]))\narray([7, 5], dtype=int32)", &bitwise_or);
  static constexpr Body body = Body::bitwise_or;
};
array bitwise_or(const array& a, const array& b, StreamOrDevice s) { return Binary<BitwiseOr>::apply(a, b, s); }

struct BitwiseXor {
  static constexpr OpInfo info = bitwise_info("bitwise_xor", "BitwiseXor", "Bits set in exactly one of a and b.",
      ">>> mx.bitwise_xor(mx.array([6, 5]), mx.array([3, 4]))\narray([5, 1], dtype=int32)", &bitwise_xor);
  static constexpr Body body = Body::bitwise_xor;
};
array bitwise_xor(const array& a, const array& b, StreamOrDevice s) { return Binary<BitwiseXor>::apply(a, b, s); }

// bool has no room for a shifted bit: two bools shift as uint8.
template <typename Op>
array shifted(const array& a, const array& b, const StreamOrDevice& s) {
  if (a.dtype().is_bool() && b.dtype().is_bool()) {
    return Binary<Op>::apply(astype(a, uint8, s), astype(b, uint8, s), s);
  }
  return Binary<Op>::apply(a, b, s);
}

struct LeftShift {
  static constexpr OpInfo info = bitwise_info("left_shift", "LeftShift", "Bits of a moved up by b places.",
      ">>> mx.left_shift(mx.array([1, 2]), mx.array([3, 1]))\narray([8, 4], dtype=int32)", &left_shift,
      "Two bools are shifted as uint8. By the dtype's width or more, or by a negative number, every bit moves out.");
  static constexpr Body body = Body::left_shift;
};
array left_shift(const array& a, const array& b, StreamOrDevice s) { return shifted<LeftShift>(a, b, s); }

struct RightShift {
  static constexpr OpInfo info = bitwise_info("right_shift", "RightShift",
      "Bits of a moved down by b places; the sign is kept.",
      ">>> mx.right_shift(mx.array([16, -8]), mx.array([3, 1]))\narray([2, -4], dtype=int32)", &right_shift,
      "Two bools are shifted as uint8. By the dtype's width or more, or by a negative number, every bit moves out.");
  static constexpr Body body = Body::right_shift;
};
array right_shift(const array& a, const array& b, StreamOrDevice s) { return shifted<RightShift>(a, b, s); }

struct BitwiseInvert {
  static constexpr OpInfo info{.name = "bitwise_invert",
      .primitive = "BitwiseInvert",
      .summary = "Every bit of each element flipped; on bool, logical not.",
      .accepts = Dtypes::integral,
      .differentiable = Differentiable::no,
      .no_derivative = {"bits carry no derivative"},
      .domain = {0, 7},
      .example = ">>> mx.bitwise_invert(mx.array([0, 5]))\narray([-1, -6], dtype=int32)",
      .unary = &bitwise_invert};
  static constexpr Body body = Body::bitwise_invert;
};
array bitwise_invert(const array& a, StreamOrDevice s) { return Unary<BitwiseInvert>::apply(a, s); }

std::span<const OpInfo* const> bitwise_ops() {
  static constexpr const OpInfo* ops[] = {&BitwiseAnd::info, &BitwiseOr::info, &BitwiseXor::info, &LeftShift::info,
      &RightShift::info, &BitwiseInvert::info};
  return ops;
}

} // namespace mlx::core
