// Reductions and arg-reductions of every type over every set of axes, in every layout, against plain loops.
#include "launching.h"

using namespace launching;

namespace {

struct Axes {
  std::vector<int64_t> reduced;
  Sizes out;
  // For each element, which result it belongs to.
  std::vector<int64_t> result_of;

  Axes(const Sizes& sizes, std::vector<int64_t> axes) : reduced(std::move(axes)) {
    auto goes = [&](size_t i) {
      return std::find(reduced.begin(), reduced.end(), static_cast<int64_t>(i)) != reduced.end();
    };
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!goes(i)) out.push_back(sizes[i]);
    }
    result_of.resize(static_cast<size_t>(View::size_of(sizes)));
    for (size_t n = 0; n < result_of.size(); ++n) {
      int64_t rest = static_cast<int64_t>(n), stride = 1, at = 0;
      for (size_t i = sizes.size(); i-- > 0; rest /= sizes[i]) {
        if (!goes(i)) {
          at += rest % sizes[i] * stride;
          stride *= sizes[i];
        }
      }
      result_of[n] = at;
    }
  }
};

template <typename T>
void check_sum(bool product, Sizes sizes, std::vector<int64_t> which, Layout layout) {
  Axes axes(sizes, which);
  auto values = random_numbers<T>(View::size_of(sizes), 3);
  if (product) {
    if constexpr (is_inexact<T> && !is_complex<T>) {
      auto noise = random_numbers<float>(View::size_of(sizes), 4);
      for (size_t i = 0; i < values.size(); ++i) values[i] = T(1 + noise[i] / 8);
    } else if constexpr (is_complex<T>) {
      auto noise = random_numbers<float>(View::size_of(sizes), 4);
      for (size_t i = 0; i < values.size(); ++i) values[i] = std::polar(1 + noise[i] / 8, noise[i]);
    }
  }
  Array<T> in(sizes, values, layout), out(axes.out);
  Encoder encoder;
  kernel::Reduce k{product ? Reduction::prod : Reduction::sum, in.view, axes.reduced, out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  const auto count = static_cast<size_t>(View::size_of(axes.out));
  if constexpr (is_inexact<T>) {
    using D = decltype(wide(T()));
    std::vector<D> want(count, D(product ? 1 : 0));
    std::vector<double> scale(count, 0);
    for (size_t i = 0; i < values.size(); ++i) {
      auto r = static_cast<size_t>(axes.result_of[i]);
      want[r] = product ? want[r] * wide(values[i]) : want[r] + wide(values[i]);
      scale[r] += std::abs(wide(values[i]));
    }
    auto got = out.read();
    for (size_t r = 0; r < count; ++r) {
      // each of the factors may round once
      double n = double(values.size()) / double(count);
      bool good = product ? close(got[r], want[r], std::abs(want[r]), n * 2) : close(got[r], want[r], scale[r], 3);
      if (!good) check::fail(__FILE__, __LINE__, "sum " + text(wide(got[r])) + " is not " + text(want[r]));
    }
  } else {
    std::vector<T> want(count, T(product ? 1 : 0));
    for (size_t i = 0; i < values.size(); ++i) {
      auto r = static_cast<size_t>(axes.result_of[i]);
      if constexpr (std::is_same_v<T, bool>)
        want[r] = product ? want[r] && values[i] : want[r] || values[i];
      else
        want[r] =
            static_cast<T>(product ? uint64_t(want[r]) * uint64_t(values[i]) : uint64_t(want[r]) + uint64_t(values[i]));
    }
    CHECK_SAME("sum", out.read(), want);
  }
}

template <typename T>
void check_extremum(bool max, Sizes sizes, std::vector<int64_t> which, Layout layout, bool nans) {
  Axes axes(sizes, which);
  auto values = random_numbers<T>(View::size_of(sizes), 5);
  if (nans) add_nans(values, 6);
  Array<T> in(sizes, values, layout), out(axes.out);
  Encoder encoder;
  gpu::launch(encoder, kernel::Reduce{max ? Reduction::max : Reduction::min, in.view, axes.reduced, out.view});
  std::vector<T> want(static_cast<size_t>(View::size_of(axes.out)));
  std::vector<char> met(want.size());
  for (size_t i = 0; i < values.size(); ++i) {
    auto r = static_cast<size_t>(axes.result_of[i]);
    T best = want[r], x = values[i];
    bool better = max ? less_than(best, x) : less_than(x, best);
    if (!met[r] || (!not_a_number(best) && (better || not_a_number(x)))) want[r] = x;
    met[r] = 1;
  }
  CHECK_SAME(max ? "max" : "min", out.read(), want);
}

template <typename T>
void check_truth(bool all, Sizes sizes, std::vector<int64_t> which, Layout layout) {
  Axes axes(sizes, which);
  auto values = random_numbers<T>(View::size_of(sizes), 7);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 40 == 7 ? T(all ? 0 : 1) : T(all ? 1 : 0);
  if constexpr (is_inexact<T> && !is_complex<T>) values[1] = T(all ? 1.0f : -0.0f);
  Array<T> in(sizes, values, layout);
  Array<bool> out(axes.out);
  Encoder encoder;
  gpu::launch(encoder, kernel::Reduce{all ? Reduction::all : Reduction::any, in.view, axes.reduced, out.view});
  std::vector<bool> want(static_cast<size_t>(View::size_of(axes.out)), all);
  for (size_t i = 0; i < values.size(); ++i) {
    auto r = static_cast<size_t>(axes.result_of[i]);
    bool x = wide(values[i]) != wide(T(0));
    want[r] = all ? want[r] && x : want[r] || x;
  }
  CHECK_SAME(all ? "all" : "any", out.read(), want);
}

template <typename T>
void check_arg(bool max, Sizes sizes, int axis, Layout layout, bool nans) {
  Axes axes(sizes, {axis});
  auto values = random_numbers<T>(View::size_of(sizes), 8, 9); // with ties
  if (nans) add_nans(values, 9);
  Array<T> in(sizes, values, layout);
  Array<uint32_t> out(axes.out);
  Encoder encoder;
  kernel::ArgReduce k{max, in.view, axis, out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  std::vector<uint32_t> want(static_cast<size_t>(View::size_of(axes.out)));
  std::vector<T> best(want.size());
  std::vector<char> met(want.size());
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < sizes.size(); ++i) inner *= sizes[i];
  for (size_t i = 0; i < values.size(); ++i) {
    auto r = static_cast<size_t>(axes.result_of[i]);
    T x = values[i];
    bool better = max ? less_than<T>(best[r], x) : less_than<T>(x, best[r]);
    if (!met[r] || (!not_a_number<T>(best[r]) && (better || not_a_number(x)))) {
      best[r] = x;
      want[r] = static_cast<uint32_t>(static_cast<int64_t>(i) / inner % sizes[static_cast<size_t>(axis)]);
    }
    met[r] = 1;
  }
  CHECK_SAME("arg", out.read(), want);
}

// For each kernel of a pass: by simdgroups, by columns, by threads.
const std::pair<Sizes, int64_t> shapes[] = {{{3, 40}, 1}, {{40, 33}, 0}, {{5, 9}, 1}};

} // namespace

TEST(sums_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    for (bool product : {false, true}) {
      for (auto [sizes, axis] : shapes) check_sum<T>(product, sizes, {axis}, Layout::rows);
      if (is_16_bit<T>) { // passes over what they are carried in
        check_sum<T>(product, {1030}, {0}, Layout::rows);
        check_sum<T>(product, {1030, 32}, {0}, Layout::rows);
      }
    }
    check_sum<T>(false, {5, 7, 40}, {1, 2}, Layout::spaced);
  });
}

TEST(sums_over_every_set_of_axes_in_every_layout) {
  for (Layout layout : layouts) {
    for (unsigned set = 1; set < 8; ++set) {
      std::vector<int64_t> axes;
      for (int64_t i = 0; i < 3; ++i) {
        if (set >> i & 1) axes.push_back(i);
      }
      check_sum<float>(false, {33, 5, 34}, axes, layout);
      check_sum<int32_t>(false, {3, 5, 34}, axes, layout);
    }
  }
}

TEST(long_sums_in_several_passes) {
  check_sum<float>(false, {1, 5000}, {1}, Layout::rows);
  check_sum<float16_t>(false, {2, 3000}, {1}, Layout::backwards);
  check_sum<bfloat16_t>(false, {3000, 40}, {0}, Layout::rows);
  check_sum<uint8_t>(true, {1025}, {0}, Layout::rows);
  check_sum<int64_t>(false, {2049, 33}, {0}, Layout::rows);
  check_sum<std::complex<float>>(false, {1100}, {0}, Layout::rows);
}

TEST(a_sum_has_the_same_bits_in_every_layout) {
  for (Sizes sizes : {Sizes{40, 2100}, Sizes{70, 12}, Sizes{64, 33}}) {
    auto values = random_numbers<float>(View::size_of(sizes), 10);
    std::vector<float> first;
    for (Layout layout : layouts) {
      Array<float> in(sizes, values, layout), out({sizes[0]});
      int64_t axes[] = {1};
      Encoder encoder;
      gpu::launch(encoder, kernel::Reduce{Reduction::sum, in.view, axes, out.view});
      if (first.empty()) first = out.read();
      CHECK_SAME("bits", out.read(), first);
    }
  }
}

TEST(nothing_gives_the_identity) {
  int64_t axes[] = {1};
  Encoder encoder;
  Array<float> in({3, 0}), out({3});
  gpu::launch(encoder, kernel::Reduce{Reduction::sum, in.view, axes, out.view});
  CHECK_SAME("sum", out.read(), (std::vector<float>{0, 0, 0}));
  gpu::launch(encoder, kernel::Reduce{Reduction::prod, in.view, axes, out.view});
  CHECK_SAME("prod", out.read(), (std::vector<float>{1, 1, 1}));
  gpu::launch(encoder, kernel::Reduce{Reduction::max, in.view, axes, out.view});
  CHECK_EQ(out.read()[2], -std::numeric_limits<float>::infinity());
  Array<float> none({0, 3}), nowhere({0});
  gpu::launch(encoder, kernel::Reduce{Reduction::sum, none.view, axes, nowhere.view});
}

TEST(a_sum_of_negative_zeros_stays_negative) {
  int64_t axes[] = {0};
  for (int64_t n : {1, 20, 40, 2000}) {
    Array<float> in({n}, std::vector<float>(static_cast<size_t>(n), -0.0f)), out({});
    Encoder encoder;
    gpu::launch(encoder, kernel::Reduce{Reduction::sum, in.view, axes, out.view});
    CHECK(std::signbit(out.at(0)));
  }
}

TEST(extrema_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    for (bool max : {false, true}) {
      for (bool nans : {false, true}) {
        for (auto [sizes, axis] : shapes) check_extremum<T>(max, sizes, {axis}, Layout::rows, nans);
      }
      if (is_16_bit<T>) {
        check_extremum<T>(max, {1030}, {0}, Layout::rows, true);
        check_extremum<T>(max, {1030, 32}, {0}, Layout::rows, true);
      }
    }
  });
  check_extremum<float>(true, {3, 2500}, {1}, Layout::spaced, true);
  check_extremum<int64_t>(false, {2500, 35}, {0}, Layout::rows, false);
}

TEST(truth_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    for (bool all : {false, true}) {
      for (auto [sizes, axis] : shapes) check_truth<T>(all, sizes, {axis}, Layout::rows);
    }
  });
  for (Layout layout : layouts) check_truth<float>(true, {1200, 33}, {0}, layout);
}

TEST(arg_reductions_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    for (bool max : {false, true}) {
      for (bool nans : {false, true}) {
        check_arg<T>(max, {5, 70}, 1, Layout::rows, nans);
        check_arg<T>(max, {20, 33}, 0, Layout::rows, nans);
      }
    }
  });
}

TEST(arg_reductions_along_every_axis_in_every_layout) {
  for (Layout layout : layouts) {
    for (int axis = 0; axis < 3; ++axis) {
      check_arg<float>(true, {7, 33, 5}, axis, layout, true);
      check_arg<int16_t>(false, {7, 33, 5}, axis, layout, false);
    }
    check_arg<float>(true, {2, 9000}, 1, layout, false);
    check_arg<float>(false, {9, 50}, 0, layout, false);
  }
}

TEST(every_kernel_ran) { check_all_ran({"reduce", "arg_reduce"}); }
