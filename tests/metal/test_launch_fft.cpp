// Fourier transforms of every kind, length, axis and layout against sums in double.
#include "launching.h"

#include <numbers>

using namespace launching;

namespace {

using Complex = std::complex<float>;

// The transform of lanes: all outputs, or half of them, or those of a real result.
std::vector<std::complex<double>> sums(
    const std::vector<std::complex<double>>& lane, int64_t n, int64_t wanted, double sign, double scale) {
  std::vector<std::complex<double>> full(static_cast<size_t>(n));
  for (size_t j = 0; j < lane.size(); ++j) {
    full[j] = lane[j];
    if (static_cast<int64_t>(lane.size()) < n && j > 0) full[static_cast<size_t>(n) - j] = std::conj(lane[j]);
  }
  if (static_cast<int64_t>(lane.size()) < n) {
    full[0] = full[0].real();
    if (n % 2 == 0) full[static_cast<size_t>(n / 2)] = lane[static_cast<size_t>(n / 2)].real();
  }
  std::vector<std::complex<double>> out;
  for (int64_t k = 0; k < wanted; ++k) {
    std::complex<double> sum = 0;
    for (int64_t j = 0; j < n; ++j) {
      double angle = sign * 2 * std::numbers::pi * static_cast<double>(j * k % n) / static_cast<double>(n);
      sum += full[static_cast<size_t>(j)] * std::polar(1.0, angle);
    }
    out.push_back(sum * scale);
  }
  return out;
}

template <typename In, typename Out>
void check_fft(Sizes sizes, int axis, int64_t n, bool inverse, Layout layout, bool in_place = false) {
  const bool to_real = std::is_same_v<Out, float>;
  const auto at = static_cast<size_t>(axis);
  const int64_t given = to_real ? n / 2 + 1 : n, wanted = std::is_same_v<In, float> ? n / 2 + 1 : n;
  sizes[at] = given;
  Sizes out_sizes = sizes;
  out_sizes[at] = wanted;
  auto values = random_numbers<In>(View::size_of(sizes), static_cast<uint32_t>(7 + n));
  Array<In> in(sizes, values, layout);
  Array<Out> out(out_sizes);
  const double scale = 1 / std::sqrt(static_cast<double>(n));
  Encoder encoder;
  kernel::Fft k{in.view, axis, inverse, scale, in_place ? in.view : out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  std::vector<Out> got;
  if constexpr (std::is_same_v<In, Out>) {
    got = in_place ? in.read() : out.read();
  } else {
    got = out.read();
  }
  int64_t inner = 1;
  for (size_t i = at + 1; i < sizes.size(); ++i) inner *= sizes[i];
  for (int64_t o = 0; o < View::size_of(sizes) / (inner * given); ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      std::vector<std::complex<double>> lane;
      double size = 0;
      for (int64_t j = 0; j < given; ++j) {
        lane.push_back(std::complex<double>(wide(values[static_cast<size_t>((o * given + j) * inner + i)])));
        size += std::abs(lane.back()) * scale;
      }
      auto want = sums(lane, n, wanted, inverse || to_real ? 1 : -1, scale);
      for (int64_t m = 0; m < wanted; ++m) {
        std::complex<double> g(wide(got[static_cast<size_t>((o * wanted + m) * inner + i)]));
        std::complex<double> w = to_real ? want[static_cast<size_t>(m)].real() : want[static_cast<size_t>(m)];
        CHECK(std::abs(g - w) <= 4 * 0x1p-24 * size + 1e-7);
      }
    }
  }
}

} // namespace

TEST(every_kind_and_length) {
  for (int64_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 26, 30, 49, 64, 77, 100, 128}) {
    check_fft<Complex, Complex>({2, 0}, 1, n, false, Layout::rows);
    check_fft<Complex, Complex>({2, 0}, 1, n, true, Layout::spaced);
    check_fft<float, Complex>({2, 0}, 1, n, false, Layout::rows);
    check_fft<Complex, float>({2, 0}, 1, n, true, Layout::rows);
  }
}

TEST(long_lanes) {
  for (int64_t n : {1024, 1001, 2048}) check_fft<Complex, Complex>({0}, 0, n, false, Layout::rows);
  check_fft<float, Complex>({0}, 0, 1536, false, Layout::backwards);
  check_fft<Complex, float>({0}, 0, 2000, true, Layout::rows);
}

TEST(axes_and_layouts) {
  for (Layout layout : layouts) {
    for (int axis : {0, 1, 2}) {
      check_fft<Complex, Complex>({3, 2, 4}, axis, 12, false, layout);
      check_fft<float, Complex>({3, 2, 4}, axis, 10, false, layout);
      check_fft<Complex, float>({3, 2, 4}, axis, 9, true, layout);
    }
  }
  check_fft<Complex, Complex>({3, 0}, 1, 60, false, Layout::rows, true); // where it reads
}

TEST(what_is_left_to_the_cpu) {
  auto supported = [](Dtype in, Dtype out, int64_t n) {
    View a{nullptr, 0, nullptr, in, {2, n}, {n, 1}}, b{nullptr, 0, nullptr, out, {2, n}, {n, 1}};
    return gpu::supports(kernel::Fft{a, 1, false, 1, b});
  };
  CHECK(supported(complex64, complex64, 2048));
  CHECK(!supported(complex64, complex64, 4096));
  CHECK(!supported(complex64, complex64, 17));
  CHECK(!supported(complex128, complex128, 16));
  CHECK(!supported(float64, complex128, 16));
  Array<Complex> none({0, 8});
  Encoder encoder;
  gpu::launch(encoder, kernel::Fft{none.view, 1, false, 1, none.view});
  CHECK_EQ(encoder.dispatches, 0);
}

TEST(all_kernels_ran) { check_all_ran({"fft"}); }
