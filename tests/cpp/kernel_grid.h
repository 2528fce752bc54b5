// What the grids of kernels share: inputs, running a kernel at every length and alignment, measuring against a truth,
// and a digest of the results, by which machines and instruction sets are compared.
//
// MLX_KERNEL_DIGEST names a file to which each kernel appends a line.
#pragma once

#include <cmath>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/elementwise.h"

namespace grid {

using mlx::core::Dtype;
using mlx::core::dtype_count;
namespace cpu = mlx::core::cpu;

inline Dtype dtype_at(int i) { return static_cast<Dtype::Val>(i); }
inline std::string name_of(Dtype dtype) { return std::string(mlx::core::name_of(dtype)); }

template <class T>
long double widen(T x) {
  if constexpr (cpu::is_half<T>) {
    return static_cast<float>(x);
  } else {
    return static_cast<long double>(x);
  }
}
template <class T>
T narrow(long double x) {
  if constexpr (cpu::is_half<T>) {
    return T(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}

struct Format {
  int digits, lowest;
  long double highest;
};
template <class T>
Format format() {
  if constexpr (std::is_same_v<T, mlx::core::float16_t>) {
    return {11, -14, 65504};
  } else if constexpr (std::is_same_v<T, mlx::core::bfloat16_t>) {
    return {8, -126, 0x1.fep127L};
  } else {
    using Limits = std::numeric_limits<T>;
    return {Limits::digits, Limits::min_exponent - 1, Limits::max()};
  }
}

// |got - truth| in units of the last place of T; infinite where a NaN, an infinity or the sign of a zero is missed.
template <class T>
double ulps(T got_value, long double truth) {
  Format f = format<T>();
  long double got = widen(got_value);
  constexpr double miss = std::numeric_limits<double>::infinity();
  if (std::isnan(truth) || std::isnan(got)) {
    return std::isnan(truth) && std::isnan(got) ? 0 : miss;
  }
  long double step = std::ldexp(1.0L, f.lowest - (f.digits - 1));
  if (std::fabs(truth) > 0 && std::fabs(truth) <= f.highest) {
    step = std::ldexp(1.0L, std::max(std::ilogb(truth), f.lowest) - (f.digits - 1));
  }
  if (std::isinf(got) || std::fabs(truth) > f.highest) { // one step more is infinite
    long double edge = std::ldexp(1.0L, std::ilogb(f.highest) - (f.digits - 1));
    bool near = std::fabs(truth) >= f.highest - edge && std::fabs(got) >= f.highest - edge;
    return near && std::signbit(got) == std::signbit(truth) ? 0 : miss;
  }
  if (got == 0 && std::fabs(truth) < step / 2 && std::signbit(got) != std::signbit(truth)) {
    return miss;
  }
  return static_cast<double>(std::fabs(got - truth) / step);
}

// Values of [low, high], the same on every machine.
template <class T>
std::vector<T> draw(size_t count, double low, double high, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<T> values(count);
  for (T& value : values) {
    double unit = static_cast<double>(random() >> 11) * 0x1p-53;
    value = narrow<T>(low + (high - low) * unit);
  }
  return values;
}
template <class T>
std::vector<T> special() {
  Format f = format<T>();
  constexpr long double infinity = std::numeric_limits<long double>::infinity();
  std::vector<T> values;
  for (long double x : {0.0L, -0.0L, 1.0L, -1.0L, 0.5L, 2.0L, infinity, -infinity,
           std::numeric_limits<long double>::quiet_NaN(), f.highest, -f.highest, std::ldexp(1.0L, f.lowest),
           -std::ldexp(1.0L, f.lowest), std::ldexp(1.0L, f.lowest - f.digits + 1)}) {
    values.push_back(narrow<T>(x));
  }
  return values;
}
// Integers of every size, and the ends of the range.
template <class T>
std::vector<T> integers(size_t count, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<T> values{0, 1, 2, std::numeric_limits<T>::max(), std::numeric_limits<T>::min(), static_cast<T>(-1)};
  while (values.size() < count) {
    values.push_back(static_cast<T>(static_cast<int64_t>(random()) >> (random() % 64)));
  }
  return values;
}

// Every pair of `a` and `a` in two vectors, then `more` of each.
template <class T>
void pairs(const std::vector<T>& all, std::vector<T>& a, std::vector<T>& b) {
  for (const T& x : all) {
    for (const T& y : all) {
      a.push_back(x);
      b.push_back(y);
    }
  }
}

// One NaN for all, as machines differ in what they make.
template <class T>
void settle_nan(T& x) {
  if constexpr (cpu::is_complex<T>) {
    auto* parts = reinterpret_cast<typename T::value_type*>(&x);
    settle_nan(parts[0]);
    settle_nan(parts[1]);
  } else if constexpr (cpu::is_half<T>) {
    if (float value = static_cast<float>(x); value != value) {
      x = T(std::numeric_limits<float>::quiet_NaN());
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    if (x != x) {
      x = std::numeric_limits<T>::quiet_NaN();
    }
  }
}

inline void note(const std::string& what, const void* data, size_t bytes) {
  const char* path = std::getenv("MLX_KERNEL_DIGEST");
  if (!path) {
    return;
  }
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < bytes; ++i) {
    hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
  }
  if (FILE* file = std::fopen(path, "a")) {
    std::fprintf(file, "%s %016llx\n", what.c_str(), static_cast<unsigned long long>(hash));
    std::fclose(file);
  }
}
template <class T>
void note(const std::string& what, std::vector<T> values) {
  for (T& value : values) {
    settle_nan(value);
  }
  note(what, values.data(), values.size() * sizeof(T));
}

inline bool fail_once(const std::string& what, bool ok) { // at most one line for each kernel
  if (!ok) {
    check::fail("kernel", 0, what);
  }
  return ok;
}

struct Input {
  const void* data;
  size_t item;
};
template <class T>
Input input(const std::vector<T>& values) {
  return {values.data(), sizeof(T)};
}

// The kernel's results; each must be the same at any length and alignment, and nothing behind the last is written.
template <class Out>
std::vector<Out> run(const std::string& what, cpu::Kernel kernel, std::vector<Input> inputs, size_t n) {
  std::vector<Out> all(n);
  std::vector<const void*> from;
  for (const Input& in : inputs) {
    from.push_back(in.data);
  }
  kernel(from.data(), all.data(), static_cast<int64_t>(n));
  for (Out& value : all) {
    settle_nan(value);
  }
  for (size_t start : {0, 1, 3}) {
    for (size_t length : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100}) {
      if (start + length > n) {
        continue;
      }
      for (size_t k = 0; k < inputs.size(); ++k) {
        from[k] = static_cast<const char*>(inputs[k].data) + start * inputs[k].item;
      }
      std::vector<char> memory((length + 2) * sizeof(Out) + 1, 0x5a);
      char* out = memory.data() + start % 2 * sizeof(Out);
      kernel(from.data(), out, static_cast<int64_t>(length));
      std::string where = what + " of " + std::to_string(length) + " elements from " + std::to_string(start);
      for (size_t i = 0; i < length; ++i) {
        Out value;
        std::memcpy(&value, out + i * sizeof(Out), sizeof(Out));
        settle_nan(value);
        if (!fail_once(where + " differs", std::memcmp(&value, &all[start + i], sizeof(Out)) == 0)) {
          return all;
        }
      }
      if (!fail_once(where + " writes behind them", out[length * sizeof(Out)] == 0x5a)) {
        return all;
      }
    }
  }
  return all;
}

} // namespace grid
