// Windows: bell shapes to multiply a signal with before a Fourier transform.
//
// The cosine windows are polynomials in sin^2(pi n / (M - 1)): exactly 0 at the ends where they should be. Samples are
// computed in float64, one half mirrored from the other, and rounded once.
#include <cmath>
#include <numbers>

#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core {

namespace {

constexpr const char* lengths = "M samples, 1 for M = 1, none for M below 1.";

// sample(n / (M - 1)) for n = 0, ..., M - 1; even about the middle.
template <typename Sample>
array window(int M, const StreamOrDevice& s, Sample sample) {
  StreamScope on(s);
  array window = array::uninitialized(Shape(1, std::max(M, 0)), float32);
  float* values = static_cast<float*>(window.mutable_data());
  if (M == 1) {
    values[0] = 1;
  }
  for (int n = 0; M > 1 && n <= (M - 1) / 2; ++n) {
    values[n] = values[M - 1 - n] = static_cast<float>(sample(static_cast<double>(n) / (M - 1)));
  }
  return window;
}

double sine_squared(double x) { return std::pow(std::sin(std::numbers::pi * x), 2); }

} // namespace

static constexpr OpInfo bartlett_info{.name = "bartlett",
    .summary = "The Bartlett window, a triangle: 1 - |2 n / (M - 1) - 1|.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.bartlett(5)\narray([0, 0.5, 1, 0.5, 0], dtype=float32)",
    .details = lengths};
array bartlett(int M, StreamOrDevice s) {
  return window(M, s, [](double x) { return 2 * x; });
}

static constexpr OpInfo hanning_info{.name = "hanning",
    .summary = "The Hann window: 0.5 - 0.5 cos(2 pi n / (M - 1)).",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.hanning(5)\narray([0, 0.5, 1, 0.5, 0], dtype=float32)",
    .details = lengths};
array hanning(int M, StreamOrDevice s) { return window(M, s, sine_squared); }

static constexpr OpInfo hamming_info{.name = "hamming",
    .summary = "The Hamming window: 0.54 - 0.46 cos(2 pi n / (M - 1)).",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.hamming(5)\narray([0.08, 0.54, 1, 0.54, 0.08], dtype=float32)",
    .details = lengths};
array hamming(int M, StreamOrDevice s) {
  return window(M, s, [](double x) { return 0.08 + 0.92 * sine_squared(x); });
}

static constexpr OpInfo blackman_info{.name = "blackman",
    .summary = "The Blackman window: 0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1)).",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.blackman(5)\narray([0, 0.34, 1, 0.34, 0], dtype=float32)",
    .details = lengths};
array blackman(int M, StreamOrDevice s) {
  return window(M, s, [](double x) {
    double t = sine_squared(x);
    return t * (0.36 + 0.64 * t);
  });
}

std::span<const OpInfo* const> window_ops() {
  static constexpr const OpInfo* ops[] = {&bartlett_info, &hanning_info, &hamming_info, &blackman_info};
  return ops;
}

} // namespace mlx::core
