// The elementwise kernels of floating and complex dtypes, on the best instruction set of the machine, against the C
// library's functions in a wider type.
#include <algorithm>

#include "kernel_grid.h"

using namespace grid;
using mlx::core::Body;
using Real = long double;
using Complex = std::complex<long double>;

namespace {

constexpr Real infinity = std::numeric_limits<Real>::infinity();
constexpr Real nan_value = std::numeric_limits<Real>::quiet_NaN();

Real sign(Real x) { return std::isnan(x) ? x : static_cast<Real>((x > 0) - (x < 0)); }
Real sigmoid(Real x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::isnan(x) ? x : std::exp(x) / (1 + std::exp(x)); }
Real logaddexp(Real a, Real b) {
  if (std::isnan(a) || std::isnan(b)) {
    return nan_value;
  }
  Real larger = std::max(a, b), smaller = std::min(a, b);
  return std::isinf(larger) ? larger : larger + std::log1p(std::exp(smaller - larger));
}
// Where erf has this value, by halving.
Real erfinv(Real y) {
  if (std::isnan(y) || std::fabs(y) > 1) {
    return nan_value;
  }
  if (y == 0 || std::fabs(y) == 1) {
    return y == 0 ? y : y * infinity;
  }
  if (std::fabs(y) < 1e-10L) { // the next term is 1e-20 of it
    return y * std::sqrt(std::acos(-1.0L)) / 2;
  }
  Real low = 0, high = 10, aim = std::fabs(y);
  for (int i = 0; i < 100; ++i) {
    Real middle = (low + high) / 2;
    (aim > 0.5L ? std::erfc(middle) > 1 - aim : std::erf(middle) < aim) ? low = middle : high = middle;
  }
  return std::copysign(low, y);
}

struct Unary {
  const char* name;
  Body body;
  Real (*truth)(Real);
  double low, high;
  double bound = 4; // ulps; 0: exact but for rounding
};
const Unary unary_rows[] = {
    {"negative", Body::negative, [](Real x) { return -x; }, -9, 9, 0},
    {"abs", Body::abs, [](Real x) { return std::fabs(x); }, -9, 9, 0},
    {"sign", Body::sign, sign, -9, 9, 0},
    {"square", Body::square, [](Real x) { return x * x; }, -9, 9, 0},
    {"sqrt", Body::sqrt, [](Real x) { return std::sqrt(x); }, 0, 99, 0},
    {"rsqrt", Body::rsqrt, [](Real x) { return 1 / std::sqrt(x); }, 0.01, 99},
    {"reciprocal", Body::reciprocal, [](Real x) { return 1 / x; }, 0.01, 99, 0},
    {"exp", Body::exp, [](Real x) { return std::exp(x); }, -20, 20},
    {"expm1", Body::expm1, [](Real x) { return std::expm1(x); }, -9, 9},
    {"exp2", Body::exp2, [](Real x) { return std::exp2(x); }, -20, 20},
    {"log", Body::log, [](Real x) { return std::log(x); }, 0.001, 99},
    {"log2", Body::log2, [](Real x) { return std::log2(x); }, 0.001, 99},
    {"log10", Body::log10, [](Real x) { return std::log10(x); }, 0.001, 99},
    {"log1p", Body::log1p, [](Real x) { return std::log1p(x); }, -0.9, 9},
    {"sigmoid", Body::sigmoid, sigmoid, -20, 20},
    {"erf", Body::erf, [](Real x) { return std::erf(x); }, -4, 4},
    {"erfinv", Body::erfinv, erfinv, -0.999, 0.999},
    {"sin", Body::sin, [](Real x) { return std::sin(x); }, -1000, 1000},
    {"cos", Body::cos, [](Real x) { return std::cos(x); }, -1000, 1000},
    {"tan", Body::tan, [](Real x) { return std::tan(x); }, -9, 9},
    {"arcsin", Body::arcsin, [](Real x) { return std::asin(x); }, -1, 1},
    {"arccos", Body::arccos, [](Real x) { return std::acos(x); }, -1, 1},
    {"arctan", Body::arctan, [](Real x) { return std::atan(x); }, -9, 9},
    {"sinh", Body::sinh, [](Real x) { return std::sinh(x); }, -9, 9},
    {"cosh", Body::cosh, [](Real x) { return std::cosh(x); }, -9, 9},
    {"tanh", Body::tanh, [](Real x) { return std::tanh(x); }, -9, 9},
    {"arcsinh", Body::arcsinh, [](Real x) { return std::asinh(x); }, -99, 99},
    {"arccosh", Body::arccosh, [](Real x) { return std::acosh(x); }, 1, 99},
    {"arctanh", Body::arctanh, [](Real x) { return std::atanh(x); }, -0.99, 0.99},
    {"floor", Body::floor, [](Real x) { return std::floor(x); }, -9, 9, 0},
    {"ceil", Body::ceil, [](Real x) { return std::ceil(x); }, -9, 9, 0},
    {"trunc", Body::trunc, [](Real x) { return std::trunc(x); }, -9, 9, 0},
    {"rint", Body::rint, [](Real x) { return std::nearbyint(x); }, -9, 9, 0},
    {"copy", Body::copy, [](Real x) { return x; }, -9, 9, 0},
};

struct Binary {
  const char* name;
  Body body;
  Real (*truth)(Real, Real);
  double low, high;
  double bound = 0;
  bool pairs = true; // of special values, too
};
Real zero_times(Real a, Real b) { return a == 0 || b == 0 ? 0 : a * b; }
const Binary binary_rows[] = {
    {"add", Body::add, [](Real a, Real b) { return a + b; }, -9, 9},
    {"subtract", Body::subtract, [](Real a, Real b) { return a - b; }, -9, 9},
    {"multiply", Body::multiply, [](Real a, Real b) { return a * b; }, -9, 9},
    {"divide", Body::divide, [](Real a, Real b) { return a / b; }, -9, 9},
    {"maximum", Body::maximum, [](Real a, Real b) { return a > b || std::isnan(a) ? a : b; }, -9, 9},
    {"minimum", Body::minimum, [](Real a, Real b) { return a < b || std::isnan(a) ? a : b; }, -9, 9},
    {"gap", Body::gap, [](Real a, Real b) { return a == b ? 0 : a - b; }, -9, 9},
    {"zero_times", Body::zero_times, zero_times, -9, 9},
    {"zero_divide", Body::zero_divide, [](Real a, Real b) { return a == 0 || std::isinf(b) ? 0 : a / b; }, -9, 9},
    {"copysign", Body::copysign, [](Real a, Real b) { return std::copysign(a, b); }, -9, 9},
    {"power", Body::power, [](Real a, Real b) { return std::pow(a, b); }, 0.1, 9, 4},
    {"logaddexp", Body::logaddexp, logaddexp, 0, 9, 4},
    {"arctan2", Body::arctan2, [](Real a, Real b) { return std::atan2(a, b); }, -9, 9, 4},
    {"hypot", Body::hypot, [](Real a, Real b) { return std::hypot(a, b); }, -9, 9, 4},
    {"remainder", Body::remainder,
        [](Real a, Real b) {
          Real r = std::fmod(a, b);
          return r != 0 && (r < 0) != (b < 0) ? r + b : std::copysign(r, r == 0 ? b : r);
        },
        -99, 99, 0, false},
    {"floor_divide", Body::floor_divide,
        [](Real a, Real b) {
          Real r = std::fmod(a, b);
          r = r != 0 && (r < 0) != (b < 0) ? r + b : r;
          Real q = std::nearbyint((a - r) / b);
          return q == 0 ? std::copysign(0.0L, a / b) : q;
        },
        -99, 99, 0, false},
};

// 16-bit types compute in float and round once more.
template <class T>
double allowed(double bound) {
  return cpu::is_half<T> ? 0.51 : std::max(bound, 0.5001);
}

// "float", or "library" for those whose last bit is that of the machine's C library.
template <class T>
std::string family(Body body) {
  bool by_library = sizeof(T) == 8 && (body == Body::erf || body == Body::erfinv || body == Body::hypot);
  return by_library ? "library " : "float ";
}

template <class T>
void check_unary(const Unary& row, Dtype dtype) {
  std::string what = std::string(row.name) + " " + grid::name_of(dtype);
  cpu::Kernel kernel = cpu::find_kernel(row.body, dtype);
  if (!fail_once(what + " is missing", kernel != nullptr)) {
    return;
  }
  std::vector<T> x = special<T>();
  for (const T& value : draw<T>(300, row.low, row.high, 1)) {
    x.push_back(value);
  }
  std::vector<T> got = grid::run<T>(what, kernel, {input(x)}, x.size());
  note(family<T>(row.body) + what, got);
  for (size_t i = 0; i < x.size(); ++i) {
    Real truth = row.truth(widen(x[i]));
    double error = ulps(got[i], truth);
    if (!fail_once(what + " of " + check::show(widen(x[i])) + " is " + check::show(widen(got[i])) + ", not " +
                       check::show(truth),
            error <= allowed<T>(row.bound))) {
      return;
    }
  }
}

template <class T>
void check_binary(const Binary& row, Dtype dtype) {
  std::string what = std::string(row.name) + " " + grid::name_of(dtype);
  cpu::Kernel kernel = cpu::find_kernel(row.body, dtype);
  if (!fail_once(what + " is missing", kernel != nullptr)) {
    return;
  }
  std::vector<T> a = draw<T>(300, row.low, row.high, 2), b = draw<T>(300, row.low, row.high, 3);
  size_t drawn = row.pairs ? a.size() + 1000 : a.size(); // others go into the digest alone
  pairs(special<T>(), a, b);
  std::vector<T> got = grid::run<T>(what, kernel, {input(a), input(b)}, a.size());
  note(family<T>(row.body) + what, got);
  for (size_t i = 0; i < std::min(drawn, a.size()); ++i) {
    Real truth = row.truth(widen(a[i]), widen(b[i]));
    double error = ulps(got[i], truth);
    if (!fail_once(what + " of " + check::show(widen(a[i])) + ", " + check::show(widen(b[i])) + " is " +
                       check::show(widen(got[i])) + ", not " + check::show(truth),
            error <= allowed<T>(row.bound))) {
      return;
    }
  }
}

// --- complex ---

template <class Z>
std::vector<Z> complex_values(unsigned seed) {
  using T = typename Z::value_type;
  std::vector<T> re = draw<T>(200, -3, 3, seed), im = draw<T>(200, -3, 3, seed + 1);
  std::vector<Z> values;
  for (size_t i = 0; i < re.size(); ++i) {
    values.emplace_back(re[i], im[i]);
  }
  return values;
}
template <class Z>
bool near(Z got, Complex truth, double bound) {
  using T = typename Z::value_type;
  Real step = std::ldexp(1.0L, std::ilogb(std::abs(truth)) - (std::numeric_limits<T>::digits - 1));
  return std::abs(Complex(got) - truth) <= bound * step;
}

struct ComplexUnary {
  const char* name;
  Body body;
  Complex (*truth)(Complex);
  bool by_library = true; // whose last bit differs between machines
};
const ComplexUnary complex_unary_rows[] = {
    {"negative", Body::negative, [](Complex z) { return -z; }, false},
    {"square", Body::square, [](Complex z) { return z * z; }, false},
    {"sign", Body::sign, [](Complex z) { return z / std::abs(z); }},
    {"conjugate", Body::conjugate, [](Complex z) { return std::conj(z); }, false},
    {"rint", Body::rint, [](Complex z) { return Complex(std::nearbyint(z.real()), std::nearbyint(z.imag())); }, false},
    {"sqrt", Body::sqrt, [](Complex z) { return std::sqrt(z); }},
    {"rsqrt", Body::rsqrt, [](Complex z) { return 1.0L / std::sqrt(z); }},
    {"reciprocal", Body::reciprocal, [](Complex z) { return 1.0L / z; }},
    {"exp", Body::exp, [](Complex z) { return std::exp(z); }},
    {"expm1", Body::expm1, [](Complex z) { return std::exp(z) - 1.0L; }},
    {"exp2", Body::exp2, [](Complex z) { return std::exp(z * std::log(2.0L)); }},
    {"log", Body::log, [](Complex z) { return std::log(z); }},
    {"log2", Body::log2, [](Complex z) { return std::log(z) / std::log(2.0L); }},
    {"log10", Body::log10, [](Complex z) { return std::log(z) / std::log(10.0L); }},
    {"log1p", Body::log1p, [](Complex z) { return std::log(1.0L + z); }},
    {"sigmoid", Body::sigmoid, [](Complex z) { return 1.0L / (1.0L + std::exp(-z)); }},
    {"sin", Body::sin, [](Complex z) { return std::sin(z); }},
    {"cos", Body::cos, [](Complex z) { return std::cos(z); }},
    {"tan", Body::tan, [](Complex z) { return std::tan(z); }},
    {"arcsin", Body::arcsin, [](Complex z) { return std::asin(z); }},
    {"arccos", Body::arccos, [](Complex z) { return std::acos(z); }},
    {"arctan", Body::arctan, [](Complex z) { return std::atan(z); }},
    {"sinh", Body::sinh, [](Complex z) { return std::sinh(z); }},
    {"cosh", Body::cosh, [](Complex z) { return std::cosh(z); }},
    {"tanh", Body::tanh, [](Complex z) { return std::tanh(z); }},
    {"arcsinh", Body::arcsinh, [](Complex z) { return std::asinh(z); }},
    {"arccosh", Body::arccosh, [](Complex z) { return std::acosh(z); }},
    {"arctanh", Body::arctanh, [](Complex z) { return std::atanh(z); }},
};
bool before(Complex a, Complex b) { return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag()); }
struct ComplexBinary {
  const char* name;
  Body body;
  Complex (*truth)(Complex, Complex);
  bool by_library = false;
};
const ComplexBinary complex_binary_rows[] = {
    {"add", Body::add, [](Complex a, Complex b) { return a + b; }},
    {"subtract", Body::subtract, [](Complex a, Complex b) { return a - b; }},
    {"multiply", Body::multiply, [](Complex a, Complex b) { return a * b; }},
    {"zero_times", Body::zero_times, [](Complex a, Complex b) { return a * b; }},
    {"maximum", Body::maximum, [](Complex a, Complex b) { return before(a, b) ? b : a; }},
    {"minimum", Body::minimum, [](Complex a, Complex b) { return before(b, a) ? b : a; }},
    {"divide", Body::divide, [](Complex a, Complex b) { return a / b; }},
    {"zero_divide", Body::zero_divide, [](Complex a, Complex b) { return a / b; }},
    {"power", Body::power, [](Complex a, Complex b) { return std::pow(a, b); }, true},
};

template <class Z>
void check_complex(Dtype dtype) {
  using T = typename Z::value_type;
  std::vector<Z> a = complex_values<Z>(11), b = complex_values<Z>(21);
  for (const ComplexUnary& row : complex_unary_rows) {
    std::string what = std::string(row.name) + " " + grid::name_of(dtype);
    std::vector<Z> got = grid::run<Z>(what, cpu::find_kernel(row.body, dtype), {input(a)}, a.size());
    if (!row.by_library) {
      note("complex " + what, got);
    }
    for (size_t i = 0; i < a.size(); ++i) {
      if (!fail_once(what + " of " + check::show(a[i]) + " is " + check::show(got[i]),
              near(got[i], row.truth(Complex(a[i])), 12))) {
        break;
      }
    }
  }
  for (const ComplexBinary& row : complex_binary_rows) {
    std::string what = std::string(row.name) + " " + grid::name_of(dtype);
    std::vector<Z> got = grid::run<Z>(what, cpu::find_kernel(row.body, dtype), {input(a), input(b)}, a.size());
    if (!row.by_library) {
      note("complex " + what, got);
    }
    for (size_t i = 0; i < a.size(); ++i) {
      if (!fail_once(what + " of " + check::show(a[i]) + ", " + check::show(b[i]) + " is " + check::show(got[i]),
              near(got[i], row.truth(Complex(a[i]), Complex(b[i])), 12))) {
        break;
      }
    }
  }
  std::vector<T> modulus = grid::run<T>("abs", cpu::find_kernel(Body::abs, dtype), {input(a)}, a.size());
  std::vector<T> re = grid::run<T>("real", cpu::find_kernel(Body::real, dtype), {input(a)}, a.size());
  std::vector<T> im = grid::run<T>("imag", cpu::find_kernel(Body::imag, dtype), {input(a)}, a.size());
  Dtype parts = sizeof(T) == 4 ? mlx::core::float32 : mlx::core::float64;
  cpu::Kernel join = cpu::find_kernel(Body::make_complex, parts);
  std::vector<Z> joined = grid::run<Z>("make_complex", join, {input(re), input(im)}, a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(re[i] == a[i].real() && im[i] == a[i].imag() && joined[i] == a[i]);
    CHECK(ulps(modulus[i], std::abs(Complex(a[i]))) <= 1);
  }
}

template <class T>
void check_floats(Dtype dtype) {
  for (const Unary& row : unary_rows) {
    check_unary<T>(row, dtype);
  }
  for (const Binary& row : binary_rows) {
    check_binary<T>(row, dtype);
  }
}

} // namespace

TEST(float16) { check_floats<mlx::core::float16_t>(mlx::core::float16); }
TEST(bfloat16) { check_floats<mlx::core::bfloat16_t>(mlx::core::bfloat16); }
TEST(float32) { check_floats<float>(mlx::core::float32); }
TEST(float64) { check_floats<double>(mlx::core::float64); }
TEST(complex64) { check_complex<mlx::core::complex64_t>(mlx::core::complex64); }
TEST(complex128) { check_complex<mlx::core::complex128_t>(mlx::core::complex128); }
