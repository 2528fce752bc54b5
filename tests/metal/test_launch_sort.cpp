// Sorts, orders, partitions and searches of every type, of rows of any length, against std::stable_sort.
#include <algorithm>
#include <numeric>

#include "launching.h"

using namespace launching;

namespace {

template <typename F>
void each_row(const Sizes& sizes, int axis, F f) {
  int64_t inner = 1, length = sizes[static_cast<size_t>(axis)];
  for (size_t i = static_cast<size_t>(axis) + 1; i < sizes.size(); ++i) inner *= sizes[i];
  for (int64_t r = 0, rows = View::size_of(sizes) / std::max<int64_t>(length, 1); r < rows; ++r) {
    std::vector<size_t> row;
    for (int64_t j = 0; j < length; ++j) {
      row.push_back(static_cast<size_t>((r / inner * length + j) * inner + r % inner));
    }
    f(row);
  }
}

template <typename T>
std::vector<T> to_sort(int64_t count, uint32_t seed, bool few) {
  auto values = random_numbers<T>(count, seed, few ? 5 : 0);
  add_nans(values, seed + 1);
  if constexpr (is_inexact<T> && !is_complex<T>) {
    for (size_t i = 0; i + 1 < values.size(); i += 6) values[i] = T(i % 4 ? 0.0f : -0.0f);
    if (values.size() > 3) values[3] = T(-std::numeric_limits<float>::infinity());
  }
  return values;
}

template <typename T>
void check_sort(Sizes sizes, int axis, Layout layout, bool few, bool in_place = false) {
  auto values = to_sort<T>(View::size_of(sizes), 21, few);
  Array<T> in(sizes, values, layout), out(sizes);
  Array<uint32_t> order(sizes);
  Encoder encoder;
  kernel::ArgSort arg{in.view, axis, order.view};
  CHECK(gpu::supports(arg));
  gpu::launch(encoder, arg);
  kernel::Sort k{in.view, axis, in_place ? in.view : out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  std::vector<T> want(values.size());
  std::vector<uint32_t> wanted_order(values.size());
  each_row(sizes, axis, [&](const std::vector<size_t>& row) {
    std::vector<uint32_t> numbers(row.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    std::stable_sort(numbers.begin(), numbers.end(),
        [&](uint32_t a, uint32_t b) { return comes_before<T>(values[row[a]], values[row[b]]); });
    for (size_t j = 0; j < row.size(); ++j) {
      wanted_order[row[j]] = numbers[j];
      want[row[j]] = values[row[numbers[j]]];
    }
  });
  CHECK_SAME("argsort", order.read(), wanted_order);
  CHECK_SAME("sort", in_place ? in.read() : out.read(), want);
}

template <typename T>
void check_search(Sizes rows, int64_t length, int64_t per_row, bool right, Layout layout) {
  const int64_t count = View::size_of(rows);
  auto sorted = to_sort<T>(count * length, 31, true), values = to_sort<T>(count * per_row, 32, true);
  for (int64_t r = 0; r < count; ++r) {
    std::stable_sort(sorted.begin() + r * length, sorted.begin() + (r + 1) * length, comes_before<T>);
  }
  Sizes in = rows, asked = rows;
  in.push_back(length);
  asked.push_back(per_row);
  Array<T> haystack(in, sorted, layout), needles(asked, values, layout);
  Array<uint32_t> out(asked);
  Strides row_strides(haystack.view.strides.begin(), haystack.view.strides.end() - 1);
  row_strides.push_back(0);
  kernel::SearchSorted k{haystack.view, needles.view, row_strides, right, out.view};
  CHECK(gpu::supports(k));
  Encoder encoder;
  gpu::launch(encoder, k);
  std::vector<uint32_t> want;
  for (int64_t r = 0; r < count; ++r) {
    auto from = sorted.begin() + r * length, to = from + length;
    for (int64_t i = 0; i < per_row; ++i) {
      T x = values[static_cast<size_t>(r * per_row + i)];
      auto at = right ? std::upper_bound(from, to, x, comes_before<T>) : std::lower_bound(from, to, x, comes_before<T>);
      want.push_back(static_cast<uint32_t>(at - from));
    }
  }
  CHECK_SAME("search", out.read(), want);
}

} // namespace

TEST(sorts_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    check_sort<T>({3, 37}, 1, Layout::rows, false);
    check_sort<T>({37, 3}, 0, Layout::rows, true);
  });
}

TEST(sorts_of_every_length_up_to_a_tile) {
  for (int64_t n : {0, 1, 2, 3, 4, 5, 8, 31, 32, 33, 127, 128, 129, 255, 257, 513, 1000, 1023, 1024}) {
    check_sort<int32_t>({n}, 0, Layout::rows, true);
    check_sort<float16_t>({2, n}, 1, Layout::rows, false);
  }
}

TEST(sorts_of_many_tiles) {
  for (int64_t n : {1025, 2048, 2500, 4097}) {
    check_sort<float>({n}, 0, Layout::rows, false);
    check_sort<uint8_t>({2, n}, 1, Layout::spaced, true);
  }
  check_sort<std::complex<float>>({2100}, 0, Layout::rows, true);
  check_sort<int64_t>({2100, 2}, 0, Layout::backwards, false);
  check_sort<int16_t>({9000}, 0, Layout::rows, true);
}

TEST(sorts_along_every_axis_in_every_layout) {
  for (Layout layout : layouts) {
    for (int axis = 0; axis < 3; ++axis) check_sort<float>({4, 33, 5}, axis, layout, true);
  }
}

TEST(a_sort_may_write_where_it_reads) {
  check_sort<int32_t>({3, 200}, 1, Layout::rows, false, true);
  check_sort<int32_t>({2, 3000}, 1, Layout::rows, false, true);
}

TEST(the_smaller_zero_sorts_first_and_keeps_its_sign) {
  Array<float> in({4}, {0.0f, -0.0f, 1.0f, -0.0f}), out({4});
  Array<uint32_t> order({4});
  Encoder encoder;
  gpu::launch(encoder, kernel::Sort{in.view, 0, out.view});
  CHECK(std::signbit(out.at(0)) && std::signbit(out.at(1)) && !std::signbit(out.at(2)));
  gpu::launch(encoder, kernel::ArgSort{in.view, 0, order.view});
  CHECK_SAME("order", order.read(), (std::vector<uint32_t>{0, 1, 3, 2}));
}

TEST(partitions) {
  each_type([](auto t) {
    using T = decltype(t);
    auto values = to_sort<T>(70, 41, true);
    Array<T> in({70}, values);
    Array<uint32_t> out({70});
    Encoder encoder;
    kernel::ArgPartition k{in.view, 0, 30, 0, out.view};
    CHECK(gpu::supports(k));
    gpu::launch(encoder, k);
    auto order = out.read();
    auto value = [&](size_t i) { return values[order[i]]; };
    for (size_t i = 0; i < 70; ++i) {
      if (i < 30) CHECK(!comes_before<T>(value(30), value(i)));
      if (i > 30) CHECK(!comes_before<T>(value(i), value(30)));
    }
    std::sort(order.begin(), order.end());
    for (uint32_t i = 0; i < 70; ++i) CHECK_EQ(order[i], i);
  });
}

TEST(searches) {
  each_type([](auto t) {
    using T = decltype(t);
    for (bool right : {false, true}) check_search<T>({2}, 33, 10, right, Layout::rows);
  });
  for (Layout layout : layouts) check_search<float>({2, 3}, 20, 7, false, layout);
  check_search<float>({2}, 0, 3, true, Layout::rows);
  check_search<float>({2}, 1, 3, true, Layout::rows);
}

TEST(every_kernel_ran) { check_all_ran({"sort"}); }
