// Arrays for tests of kernels: memory with values of a dtype, and how results are compared.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "mlx_core/allocator.h"
#include "mlx_core/backend/fused_plan.h"
#include "mlx_core/backend/kernels.h"

namespace samples {

using namespace mlx::core;

inline std::string text_of(Dtype dtype) { return std::string(name_of(dtype)); }

struct Values {
  BufferRef buffer;
  Dtype dtype;
  int64_t size;

  Values(Dtype dtype, int64_t size)
      : buffer(allocate(static_cast<size_t>(std::max<int64_t>(size, 1) * dtype.size()))), dtype(dtype), size(size) {
    std::memset(buffer->data, 0x5a, buffer->size);
  }
  View view() const { return {buffer.get(), 0, nullptr, dtype, {size}, {1}}; }
  View view(Sizes sizes, Strides strides, int64_t from = 0) const {
    return {buffer.get(), from * dtype.size(), nullptr, dtype, std::move(sizes), std::move(strides)};
  }
  template <typename T>
  T* as() const {
    return static_cast<T*>(buffer->data);
  }
  Values copy() const {
    Values other(dtype, size);
    std::memcpy(other.buffer->data, buffer->data, buffer->size);
    return other;
  }
};

inline void put(const Values& to, int64_t i, double re, double im = 0) {
  switch (to.dtype) {
    case Dtype::Val::float16: to.as<float16_t>()[i] = float16_t(static_cast<float>(re)); break;
    case Dtype::Val::bfloat16: to.as<bfloat16_t>()[i] = bfloat16_t(static_cast<float>(re)); break;
    case Dtype::Val::float32: to.as<float>()[i] = static_cast<float>(re); break;
    case Dtype::Val::float64: to.as<double>()[i] = re; break;
    case Dtype::Val::complex64:
      to.as<complex64_t>()[i] = complex64_t(static_cast<float>(re), static_cast<float>(im));
      break;
    default: break;
  }
}

inline double special_value(uint64_t bits) {
  constexpr double inf = INFINITY;
  static const double values[] = {0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, inf, -inf, NAN, 1e-3, 100, -100, 0x1p24, 1e30,
      -1e30, 1e-30, 0x1p-126, 65504, 1.5707964, 3.1415927, 1e5, 0.99999994, 1.0000001, -0.99999994, 88.7, -88, 2049};
  return values[bits % std::size(values)];
}

// Floats: some special values, then bits of every size and numbers of usual ones; integers of every size; bools.
inline Values drawn(
    Dtype dtype, int64_t size, std::mt19937_64& random, bool special = true, double low = -4, double high = 4) {
  Values values(dtype, size);
  auto usual = [&] { return low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53; };
  auto number = [&] {
    uint64_t kind = random() % 8;
    if (!special || kind < 4) {
      return usual();
    }
    if (kind < 6) {
      return special_value(random());
    }
    // of any magnitude, but not subnormal, which a device may take for 0
    double range = dtype == float16 ? 14 : 120;
    return std::exp2(range * (2 * static_cast<double>(random() >> 11) * 0x1p-53 - 1)) * (random() % 2 ? 1 : -1);
  };
  for (int64_t i = 0; i < size; ++i) {
    if (dtype.is_bool()) {
      values.as<uint8_t>()[i] = random() % 2;
    } else if (dtype.is_integer()) {
      auto whole = static_cast<int64_t>(random()) >> (random() % 64);
      whole = random() % 16 == 0 ? static_cast<int64_t>(uint64_t{1} << (8 * dtype.size() - 1)) : whole;
      std::memcpy(values.as<char>() + i * dtype.size(), &whole, static_cast<size_t>(dtype.size()));
    } else {
      put(values, i, number(), number());
    }
  }
  return values;
}

inline double widened(const Values& v, int64_t i, bool imaginary = false) {
  switch (v.dtype) {
    case Dtype::Val::float16: return static_cast<float>(v.as<float16_t>()[i]);
    case Dtype::Val::bfloat16: return static_cast<float>(v.as<bfloat16_t>()[i]);
    case Dtype::Val::float32: return v.as<float>()[i];
    case Dtype::Val::complex64: return imaginary ? v.as<complex64_t>()[i].imag() : v.as<complex64_t>()[i].real();
    default: return 0;
  }
}

// Distance in units of the last place of what was expected, of a float dtype.
inline double ulps(double got, double expected, Dtype dtype) {
  if (std::isnan(expected) || std::isnan(got)) {
    return std::isnan(expected) && std::isnan(got) ? 0 : INFINITY;
  }
  if (got == expected) {
    return std::signbit(got) == std::signbit(expected) ? 0 : INFINITY;
  }
  if (std::isinf(got) || std::isinf(expected)) {
    return INFINITY;
  }
  int digits = dtype == float16 ? 11 : dtype == bfloat16 ? 8 : 24, lowest = dtype == float16 ? -14 : -126;
  int exponent = expected == 0 ? lowest : std::max(std::ilogb(expected), lowest);
  return std::fabs(got - expected) / std::ldexp(1.0, exponent - digits + 1);
}

// The largest distance, or infinity where integers differ; the place.
struct Difference {
  double ulp = 0;
  int64_t at = -1;
};
// By modulus: a complex number's parts are measured by the larger of them, and signs of zeros are not looked at.
inline Difference difference(const Values& got, const Values& expected, bool by_modulus = false) {
  Difference worst;
  for (int64_t i = 0; i < expected.size; ++i) {
    double here = 0;
    if (expected.dtype.is_inexact()) {
      Dtype part = expected.dtype == complex64 ? Dtype(float32) : expected.dtype;
      here = ulps(widened(got, i), widened(expected, i), part);
      double re = widened(expected, i), im = widened(expected, i, true);
      if (by_modulus && std::isfinite(re) && std::isfinite(im)) {
        double step = std::ldexp(1.0, std::max(std::ilogb(std::max(std::fabs(re), std::fabs(im))), -126) - 23);
        here = std::max(std::fabs(widened(got, i) - re), std::fabs(widened(got, i, true) - im)) / step;
      } else if (expected.dtype == complex64) {
        here = std::max(here, ulps(widened(got, i, true), widened(expected, i, true), part));
      }
    } else {
      auto size = static_cast<size_t>(expected.dtype.size());
      bool same = std::memcmp(got.as<char>() + size * static_cast<size_t>(i),
                      expected.as<char>() + size * static_cast<size_t>(i), size) == 0;
      here = same ? 0 : INFINITY;
    }
    if (here > worst.ulp) {
      worst = {here, i};
    }
  }
  return worst;
}

// One element as text, for messages.
inline std::string element(const Values& v, int64_t i) {
  if (v.dtype == complex64) {
    return "(" + check::show(widened(v, i)) + ", " + check::show(widened(v, i, true)) + ")";
  }
  if (v.dtype.is_inexact()) {
    return check::show(widened(v, i));
  }
  int64_t whole = 0;
  std::memcpy(&whole, v.as<char>() + i * v.dtype.size(), static_cast<size_t>(v.dtype.size()));
  return std::to_string(whole);
}

} // namespace samples
