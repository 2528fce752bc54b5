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

TEST(indices_out_of_bounds_have_modes) {
  array x({1.f, 2.f, 4.f}), i({-1, 0, 7});
  CHECK_EQ(sum(take(x, i, 0, OutOfBounds::clip)).item<float>(), 6.f);
  CHECK_EQ(sum(take(x, i, 0, OutOfBounds::wrap)).item<float>(), 7.f);
  CHECK_EQ(sum(take(x, i, 0, OutOfBounds::fill, array(10.f))).item<float>(), 15.f);
  CHECK(isnan(sum(take_along_axis(x, i, 0, OutOfBounds::fill))).item<bool>());
  CHECK_EQ(sum(put_along_axis(x, i, array(0.f), 0, OutOfBounds::fill)).item<float>(), 2.f);
  CHECK_EQ(sum(gather(x, {i}, {0}, {2}, OutOfBounds::clip)).item<float>(), 12.f); // slices from 0, 0 and 1
  CHECK(out_of_bounds("take", "fill") == OutOfBounds::fill);
  CHECK_THROWS(std::invalid_argument, out_of_bounds("take", "drop"));
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

TEST(shapes_that_depend_on_values) {
  array x = reshape(array({3.f, 0.f, 0.f, 4.f, 5.f, 0.f}), {2, 3});
  std::vector<array> found = nonzero(x);
  CHECK_EQ(found.size(), 2u);
  CHECK_EQ(found[0].shape(), (Shape{3}));
  CHECK(array_equal(found[0], array({0, 1, 1})).item<bool>());
  CHECK(array_equal(found[1], array({0, 0, 1})).item<bool>());
  CHECK(array_equal(flatnonzero(x, 4, -1), array({0, 3, 4, -1})).item<bool>());
  CHECK_EQ(argwhere(x).shape(), (Shape{3, 2}));
  CHECK(array_equal(extract(greater(x, array(3.f)), x), array({4.f, 5.f})).item<bool>());
  CHECK_EQ(compress(array({0, 1, 1}), x, 1).shape(), (Shape{2, 2}));
  CHECK_EQ(compress(array({1}), x, {}, 2).shape(), (Shape{2}));
  std::vector<array> all = unique_all(x);
  CHECK(array_equal(all[0], array({0.f, 3.f, 4.f, 5.f})).item<bool>());
  CHECK(array_equal(all[1], array({1, 0, 3, 4})).item<bool>());
  CHECK_EQ(all[2].shape(), (Shape{2, 3}));
  CHECK(array_equal(all[3], array({3, 1, 1, 1})).item<bool>());
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
