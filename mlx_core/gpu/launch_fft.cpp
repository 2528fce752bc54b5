// Fourier transforms along an axis: a threadgroup for each lane that fits into its memory.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "mlx_core/gpu/launch.h"
#include "mlx_core/gpu/layouts.h"

namespace mlx::core::gpu {

namespace {

int64_t length_of(const kernel::Fft& k) {
  auto axis = static_cast<size_t>(k.axis);
  return k.in.dtype.is_complex() ? k.out.sizes[axis] : k.in.sizes[axis];
}

// 4 where it divides, then the primes; none where one is too large, or the length.
std::vector<uint32_t> radices_of(int64_t n) {
  std::vector<uint32_t> radices;
  if (n < 1 || n > arguments::most_fft) {
    return radices;
  }
  while (n % 4 == 0) n /= 4, radices.push_back(4);
  for (uint32_t p : {2, 3, 5, 7, 11, 13}) {
    while (n % p == 0) n /= p, radices.push_back(p);
  }
  return n == 1 ? radices : std::vector<uint32_t>();
}

} // namespace

bool supports(const kernel::Fft& k) {
  auto is_one = [](Dtype dtype) { return dtype == float32 || dtype == complex64; };
  if (!is_one(k.in.dtype) || !is_one(k.out.dtype)) {
    return false;
  }
  const int64_t n = length_of(k);
  Lanes from = lanes_of(k.in.sizes, k.in.strides, k.axis);
  return (n == 1 || !radices_of(n).empty()) && k.in.size() <= most_elements && k.out.size() <= most_elements &&
         fits(from.sizes, from.strides);
}

void launch(Encoder& encoder, const kernel::Fft& k) {
  if (k.out.size() == 0) {
    return;
  }
  Lanes from = lanes_of(k.in.sizes, k.in.strides, k.axis), to = lanes_of(k.out.sizes, row_major(k.out.sizes), k.axis);
  Bound in = from_lowest(k.in);
  const bool to_real = !k.out.dtype.is_complex();
  arguments::Fft a{};
  a.in = layout_of(from.sizes, from.strides);
  a.out = layout_of(to.sizes, to.strides);
  a.from = in.first;
  a.step_from = from.step;
  a.step_to = to.step;
  a.lanes = static_cast<uint32_t>(View::size_of(from.sizes));
  a.length = static_cast<uint32_t>(length_of(k));
  a.given = static_cast<uint32_t>(from.length);
  a.wanted = static_cast<uint32_t>(to.length);
  a.inverse = k.inverse || to_real;
  a.scale = static_cast<float>(k.scale);
  uint32_t smallest = a.length;
  for (uint32_t radix : radices_of(a.length)) {
    a.radices[a.passes++] = radix;
    smallest = radix;
  }
  std::vector<std::complex<float>> roots(a.length);
  for (uint32_t j = 0; j < a.length; ++j) {
    double angle = -2 * std::numbers::pi * j / a.length;
    roots[j] = {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
  }
  encoder.kernel("fft", to_real ? "fft_to_real" : k.in.dtype.is_complex() ? "fft_complex" : "fft_from_real");
  encoder.read(0, in.view);
  encoder.write(1, k.out);
  encoder.value(2, a);
  encoder.values(3, std::span<const std::complex<float>>(roots));
  const uint64_t wanted = (a.length / std::max(1u, std::min(smallest, 4u)) + 31) / 32 * 32;
  encoder.dispatch_groups({a.lanes}, {std::min<uint64_t>({256, wanted, encoder.most_threads()})});
}

} // namespace mlx::core::gpu
