// Convolutions of one to three axes, of every type and layout, against sums in double.
#include "launching.h"

using namespace launching;

namespace {

struct Case {
  int64_t batch = 2, groups = 1, channels = 3, outputs = 4; // of a group
  std::vector<int64_t> lengths, taps, stride, low, high, kernel_dilation, input_dilation;
  bool flip = false, zero_terms = false;

  size_t axes() const { return lengths.size(); }
  int64_t out(size_t i) const {
    int64_t dilated = lengths[i] == 0 ? 0 : (lengths[i] - 1) * input_dilation[i] + 1;
    int64_t window = (taps[i] - 1) * kernel_dilation[i] + 1, room = dilated + low[i] + high[i] - window;
    return room < 0 ? 0 : room / stride[i] + 1;
  }
};

Case plain(std::vector<int64_t> lengths, std::vector<int64_t> taps) {
  std::vector<int64_t> ones(lengths.size(), 1), zeros(lengths.size(), 0);
  Case c;
  c.lengths = std::move(lengths);
  c.taps = std::move(taps);
  c.stride = c.kernel_dilation = c.input_dilation = ones;
  c.low = c.high = zeros;
  return c;
}

// Calls f(places) for all places below sizes.
template <typename F>
void each_place(const std::vector<int64_t>& sizes, F f) {
  std::vector<int64_t> at(sizes.size(), 0);
  int64_t count = 1;
  for (int64_t n : sizes) count *= n;
  for (int64_t number = 0; number < count; ++number) {
    f(at);
    for (size_t i = sizes.size(); i-- > 0 && ++at[i] == sizes[i];) at[i] = 0;
  }
}

template <typename T>
std::vector<T> check_convolution(const Case& c, Layout of_a, Layout of_b, bool with_nans = false) {
  const size_t axes = c.axes();
  Sizes a_sizes{c.batch}, b_sizes{c.groups * c.outputs}, out_sizes{c.batch};
  std::vector<int64_t> outs;
  for (size_t i = 0; i < axes; ++i) {
    a_sizes.push_back(c.lengths[i]);
    b_sizes.push_back(c.taps[i]);
    out_sizes.push_back(c.out(i));
    outs.push_back(c.out(i));
  }
  a_sizes.push_back(c.groups * c.channels);
  b_sizes.push_back(c.channels);
  out_sizes.push_back(c.groups * c.outputs);
  auto x = random_numbers<T>(View::size_of(a_sizes), 11), y = random_numbers<T>(View::size_of(b_sizes), 12);
  if (with_nans) {
    add_nans(y, 5);
    for (size_t i = 0; i < x.size(); i += 3) x[i] = T(0);
    y[y.size() / 2] = T(std::numeric_limits<float>::infinity());
  }
  Array<T> a(a_sizes, x, of_a), b(b_sizes, y, of_b), out(out_sizes);
  Encoder encoder;
  kernel::Convolve k{
      a.view, b.view, c.stride, c.low, c.kernel_dilation, c.input_dilation, c.groups, c.flip, c.zero_terms, out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  auto got = out.read();
  int shown = 0;
  size_t number = 0;
  for (int64_t n = 0; n < c.batch; ++n) {
    each_place(outs, [&](const std::vector<int64_t>& o) {
      for (int64_t j = 0; j < c.groups * c.outputs; ++j, ++number) {
        using D = decltype(wide(T()));
        D sum = 0;
        double scale = 0;
        each_place(c.taps, [&](const std::vector<int64_t>& tap) {
          int64_t from = n, weight = j;
          for (size_t i = 0; i < axes; ++i) {
            int64_t at = o[i] * c.stride[i] + tap[i] * c.kernel_dilation[i] - c.low[i];
            if (at < 0 || at % c.input_dilation[i] != 0 || at / c.input_dilation[i] >= c.lengths[i]) return;
            from = from * c.lengths[i] + at / c.input_dilation[i];
            weight = weight * c.taps[i] + (c.flip ? c.taps[i] - 1 - tap[i] : tap[i]);
          }
          for (int64_t l = 0; l < c.channels; ++l) {
            D u = wide(x[static_cast<size_t>(from * c.groups * c.channels + j / c.outputs * c.channels + l)]);
            D v = wide(y[static_cast<size_t>(weight * c.channels + l)]);
            if (c.zero_terms && (u == D(0) || v == D(0))) continue;
            if constexpr (is_complex<T>) {
              sum += D(u.real() * v.real() - u.imag() * v.imag(), u.real() * v.imag() + u.imag() * v.real());
            } else {
              sum += u * v;
            }
            scale += std::abs(u) * std::abs(v);
          }
        });
        T result = got[number];
        bool good = close(result, sum, scale, is_complex<T> ? 8 : 4);
        if (!good && std::isinf(std::abs(sum))) good = std::isinf(std::abs(wide(result)));
        if (!good && shown++ < 3) {
          check::fail(__FILE__, __LINE__, std::to_string(number) + ": " + text(wide(result)) + " is not " + text(sum));
        }
      }
    });
  }
  return got;
}

Case wide_case() { // by tiles, more than one along each side
  Case c = plain({9, 7}, {3, 2});
  c.outputs = 37;
  c.channels = 5;
  return c;
}
Case general_case() {
  Case c = plain({5, 4, 6}, {2, 3, 2});
  c.stride = {2, 1, 3};
  c.low = {1, 2, -1};
  c.high = {0, 1, 3};
  c.kernel_dilation = {2, 1, 3};
  c.input_dilation = {1, 2, 3};
  c.groups = 2;
  return c;
}

} // namespace

TEST(every_type) {
  each_inexact_type([](auto t) {
    using T = decltype(t);
    check_convolution<T>(plain({7}, {3}), Layout::rows, Layout::rows);
    check_convolution<T>(wide_case(), Layout::rows, Layout::rows);
    check_convolution<T>(general_case(), Layout::rows, Layout::rows);
  });
}

TEST(strides_padding_dilation_groups_and_flip) {
  for (bool flip : {false, true}) {
    for (int64_t outputs : {3, 9}) { // element by element, and by tiles
      Case c = general_case();
      c.flip = flip;
      c.outputs = outputs;
      check_convolution<float>(c, Layout::rows, Layout::rows);
      c = plain({12}, {4});
      c.flip = flip;
      c.outputs = outputs;
      c.stride = {3}, c.low = {2}, c.high = {5}, c.kernel_dilation = {2}, c.input_dilation = {3};
      check_convolution<float>(c, Layout::rows, Layout::rows);
      c = plain({6, 6}, {3, 3});
      c.flip = flip;
      c.groups = 4, c.channels = 1, c.outputs = outputs;
      c.low = c.high = {1, 1};
      check_convolution<float>(c, Layout::rows, Layout::rows);
    }
  }
}

TEST(every_layout_has_the_same_bits) {
  for (const Case& c : {wide_case(), general_case()}) {
    std::vector<float> first;
    for (Layout a : layouts) {
      for (Layout b : layouts) {
        auto got = check_convolution<float>(c, a, b);
        if (first.empty()) first = got;
        CHECK_SAME("bits", got, first);
      }
    }
  }
}

TEST(what_is_left_out_adds_nothing) {
  each_inexact_type([](auto t) {
    using T = decltype(t);
    for (bool zero_terms : {false, true}) {
      Case c = wide_case();
      c.zero_terms = zero_terms;
      c.low = c.high = {1, 1};
      c.taps = {2, 2};
      check_convolution<T>(c, Layout::rows, Layout::rows, true);
      c.outputs = 3;
      check_convolution<T>(c, Layout::rows, Layout::columns, true);
    }
  });
}

TEST(nothing_to_add_up_and_nothing_to_do) {
  Case c = plain({4}, {2});
  c.channels = 0;
  for (float x : check_convolution<float>(c, Layout::rows, Layout::rows)) CHECK_EQ(x, 0.0f);
  c.channels = 3;
  c.lengths = {0};
  c.low = {2}, c.high = {1};
  for (float x : check_convolution<float>(c, Layout::rows, Layout::rows)) CHECK_EQ(x, 0.0f);
  c.batch = 0;
  CHECK_EQ(check_convolution<float>(c, Layout::rows, Layout::rows).size(), size_t{0});
}

TEST(what_is_left_to_the_cpu) {
  auto supported = [](auto t, int64_t stride) {
    using T = decltype(t);
    Array<T> a({1, 4, 2}), b({3, 2, 2}), out({1, 3, 3});
    std::vector<int64_t> steps{stride}, low{0}, one{1};
    return gpu::supports(kernel::Convolve{a.view, b.view, steps, low, one, one, 1, false, false, out.view});
  };
  each_inexact_type([&](auto t) { CHECK(supported(t, 1)); });
  each_integer_type([&](auto t) { CHECK(!supported(t, 1)); });
  CHECK(!supported(double(), 1));
  CHECK(!supported(std::complex<double>(), 1));
  CHECK(!supported(float(), int64_t{1} << 40));
}

TEST(every_kernel_ran) { check_all_ran({"convolve"}); }
