// Scans and recurrences of every type along every axis, forwards and back, inclusive or not, against plain loops.
#include "launching.h"

using namespace launching;

namespace {

// f(the numbers of a lane's elements in order)
template <typename F>
void each_lane(const Sizes& sizes, int axis, bool reverse, F f) {
  int64_t inner = 1, length = sizes[static_cast<size_t>(axis)];
  for (size_t i = static_cast<size_t>(axis) + 1; i < sizes.size(); ++i) inner *= sizes[i];
  int64_t outer = View::size_of(sizes) / std::max<int64_t>(1, inner * length);
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      std::vector<size_t> lane;
      for (int64_t j = 0; j < length; ++j) {
        lane.push_back(static_cast<size_t>((o * length + (reverse ? length - 1 - j : j)) * inner + i));
      }
      f(lane);
    }
  }
}

template <typename T>
T start(ScanOp op) {
  if (op == ScanOp::sum) return T(0);
  if (op == ScanOp::prod) return T(1);
  const bool max = op == ScanOp::max;
  if constexpr (is_complex<T>) {
    float part = start<float>(op);
    return T(part, part);
  } else if constexpr (is_inexact<T>) {
    return T(max ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity());
  } else {
    return max ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max();
  }
}

template <typename T>
void check_scan(ScanOp op, Sizes sizes, int axis, bool reverse, bool inclusive, Layout layout, bool in_place = false) {
  auto values = random_numbers<T>(View::size_of(sizes), 3);
  if (op == ScanOp::prod && is_inexact<T>) {
    auto noise = random_numbers<float>(View::size_of(sizes), 4);
    for (size_t i = 0; i < values.size(); ++i) values[i] = number<T>(1 + noise[i] / 16);
  }
  if (op == ScanOp::max || op == ScanOp::min) add_nans(values, 4);
  Array<T> in(sizes, values, layout), out(sizes);
  Encoder encoder;
  kernel::Scan k{op, in.view, axis, reverse, inclusive, in_place ? in.view : out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  std::vector<T> got = in_place ? in.read() : out.read(), want(values.size());
  bool good = true;
  each_lane(sizes, axis, reverse, [&](const std::vector<size_t>& lane) {
    if constexpr (is_inexact<T>) {
      if (op == ScanOp::sum || op == ScanOp::prod) {
        auto total = wide(start<T>(op));
        double scale = 0, n = 0;
        for (size_t i : lane) {
          auto before = total;
          double scale_before = scale;
          total = op == ScanOp::sum ? total + wide(values[i]) : total * wide(values[i]);
          scale += std::abs(wide(values[i]));
          n += 1;
          auto expected = inclusive ? total : before;
          double s = op == ScanOp::sum ? (inclusive ? scale : scale_before) : std::abs(expected);
          good = good && close(got[i], expected, s, op == ScanOp::sum ? 6 : 2 * n);
        }
        return;
      }
    }
    T total = start<T>(op);
    for (size_t i : lane) {
      T x = values[i], before = total;
      switch (op) {
        case ScanOp::sum:
          if constexpr (std::is_integral_v<T>) total = static_cast<T>(uint64_t(total) + uint64_t(x));
          break;
        case ScanOp::prod:
          if constexpr (std::is_integral_v<T>) total = static_cast<T>(uint64_t(total) * uint64_t(x));
          break;
        default: {
          bool better = op == ScanOp::max ? less_than(total, x) : less_than(x, total);
          total = !not_a_number(total) && (better || not_a_number(x)) ? x : total;
        }
      }
      want[i] = inclusive ? total : before;
    }
  });
  if (!(is_inexact<T> && (op == ScanOp::sum || op == ScanOp::prod))) CHECK_SAME("scan", got, want);
  CHECK(good);
}

template <typename T>
void check_recurrence(Sizes sizes, int axis, bool reverse, Layout layout) {
  auto a = random_numbers<T>(View::size_of(sizes), 5), b = random_numbers<T>(View::size_of(sizes), 6);
  for (size_t i = 0; i < a.size(); i += 7) b[i] = number<T>(0);
  if constexpr (!is_complex<T>)
    a[0] = T(std::numeric_limits<float>::infinity()); // of what is 0 before it
  else
    a[0] = T(0.5f, 0.5f);
  if (!reverse && a.size() > 1) b[0] = number<T>(0.25);
  Array<T> left(sizes, a, layout), right(sizes, b), out(sizes);
  Encoder encoder;
  kernel::Recurrence k{left.view, right.view, axis, reverse, out.view};
  CHECK(gpu::supports(k));
  gpu::launch(encoder, k);
  auto got = out.read();
  each_lane(sizes, axis, reverse, [&](const std::vector<size_t>& lane) {
    using D = decltype(wide(T()));
    D y = 0;
    double scale = 0;
    for (size_t i : lane) {
      y = (wide(a[i]) == D(0) || y == D(0) ? D(0) : wide(a[i]) * y) + wide(b[i]);
      scale = std::max(std::abs(y), scale) + std::abs(wide(b[i]));
      if (is_nan(y) || std::isinf(std::abs(y))) {
        CHECK(std::isinf(std::abs(wide(got[i]))) || not_a_number(got[i]));
      } else {
        CHECK(close(got[i], y, scale, 16));
      }
    }
  });
}

} // namespace

TEST(scans_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    for (ScanOp op : {ScanOp::sum, ScanOp::prod, ScanOp::max, ScanOp::min}) {
      if (std::is_same_v<T, bool> && op == ScanOp::sum) continue;
      check_scan<T>(op, {3, 40}, 1, false, true, Layout::rows);
      check_scan<T>(op, {3, 70}, 1, true, false, Layout::rows);
      check_scan<T>(op, {20, 3}, 0, false, false, Layout::rows);
      check_scan<T>(op, {1100}, 0, true, true, Layout::rows); // in blocks
    }
  });
}

TEST(long_scans_in_blocks) {
  for (bool reverse : {false, true}) {
    for (bool inclusive : {false, true}) {
      check_scan<float>(ScanOp::sum, {2, 2500}, 1, reverse, inclusive, Layout::rows);
      check_scan<int32_t>(ScanOp::sum, {2100, 2}, 0, reverse, inclusive, Layout::spaced);
      check_scan<uint8_t>(ScanOp::prod, {1025}, 0, reverse, inclusive, Layout::rows);
      check_scan<float16_t>(ScanOp::sum, {1100}, 0, reverse, inclusive, Layout::backwards);
    }
  }
  check_scan<std::complex<float>>(ScanOp::sum, {1024}, 0, false, true, Layout::rows);
  check_scan<int64_t>(ScanOp::max, {1025}, 0, false, false, Layout::rows);
  check_scan<float>(ScanOp::prod, {2050}, 0, false, true, Layout::rows);
}

TEST(scans_along_every_axis_in_every_layout) {
  for (Layout layout : layouts) {
    for (int axis = 0; axis < 3; ++axis) {
      for (bool reverse : {false, true}) {
        check_scan<float>(ScanOp::sum, {6, 35, 8}, axis, reverse, true, layout);
        check_scan<int16_t>(ScanOp::max, {6, 35, 8}, axis, reverse, false, layout);
      }
    }
  }
  for (Layout layout : layouts) check_scan<int32_t>(ScanOp::sum, {300, 50}, 0, false, true, layout);
  check_scan<int32_t>(ScanOp::sum, {50, 300}, 0, true, true, Layout::rows);
}

TEST(an_inclusive_scan_may_write_where_it_reads) {
  check_scan<float>(ScanOp::sum, {2, 2100}, 1, false, true, Layout::rows, true);
  check_scan<int32_t>(ScanOp::sum, {70, 300}, 0, true, true, Layout::rows, true);
  check_scan<float>(ScanOp::prod, {3, 40}, 1, false, true, Layout::rows, true);
}

TEST(a_lane_has_the_same_bits_whichever_kernel_scans_it) {
  const int64_t n = 2100, lanes = 300;
  auto values = random_numbers<float>(n, 11);
  std::vector<float> many;
  for (float x : values) many.insert(many.end(), lanes, x);
  Array<float> one({n}, values), out({n}), all({n, lanes}, many), all_out({n, lanes});
  Encoder encoder;
  gpu::launch(encoder, kernel::Scan{ScanOp::sum, one.view, 0, false, true, out.view});
  gpu::launch(encoder, kernel::Scan{ScanOp::sum, all.view, 0, false, true, all_out.view});
  CHECK_EQ(encoder.dispatches, 4);
  for (int64_t i = 0; i < n; ++i) CHECK_EQ(out.at(i), all_out.at(i * lanes + 17));
}

TEST(scans_of_nothing_and_of_one) {
  check_scan<float>(ScanOp::sum, {3, 1}, 1, false, false, Layout::rows);
  check_scan<float>(ScanOp::sum, {0, 5}, 1, false, true, Layout::rows);
  check_scan<float>(ScanOp::max, {5, 0}, 1, false, true, Layout::rows);
  kernel::Scan sum{ScanOp::sum, Array<bool>({3}).view, 0, false, true, {}};
  CHECK(!gpu::supports(sum));
}

TEST(recurrences) {
  each_inexact_type([](auto t) {
    using T = decltype(t);
    check_recurrence<T>({3, 40}, 1, false, Layout::rows);
    check_recurrence<T>({40, 3}, 0, true, Layout::rows);
  });
  for (Layout layout : layouts) check_recurrence<float>({4, 30, 3}, 1, false, layout);
}

TEST(every_kernel_ran) { check_all_ran({"scan"}); }
