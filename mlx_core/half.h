// The two 16-bit floating types as storage: bits, and exact conversion to and from float.
#pragma once

#include <bit>
#include <cstdint>

namespace mlx::core {

// IEEE binary16. Conversion from float rounds to nearest, ties to even.
struct float16_t {
  uint16_t bits = 0;

  constexpr float16_t() = default;
  constexpr explicit float16_t(float value) : bits(from_float(value)) {}
  constexpr explicit operator float() const { return to_float(bits); }

 private:
  static constexpr uint16_t from_float(float value) {
    uint32_t f = std::bit_cast<uint32_t>(value);
    uint32_t sign = (f >> 16) & 0x8000u;
    uint32_t magnitude = f & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { // NaN: keep it quiet, keep the top payload bits
      return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    }
    if (magnitude >= 0x477ff000u) { // rounds to infinity
      return static_cast<uint16_t>(sign | 0x7c00u);
    }
    if (magnitude < 0x38800000u) { // subnormal: let float addition do the rounding
      float shifted = std::bit_cast<float>(magnitude) + 0.5f;
      return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u;
    return static_cast<uint16_t>(sign | (rounded >> 13));
  }

  static constexpr float to_float(uint16_t h) {
    uint32_t sign = (h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu;
    uint32_t mantissa = h & 0x3ffu;
    if (exponent == 0x1f) {
      return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    }
    if (exponent == 0) { // subnormal: mantissa * 2^-24 is exact in float
      float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
      return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }
};

// The upper half of a float. Conversion from float rounds to nearest, ties to even.
struct bfloat16_t {
  uint16_t bits = 0;

  constexpr bfloat16_t() = default;
  constexpr explicit bfloat16_t(float value) : bits(from_float(value)) {}
  constexpr explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

 private:
  static constexpr uint16_t from_float(float value) {
    uint32_t f = std::bit_cast<uint32_t>(value);
    if ((f & 0x7fffffffu) > 0x7f800000u) {
      return static_cast<uint16_t>((f >> 16) | 0x40u);
    }
    return static_cast<uint16_t>((f + 0x7fffu + ((f >> 16) & 1u)) >> 16);
  }
};

} // namespace mlx::core
