// Kernels of complex functions, by libm, one element at a time; complex64 computes in complex128 and rounds once. Of it
// logarithms and products of functions of the parts are computed by the kernels of those, which are vectors.
#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <optional>

#include "mlx_core/cpu/elementwise.h"
#include "mlx_core/cpu/families.h"

namespace mlx::core::cpu::bodies {
namespace {

using Z = std::complex<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();

bool is_nan(Z z) { return std::isnan(z.real()) || std::isnan(z.imag()); }

double larger_part(Z z) { return std::fmax(std::fabs(z.real()), std::fabs(z.imag())); }
Z scaled(Z z, int exponent) { return {std::ldexp(z.real(), exponent), std::ldexp(z.imag(), exponent)}; }

// Smith's division, for numbers whose products and quotients are normal; by zero, each part over the zero, as in NumPy
// and MLX.
Z plain_quotient(Z a, Z b) {
  const double abs_re = std::fabs(b.real());
  const double abs_im = std::fabs(b.imag());
  if (abs_re >= abs_im) {
    if (abs_re == 0 && abs_im == 0) {
      return {a.real() / abs_re, a.imag() / abs_re};
    }
    const double ratio = b.imag() / b.real();
    const double scale = 1 / (b.real() + b.imag() * ratio);
    return {(a.real() + a.imag() * ratio) * scale, (a.imag() - a.real() * ratio) * scale};
  }
  const double ratio = b.real() / b.imag();
  const double scale = 1 / (b.real() * ratio + b.imag());
  return {(a.real() * ratio + a.imag()) * scale, (a.imag() * ratio - a.real()) * scale};
}

// Numbers near the ends of the range are brought to its middle first, and only the quotient meets the ends. Parts that
// were float are far from both.
template <class T>
Z quotient(Z a, Z b) {
  if constexpr (sizeof(T) == 4) {
    return plain_quotient(a, b);
  }
  const double dividend = std::fabs(a.real()) + std::fabs(a.imag());
  const double divisor = std::fabs(b.real()) + std::fabs(b.imag());
  const double larger = dividend > divisor ? dividend : divisor;
  const double smaller = dividend > divisor ? divisor : dividend;
  if ((smaller > 0x1p-480) & (larger < 0x1p480)) [[likely]] {
    return plain_quotient(a, b);
  }
  const auto exponent_of = [](Z z) {
    const double part = larger_part(z);
    return part > 0 && part < infinity ? std::ilogb(part) : 0;
  };
  const int above = exponent_of(a);
  const int below = exponent_of(b);
  return scaled(plain_quotient(scaled(a, -above), scaled(b, -below)), above - below);
}

template <class T>
Z zero_quotient(Z a, Z b) {
  return a == 0.0 || std::isinf(b.real()) || std::isinf(b.imag()) ? Z{0} : quotient<T>(a, b);
}
template <class T>
Z reciprocal(Z z) {
  return quotient<T>(1, z);
}
// Of parts that were float, whose squares are normal in double: as csqrt() of the C library, without its looking at
// exponents.
template <class T>
Z root(Z z) {
  const double modulus = std::sqrt(z.real() * z.real() + z.imag() * z.imag());
  if (sizeof(T) == 8 || !(modulus > 0 && modulus < infinity)) {
    return std::sqrt(z);
  }
  const double larger = std::sqrt((modulus + std::fabs(z.real())) / 2), smaller = z.imag() / (2 * larger);
  return z.real() >= 0 ? Z{larger, smaller} : Z{std::fabs(smaller), std::copysign(larger, z.imag())};
}
template <class T>
Z rsqrt(Z z) {
  return quotient<T>(1, root<T>(z));
}

Z exp2(Z z) {
  const double angle = z.imag() * std::numbers::ln2;
  const double modulus = std::exp2(z.real());
  return z.imag() == 0 ? Z{modulus, z.imag()} : std::polar(1.0, angle) * modulus;
}

// exp(x) cos(y) - 1 = expm1(x) cos(y) - 2 sin(y/2)^2. From exp(40) on the 1 does not count.
Z expm1(Z z) {
  if (!std::isfinite(z.real()) || !std::isfinite(z.imag())) {
    return std::exp(z) - 1.0;
  }
  if (z.real() > 40) {
    return std::exp(z);
  }
  const double half_sine = std::sin(z.imag() / 2);
  return {std::expm1(z.real()) * std::cos(z.imag()) - 2 * half_sine * half_sine,
      z.imag() == 0 ? z.imag() : std::exp(z.real()) * std::sin(z.imag())};
}

// log|1 + z|^2 = log1p(x (2 + x) + y^2), used where |1 + z| is near 1 and its logarithm would cancel
Z log1p(Z z) {
  const double x = z.real();
  const double y = z.imag();
  if (larger_part(z) > 0x1p500 && larger_part(z) < infinity) { // where the modulus might overflow
    return std::log(z);
  }
  const double angle = std::atan2(y, 1 + x);
  const double excess = std::fma(x, x + 2, y * y);
  if (std::fabs(excess) < 0.5) {
    return {std::log1p(excess) / 2, angle};
  }
  return {std::log(std::hypot(1 + x, y)), angle};
}

Z log2(Z z) {
  const Z w = std::log(z);
  return {w.real() * std::numbers::log2e, w.imag() * std::numbers::log2e};
}
Z log10(Z z) {
  const Z w = std::log(z);
  return {w.real() * std::numbers::log10e, w.imag() * std::numbers::log10e};
}

// sinh(x) for |x| <= 2, by its power series: nearly correctly rounded, as libm's is not.
double small_sinh(double x) {
  const double z = x * x;
  double series = 1;
  constexpr double inverses[] = {1.0 / (26 * 27), 1.0 / (24 * 25), 1.0 / (22 * 23), 1.0 / (20 * 21), 1.0 / (18 * 19),
      1.0 / (16 * 17), 1.0 / (14 * 15), 1.0 / (12 * 13), 1.0 / (10 * 11), 1.0 / (8 * 9), 1.0 / (6 * 7), 1.0 / (4 * 5)};
  for (const double inverse : inverses) { // x^3 / 3! (1 + x^2 / (4 5) (1 + x^2 / (6 7) (...)))
    series = 1 + z * inverse * series;
  }
  return x + x * z * (1.0 / 6) * series;
}

// (sinh 2x + i sin 2y) / (cosh 2x + cos 2y), where cosh 2x = 1 + 2 sinh(x)^2; the divisor is 2 (sinh(x)^2 + cos(y)^2)
// where its terms would cancel. From x = 1 on 1 - 2 / (exp(2z) + 1), where the second term is small.
Z tanh(Z z) {
  const double x = std::fabs(z.real());
  const double y = z.imag();
  if (!(x < infinity && std::fabs(y) < 0x1p1000)) {
    return std::tanh(z);
  }
  if (x > 20) {
    return {std::copysign(1.0, z.real()), 4 * std::sin(y) * std::cos(y) * std::exp(-2 * x)};
  }
  const double sine = std::sin(2 * y);
  const double cosine = std::cos(2 * y);
  if (x >= 1) {
    const double e = std::exp(2 * x);
    const double re = e * cosine + 1;
    const double im = e * sine;
    const double twice_inverse = 2 / (re * re + im * im);
    return {std::copysign(1 - re * twice_inverse, z.real()), im * twice_inverse};
  }
  const double s = small_sinh(x);
  const double c = std::cos(y);
  const double divisor = cosine >= 0 ? (1 + cosine) + 2 * (s * s) : 2 * (s * s + c * c);
  return {small_sinh(2 * z.real()) / divisor, sine / divisor};
}

// tan(z) = -i tanh(i z)
Z tan(Z z) {
  const Z w = tanh({-z.imag(), z.real()});
  return {w.imag(), -w.real()};
}

// Of the two equal forms, the one whose exponential does not overflow; about the imaginary axis, where the poles are,
// (1 + tanh(z/2)) / 2, unless the parts were float and there are digits to spare.
template <class T>
Z sigmoid(Z z) {
  if (sizeof(T) == 8 && std::fabs(z.real()) < 0.5 && std::isfinite(z.imag())) {
    const Z t = tanh(z * 0.5);
    return {0.5 + t.real() * 0.5, t.imag() * 0.5};
  }
  const bool right = z.real() >= 0;
  const Z e = std::exp(right ? -z : z);
  if (z.real() < -40) { // 1 + e is 1
    return e;
  }
  const Z s = plain_quotient(right ? 1 : e, 1.0 + e);
  return z.imag() == 0 && !is_nan(z) ? Z{s.real(), z.imag()} : s; // the quotient loses the sign of a zero
}

// At infinities it is the larger one alone, whatever the angles of the other.
Z logaddexp(Z a, Z b) {
  if (is_nan(a) || is_nan(b)) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    return {nan, nan};
  }
  const bool first = a.real() > b.real() || (a.real() == b.real() && a.imag() > b.imag());
  const Z larger = first ? a : b;
  const Z smaller = first ? b : a;
  if (smaller.real() == -infinity || larger.real() == infinity) {
    return {larger.real() + 0.0, larger.imag()}; // log(1) is 0, also as logaddexp(-inf, -0)
  }
  const Z gap = smaller - larger;
  return gap.real() < -800 ? larger : larger + log1p(std::exp(gap)); // an infinite angle of 0 is nothing
}

// exp(w log z), which is 0 where the modulus is, whatever the angle
Z power_by_logarithm(Z base, Z exponent) {
  const Z w = exponent * std::log(base), power = std::exp(w);
  return w.real() < -800 && std::isnan(power.real()) ? Z{0} : power;
}

// Small integer exponents by repeated multiplication, exact where the parts are; 0^w is 0 for Re w > 0.
Z power(Z base, Z exponent) {
  if (exponent == 0.0) {
    return 1;
  }
  if (exponent == 1.0) {
    return base; // to the sign of a zero, which no product keeps
  }
  if (base == 0.0) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    return exponent.real() > 0 ? Z{0} : Z{nan, nan};
  }
  const double n = exponent.real();
  if (exponent.imag() != 0 || std::fabs(n) > 64 || n != std::trunc(n)) {
    return power_by_logarithm(base, exponent);
  }
  std::optional<Z> result;
  Z factor = base;
  for (int e = static_cast<int>(std::fabs(n)); e != 0; e >>= 1) {
    if ((e & 1) != 0) {
      result = result ? *result * factor : factor;
    }
    factor *= factor;
  }
  if (!(larger_part(*result) < infinity) && std::isfinite(base.real()) && std::isfinite(base.imag())) {
    return power_by_logarithm(base, exponent); // a product on the way overflowed, or its inverse vanishes
  }
  return n < 0 ? quotient<double>(1, *result) : *result;
}

// Of a function that is odd in both parts: by its values for positive ones, so that it is so to the bit.
template <auto function>
Z mirrored(Z z) {
  const Z w = function(Z{std::fabs(z.real()), std::fabs(z.imag())});
  return {std::copysign(w.real(), z.real()), std::copysign(w.imag(), z.imag())};
}

template <auto function, class T>
void unary(const void* const* inputs, void* output, int64_t n) {
  const auto* a = static_cast<const std::complex<T>*>(inputs[0]);
  auto* out = static_cast<std::complex<T>*>(output);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = std::complex<T>(function(Z(a[i])));
  }
}

template <auto function, class T>
void binary(const void* const* inputs, void* output, int64_t n) {
  const auto* a = static_cast<const std::complex<T>*>(inputs[0]);
  const auto* b = static_cast<const std::complex<T>*>(inputs[1]);
  auto* out = static_cast<std::complex<T>*>(output);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = std::complex<T>(function(Z(a[i]), Z(b[i])));
  }
}

// f(x) g(y) + i h(x) k(y), of parts that are no larger than `most`: others are left to `function`.
struct Product {
  Body real[2], imaginary[2]; // f and g, h and k
  double sign = 1;            // of the imaginary part
};
constexpr double most = 700; // and no exponential of them is infinite

template <auto function, Product product>
void by_parts(const void* const* inputs, void* output, int64_t n) {
  constexpr int64_t chunk = 128;
  const auto* a = static_cast<const complex64_t*>(inputs[0]);
  auto* out = static_cast<complex64_t*>(output);
  const auto kernels = [](const Body* bodies) {
    return std::array{find_kernel(bodies[0], float64), find_kernel(bodies[1], float64)};
  };
  const auto real = kernels(product.real), imaginary = kernels(product.imaginary);
  for (int64_t begin = 0; begin < n; begin += chunk, a += chunk, out += chunk) {
    const int64_t count = std::min(chunk, n - begin);
    alignas(64) double parts[2][chunk], factors[2][2][chunk];
    const auto is_small = [&](int64_t i) {
      return (std::fabs(parts[0][i]) <= most) & (std::fabs(parts[1][i]) <= most);
    };
    bool are_small = true;
    for (int64_t i = 0; i < count; ++i) {
      parts[0][i] = a[i].real(), parts[1][i] = a[i].imag();
      are_small &= is_small(i);
    }
    for (int part = 0; part < 2; ++part) {
      const void* in = parts[part];
      real[part](&in, factors[0][part], count);
      if (product.imaginary[part] == product.real[part]) {
        std::copy_n(factors[0][part], count, factors[1][part]);
      } else {
        imaginary[part](&in, factors[1][part], count);
      }
    }
    for (int64_t i = 0; i < count; ++i) {
      const double x = factors[0][0][i] * factors[0][1][i], y = product.sign * factors[1][0][i] * factors[1][1][i];
      out[i] = {static_cast<float>(x), static_cast<float>(y)};
      if (!are_small && !is_small(i)) [[unlikely]] {
        out[i] = complex64_t(function(Z(parts[0][i], parts[1][i])));
      }
    }
  }
}

// log|z| / log(base) and the angle likewise, by vectors; `function` has those whose modulus is near 1, where the digits
// of |z|^2 behind the 1 are what counts, and those that are not finite.
template <auto function>
void logarithms(const void* const* inputs, void* output, int64_t n) {
  constexpr int64_t chunk = 128;
  const double scale = std::real(function(Z(std::numbers::e)));
  const auto* a = static_cast<const complex64_t*>(inputs[0]);
  auto* out = static_cast<complex64_t*>(output);
  const Kernel log = find_kernel(Body::log, float64), angle = find_kernel(Body::arctan2, float64);
  for (int64_t begin = 0; begin < n; begin += chunk, a += chunk, out += chunk) {
    const int64_t count = std::min(chunk, n - begin);
    alignas(64) double re[chunk], im[chunk], squares[chunk], moduli[chunk], angles[chunk];
    for (int64_t i = 0; i < count; ++i) {
      re[i] = a[i].real(), im[i] = a[i].imag();
      squares[i] = re[i] * re[i] + im[i] * im[i];
    }
    const void *square = squares, *parts[] = {im, re};
    log(&square, moduli, count);
    angle(parts, angles, count);
    for (int64_t i = 0; i < count; ++i) {
      if (squares[i] < infinity && std::fabs(squares[i] - 1) > 0x1p-4) [[likely]] {
        out[i] = {static_cast<float>(moduli[i] / 2 * scale), static_cast<float>(angles[i] * scale)};
      } else {
        out[i] = complex64_t(function(Z(re[i], im[i])));
      }
    }
  }
}

Kernel find_by_vectors(Body body) {
  using enum Body;
  switch (body) {
    case log: return &logarithms<[](Z z) { return std::log(z); }>;
    case log2: return &logarithms<bodies::log2>;
    case log10: return &logarithms<bodies::log10>;
    case exp: return &by_parts<[](Z z) { return std::exp(z); }, Product{{exp, cos}, {exp, sin}}>;
    case sin: return &by_parts<[](Z z) { return std::sin(z); }, Product{{sin, cosh}, {cos, sinh}}>;
    case cos: return &by_parts<[](Z z) { return std::cos(z); }, Product{{cos, cosh}, {sin, sinh}, -1}>;
    case sinh: return &by_parts<[](Z z) { return std::sinh(z); }, Product{{sinh, cos}, {cosh, sin}}>;
    case cosh: return &by_parts<[](Z z) { return std::cosh(z); }, Product{{cosh, cos}, {sinh, sin}}>;
    default: return nullptr;
  }
}

template <class T>
Kernel find(Body body) {
  switch (body) {
    case Body::sqrt: return &unary<root<T>, T>;
    case Body::rsqrt: return &unary<rsqrt<T>, T>;
    case Body::reciprocal: return &unary<reciprocal<T>, T>;
    case Body::exp: return &unary<[](Z z) { return std::exp(z); }, T>;
    case Body::exp2: return &unary<exp2, T>;
    case Body::expm1: return &unary<expm1, T>;
    case Body::log: return &unary<[](Z z) { return std::log(z); }, T>;
    case Body::log2: return &unary<log2, T>;
    case Body::log10: return &unary<log10, T>;
    case Body::log1p: return &unary<log1p, T>;
    case Body::sigmoid: return &unary<sigmoid<T>, T>;
    case Body::sin: return &unary<[](Z z) { return std::sin(z); }, T>;
    case Body::cos: return &unary<[](Z z) { return std::cos(z); }, T>;
    case Body::tan: return &unary<tan, T>;
    case Body::arcsin: return &unary<[](Z z) { return std::asin(z); }, T>;
    case Body::arccos: return &unary<[](Z z) { return std::acos(z); }, T>;
    case Body::arctan: return &unary<mirrored<[](Z z) { return std::atan(z); }>, T>;
    case Body::sinh: return &unary<[](Z z) { return std::sinh(z); }, T>;
    case Body::cosh: return &unary<[](Z z) { return std::cosh(z); }, T>;
    case Body::tanh: return &unary<tanh, T>;
    case Body::arcsinh: return &unary<[](Z z) { return std::asinh(z); }, T>;
    case Body::arccosh: return &unary<[](Z z) { return std::acosh(z); }, T>;
    case Body::arctanh: return &unary<mirrored<[](Z z) { return std::atanh(z); }>, T>;
    case Body::divide: return &binary<quotient<T>, T>;
    case Body::zero_divide: return &binary<zero_quotient<T>, T>;
    case Body::power: return &binary<power, T>;
    case Body::logaddexp: return &binary<logaddexp, T>;
    default: return nullptr;
  }
}

} // namespace

Kernel complex_function_kernel(Body body, Dtype dtype) {
  switch (dtype) {
    case Dtype::Val::complex64: {
      const Kernel vectors = find_by_vectors(body);
      return vectors ? vectors : find<float>(body);
    }
    case Dtype::Val::complex128: return find<double>(body);
    default: return nullptr;
  }
}

} // namespace mlx::core::cpu::bodies
