// Calls as MLX's C++ API spells them: which overload a number, a braced list, a vector or a bool means.
#include <cmath>

#include "check.h"
#include "mlx_core/mlx.h"

using namespace mlx::core;

namespace {
array table() { return reshape(array({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}), {2, -1}); }
} // namespace

TEST(a_reduction_knows_axes_from_keepdims) {
  array x = table();
  CHECK_EQ(sum(x).shape(), (Shape{}));
  CHECK_EQ(sum(x, 0).shape(), (Shape{3}));
  CHECK_EQ(sum(x, {0}).shape(), (Shape{3}));
  CHECK_EQ(sum(x, 1).shape(), (Shape{2}));
  CHECK_EQ(sum(x, {1}).shape(), (Shape{2}));
  CHECK_EQ(sum(x, -1, true).shape(), (Shape{2, 1}));
  CHECK_EQ(sum(x, {0, 1}).shape(), (Shape{}));
  CHECK_EQ(sum(x, std::vector<int>{0, 1}, true).shape(), (Shape{1, 1}));
  CHECK_EQ(sum(x, true).shape(), (Shape{1, 1}));
  CHECK_EQ(sum(x, false).shape(), (Shape{}));
  CHECK_EQ(sum(x, 0, false, Device(Device::cpu)).shape(), (Shape{3}));
  array columns = sum(x, 0);
  eval(columns);
  CHECK_EQ(columns.data<float>()[2], 9.f);
}

TEST(every_reduction_does) {
  array x = table();
  using Pair = std::pair<array, array>;
  for (const auto& [one, braced] : {Pair{sum(x, 1), sum(x, {1})}, Pair{prod(x, 1), prod(x, {1})},
           Pair{max(x, 1), max(x, {1})}, Pair{min(x, 1), min(x, {1})}, Pair{all(x, 1), all(x, {1})},
           Pair{any(x, 1), any(x, {1})}, Pair{mean(x, 1), mean(x, {1})}, Pair{var(x, 1), var(x, {1})},
           Pair{mlx::core::std(x, 1), mlx::core::std(x, {1})}, Pair{logsumexp(x, 1), logsumexp(x, {1})},
           Pair{median(x, 1), median(x, {1})}, Pair{count_nonzero(x, 1), count_nonzero(x, {1})},
           Pair{minmax(x, 1)[0], minmax(x, {1})[1]}}) {
    CHECK_EQ(one.shape(), (Shape{2}));
    CHECK_EQ(braced.shape(), (Shape{2}));
  }
  CHECK_EQ(max(x, true).shape(), (Shape{1, 1}));
  CHECK_EQ(mean(x, std::vector<int>{0}).shape(), (Shape{3}));
  CHECK_EQ(var(x, true, 1).shape(), (Shape{1, 1}));
  CHECK_EQ(var(x, 0, true, 1).shape(), (Shape{1, 3}));
  CHECK(std::abs(sum(softmax(x, -1)).item<float>() - 2) < 1e-6f);
  CHECK(std::abs(sum(softmax(x, {0})).item<float>() - 3) < 1e-6f);
  CHECK(std::abs(sum(softmax(x)).item<float>() - 1) < 1e-6f);
  CHECK(std::abs(sum(softmax(x, true)).item<float>() - 1) < 1e-6f);
}

TEST(shapes_and_axes_from_lists) {
  array x = table();
  CHECK_EQ(expand_dims(x, 0).shape(), (Shape{1, 2, 3}));
  CHECK_EQ(expand_dims(x, {0, 1}).shape(), (Shape{1, 1, 2, 3}));
  CHECK_EQ(squeeze(expand_dims(x, 0), 0).shape(), (Shape{2, 3}));
  CHECK_EQ(squeeze(expand_dims(x, {0, 3}), {0, 3}).shape(), (Shape{2, 3}));
  CHECK_EQ(squeeze(expand_dims(x, {0, 3})).shape(), (Shape{2, 3}));
  CHECK_EQ(transpose(x, {1, 0}).shape(), (Shape{3, 2}));
  CHECK_EQ(transpose(x, std::vector<int>{1, 0}).shape(), (Shape{3, 2}));
  CHECK_EQ(transpose(array({1.f, 2.f}), {0}).shape(), (Shape{2}));
  CHECK_EQ(reshape(x, {-1}).shape(), (Shape{6}));
  CHECK_EQ(reshape(x, std::vector<int>{3, -1}).shape(), (Shape{3, 2}));
  CHECK_EQ(broadcast_to(array(1.f), {2, 2}).shape(), (Shape{2, 2}));
  array flipped = flip(x, 1);
  eval(flipped);
  CHECK_EQ(reshape(flipped, {-1}).shape(), (Shape{6}));
  CHECK_EQ(take(reshape(flipped, {-1}), array(0)).item<float>(), 3.f);
  CHECK_EQ(argmax(x, 1).shape(), (Shape{2}));
  CHECK_EQ(concatenate({x, x}).shape(), (Shape{4, 3}));
  CHECK_EQ(slice(x, {0, 1}, {2, 3}).shape(), (Shape{2, 2}));
}

TEST(a_key_is_no_location) {
  array key = random::key(3);
  CHECK(array_equal(random::normal({4}, float32, key), random::normal({4}, float32, {}, {}, key)).item<bool>());
  CHECK(array_equal(random::laplace({4}, float32, key), random::laplace({4}, float32, {}, {}, key)).item<bool>());
}

TEST(fourier_transforms) {
  array x = arange(8);
  CHECK(allclose(fft::irfft(fft::rfft(x)), astype(x, float32)).item<bool>());
  CHECK_EQ(fft::rfft(x, 5, 0).shape(), (Shape{3}));
  CHECK_EQ(fft::fftn(ones({2, 3}), {4}, {0}, fft::FFTNorm::Ortho).shape(), (Shape{4, 3}));
  CHECK_EQ(fft::irfft2(fft::rfft2(ones({2, 3})), {2, 3}, std::vector<int>{0, 1}).dtype(), float32);
  CHECK_EQ(fft::stft(x, 4).shape(), (Shape{3, 9}));
  CHECK_EQ(fft::istft(fft::stft(x, 4)).shape(), (Shape{8}));
  CHECK(array_equal(fft::ifftshift(fft::fftshift(x)), x).item<bool>());
  CHECK_THROWS(std::invalid_argument, fft::fft(x, 0, 0));
}

TEST(special_functions) {
  array x({0.5f, 3.f});
  CHECK(allclose(special::gammainc(array(1.f), x), 1.f - exp(negative(x))).item<bool>());
  CHECK(allclose(special::betainc(array(1.f), array(2.f), array(0.5f)), array(0.75f)).item<bool>());
  CHECK(allclose(special::zeta(array(2.f), array(1.f)), special::zeta(array(2.f))).item<bool>());
  CHECK(allclose(special::polygamma(1, x), grad([](const array& a) { return sum(special::digamma(a)); })(x))
          .item<bool>());
  CHECK_EQ(special::erfc(arange(3)).dtype(), float32);
  CHECK_THROWS(std::invalid_argument, special::lgamma(astype(x, complex64)));
}
