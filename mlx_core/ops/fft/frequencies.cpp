// The frequencies of a Fourier transform's outputs, and moving frequency 0 to the middle.
#include "mlx_core/error.h"
#include "mlx_core/fft.h"
#include "mlx_core/ops/families.h"
#include "mlx_core/ops/unary.h"

namespace mlx::core::fft {

namespace {

// k / (n d) for k = first, first + 1, ..., then from -n / 2 on where there are more than `positive`; rounded once.
array frequencies(const char* op, int n, int count, int positive, double d, Dtype dtype) {
  if (n < 1) {
    fail(op, "n is ", n, "; a transform has at least one element.");
  }
  if (d == 0) {
    fail(op, "d is 0; samples are some distance apart.");
  }
  if (!dtype.is_floating()) {
    fail(op, "dtype is ", dtype, "; frequencies are floating.");
  }
  array exact = array::uninitialized(Shape{count}, dtype == float64 ? float64 : float32);
  auto write = [&]<typename T>(T* to) {
    for (int i = 0; i < count; ++i) {
      to[i] = static_cast<T>((i < positive ? i : i - n) / (n * d));
    }
  };
  if (dtype == float64) {
    write(static_cast<double*>(exact.mutable_data()));
  } else {
    write(static_cast<float*>(exact.mutable_data()));
  }
  return astype(exact, dtype);
}

array shifted(const array& a, const Axes& axes, bool back) {
  Axes over = normalize_axes(back ? "fft.ifftshift" : "fft.fftshift", axes, a.ndim());
  if (over.empty()) {
    return a;
  }
  Shape shift;
  for (int axis : over) {
    Dim half = a.shape()[static_cast<size_t>(axis)] / 2;
    shift.push_back(back ? 0 - half : half);
  }
  return roll(a, shift, over);
}

constexpr OpInfo fftfreq_info{.name = "fft.fftfreq",
    .summary = "The frequencies of the outputs of fft: 0, 1, ..., then the negative ones, over n d.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.fft.fftfreq(4, d=0.5)\narray([0, 0.5, -1, -0.5], dtype=float32)",
    .details = "d is the distance of samples. Raises ValueError for n < 1 and for d = 0."};
constexpr OpInfo rfftfreq_info{.name = "fft.rfftfreq",
    .summary = "The frequencies of the n / 2 + 1 outputs of rfft: 0, 1, ... over n d.",
    .differentiable = Differentiable::no,
    .no_derivative = no_argument,
    .example = ">>> mx.fft.rfftfreq(4, d=0.5)\narray([0, 0.5, 1], dtype=float32)",
    .details = "d is the distance of samples. Raises ValueError for n < 1 and for d = 0."};
constexpr OpInfo fftshift_info{.name = "fft.fftshift",
    .summary = "The array with frequency 0 moved to the middle of each axis, or of the given ones.",
    .example = ">>> mx.fft.fftshift(mx.fft.fftfreq(4))\narray([-0.5, -0.25, 0, 0.25], dtype=float32)"};
constexpr OpInfo ifftshift_info{.name = "fft.ifftshift",
    .summary = "The inverse of fftshift.",
    .example = ">>> mx.fft.ifftshift(mx.array([-2, -1, 0, 1, 2]))\narray([0, 1, 2, -2, -1], dtype=int32)"};

} // namespace

array fftfreq(int n, double d, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  return frequencies("fft.fftfreq", n, n, n - n / 2, d, dtype);
}
array rfftfreq(int n, double d, Dtype dtype, StreamOrDevice s) {
  StreamScope on(s);
  return frequencies("fft.rfftfreq", n, n / 2 + 1, n / 2 + 1, d, dtype);
}
array fftshift(const array& a, const Axes& axes, StreamOrDevice s) {
  StreamScope on(s);
  return shifted(a, axes, false);
}
array fftshift(const array& a, StreamOrDevice s) { return fftshift(a, all_axes(a.ndim()), s); }
array ifftshift(const array& a, const Axes& axes, StreamOrDevice s) {
  StreamScope on(s);
  return shifted(a, axes, true);
}
array ifftshift(const array& a, StreamOrDevice s) { return ifftshift(a, all_axes(a.ndim()), s); }

} // namespace mlx::core::fft

namespace mlx::core {

std::span<const OpInfo* const> frequency_ops() {
  using namespace fft;
  static constexpr const OpInfo* ops[] = {&fftfreq_info, &rfftfreq_info, &fftshift_info, &ifftshift_info};
  return ops;
}

} // namespace mlx::core
