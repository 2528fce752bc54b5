// Matrix products of every type and shape, batched, of operands in every layout, against sums in double.
#include "launching.h"

using namespace launching;

namespace {

template <typename T>
T quiet_nan() {
  float nan = std::numeric_limits<float>::quiet_NaN();
  if constexpr (is_complex<T>)
    return T(nan, 0);
  else
    return T(nan);
}

// batch: axes in front; where shared, b is the same for all of them.
template <typename T>
std::vector<T> check_product(Sizes batch, int64_t m, int64_t k, int64_t n, Layout of_a, Layout of_b,
    bool shared = false, bool zero_terms = false) {
  const int64_t count = View::size_of(batch);
  auto with = [&](int64_t rows, int64_t columns) {
    Sizes sizes = batch;
    sizes.push_back(rows), sizes.push_back(columns);
    return sizes;
  };
  auto a = random_numbers<T>(count * m * k, 91), b = random_numbers<T>((shared ? 1 : count) * k * n, 92);
  if constexpr (std::is_same_v<T, bool>) {
    for (size_t i = 0; i < a.size(); ++i) a[i] = i % 7 == 3;
  }
  if constexpr (is_inexact<T>) {
    if (zero_terms) {
      for (size_t i = 0; i < a.size(); i += 3) a[i] = T(0);
      a[1 % a.size()] = quiet_nan<T>();
      b[0] = quiet_nan<T>();
      b[b.size() / 2] = T(std::numeric_limits<float>::infinity());
    }
  }
  Array<T> left(with(m, k), a, of_a), right(shared ? Sizes{k, n} : with(k, n), b, of_b), out(with(m, n));
  View view = right.view;
  if (shared) {
    view.sizes = with(k, n);
    view.strides = Strides(batch.size() + 2, 0);
    view.strides[batch.size()] = right.view.strides[0];
    view.strides[batch.size() + 1] = right.view.strides[1];
  }
  Encoder encoder;
  kernel::Product product{left.view, view, out.view, zero_terms};
  CHECK(gpu::supports(product));
  gpu::launch(encoder, product);
  auto got = out.read();
  if constexpr (is_inexact<T> && sizeof(T) == 2) { // in float32 the same, before they are rounded
    if (!zero_terms) {
      Array<float> sums(with(m, n));
      kernel::Product wide{left.view, view, sums.view, false};
      CHECK(gpu::supports(wide));
      gpu::launch(encoder, wide);
      std::vector<T> rounded;
      for (float x : sums.read()) rounded.push_back(T(x));
      CHECK_SAME("rounded sums", rounded, got);
    }
  }
  int shown = 0;
  for (int64_t p = 0; p < count; ++p) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n && shown < 3; ++j) {
        auto x = [&](int64_t l) { return a[static_cast<size_t>((p * m + i) * k + l)]; };
        auto y = [&](int64_t l) { return b[static_cast<size_t>(((shared ? 0 : p) * k + l) * n + j)]; };
        T result = got[static_cast<size_t>((p * m + i) * n + j)];
        bool good;
        if constexpr (is_inexact<T>) {
          using D = decltype(wide(T()));
          D sum = 0;
          double scale = 0;
          for (int64_t l = 0; l < k; ++l) {
            D u = wide(x(l)), v = wide(y(l));
            if (zero_terms && (u == D(0) || v == D(0))) continue;
            if constexpr (is_complex<T>) {
              sum += D(u.real() * v.real() - u.imag() * v.imag(), u.real() * v.imag() + u.imag() * v.real());
            } else {
              sum += u * v;
            }
            scale += std::abs(u) * std::abs(v);
          }
          good = close(result, sum, scale, is_complex<T> ? 8 : 4);
          if (!good && std::isinf(std::abs(sum))) good = std::isinf(std::abs(wide(result)));
          if (!good) {
            check::fail(__FILE__, __LINE__,
                std::to_string(i) + ", " + std::to_string(j) + ": " + text(wide(result)) + " is not " + text(sum));
          }
        } else {
          T sum = 0;
          for (int64_t l = 0; l < k; ++l) {
            if constexpr (std::is_same_v<T, bool>)
              sum = sum || (x(l) && y(l));
            else
              sum = static_cast<T>(uint64_t(sum) + uint64_t(x(l)) * uint64_t(y(l)));
          }
          good = result == sum;
          CHECK(good);
        }
        shown += !good;
      }
    }
  }
  return got;
}

} // namespace

TEST(products_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    check_product<T>({}, 5, 20, 7, Layout::rows, Layout::rows);
    check_product<T>({2}, 18, 9, 33, Layout::rows, Layout::columns);
  });
}

TEST(products_of_every_shape) {
  for (auto [m, k, n] : {std::array<int64_t, 3>{1, 1, 1}, {8, 8, 8}, {32, 16, 32}, {33, 17, 31}, {64, 64, 64},
           {65, 40, 70}, {100, 33, 50}, {3, 100, 2}, {2, 1, 90}}) {
    check_product<float>({}, m, k, n, Layout::rows, Layout::rows);
    check_product<int32_t>({}, m, k, n, Layout::rows, Layout::rows);
  }
  check_product<float16_t>({}, 60, 35, 66, Layout::rows, Layout::rows);
  check_product<bfloat16_t>({}, 60, 35, 66, Layout::rows, Layout::rows);
}

TEST(products_in_every_layout_have_the_same_bits) {
  for (auto [m, k, n] : {std::array<int64_t, 3>{20, 37, 12}, {50, 20, 60}, {70, 90, 1}, {1, 90, 70}}) {
    std::vector<float> first;
    for (Layout a : layouts) {
      for (Layout b : layouts) {
        auto got = check_product<float>({2}, m, k, n, a, b);
        if (first.empty()) first = got;
        CHECK_SAME("bits", got, first);
      }
    }
  }
}

TEST(products_of_batches) {
  check_product<float>({2, 3}, 9, 10, 11, Layout::rows, Layout::rows);
  check_product<float>({2, 3}, 9, 10, 11, Layout::columns, Layout::spaced);
  check_product<float>({2, 3}, 9, 10, 11, Layout::rows, Layout::columns, true);
  check_product<int16_t>({3}, 4, 5, 6, Layout::backwards, Layout::rows, true);
  check_product<float>({3}, 1, 40, 6, Layout::rows, Layout::rows, true);
  check_product<float>({0}, 4, 5, 6, Layout::rows, Layout::rows);
}

TEST(products_with_vectors) {
  each_type([](auto t) {
    using T = decltype(t);
    check_product<T>({}, 40, 50, 1, Layout::rows, Layout::rows);
    check_product<T>({}, 1, 50, 40, Layout::rows, Layout::rows);
  });
  for (Layout layout : layouts) {
    check_product<float>({2}, 70, 33, 1, layout, Layout::rows);
    check_product<float>({2}, 1, 33, 70, Layout::rows, layout);
    check_product<float>({}, 1, 3000, 1, layout, Layout::rows);
    check_product<float>({}, 1, 5, 3, layout, Layout::rows);
  }
}

TEST(no_terms_give_zeros) {
  for (float x : check_product<float>({2}, 4, 0, 5, Layout::rows, Layout::rows)) CHECK_EQ(x, 0.0f);
  for (float x : check_product<float>({2}, 4, 0, 1, Layout::rows, Layout::rows)) CHECK_EQ(x, 0.0f);
  check_product<int32_t>({}, 3, 0, 3, Layout::rows, Layout::rows);
}

TEST(zero_times_anything_is_zero) {
  each_inexact_type([](auto t) {
    using T = decltype(t);
    for (bool zero_terms : {false, true}) {
      check_product<T>({2}, 12, 20, 9, Layout::rows, Layout::columns, false, zero_terms);
      check_product<T>({}, 1, 200, 9, Layout::rows, Layout::rows, false, zero_terms);
      check_product<T>({}, 9, 20, 1, Layout::rows, Layout::rows, false, zero_terms);
    }
  });
}

TEST(what_is_left_to_the_cpu) {
  auto product = [](auto t) {
    using T = decltype(t);
    Array<T> a({2, 2}), out({2, 2});
    return gpu::supports(kernel::Product{a.view, a.view, out.view, false});
  };
  each_type([&](auto t) { CHECK(product(t)); });
  CHECK(!product(double()));
  CHECK(!product(std::complex<double>()));
}

TEST(every_kernel_ran) { check_all_ran({"matmul"}); }
