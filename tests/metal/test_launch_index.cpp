// Gathers and scatters of every type and mode, with index operands of every integer type, against plain loops; and what
// is reported of indices out of bounds.
#include "launching.h"
#include "mlx_core/backend/index_error.h"
#include "mlx_core/gpu/index_error.h"

using namespace launching;

namespace {

// The index-th tuple below sizes, in row-major order.
std::vector<int64_t> tuple(int64_t number, const Sizes& sizes) {
  std::vector<int64_t> at(sizes.size());
  for (size_t i = sizes.size(); i-- > 0; number /= sizes[i]) at[i] = number % sizes[i];
  return at;
}
size_t flat(const std::vector<int64_t>& at, const Sizes& sizes) {
  int64_t n = 0;
  for (size_t i = 0; i < sizes.size(); ++i) n = n * sizes[i] + at[i];
  return static_cast<size_t>(n);
}
Sizes both(const Sizes& a, const Sizes& b) {
  Sizes all = a;
  for (int64_t size : b) all.push_back(size);
  return all;
}

template <typename I>
std::vector<I> random_indices(int64_t count, int64_t most, uint32_t seed) { // starts 0..most - 1
  std::mt19937 random(seed);
  std::vector<I> out(static_cast<size_t>(count));
  for (auto&& x : out) x = static_cast<I>(random() % static_cast<uint32_t>(most));
  return out;
}

struct Operands {
  std::deque<Array<int32_t>> arrays;
  std::vector<kernel::Index> indices;
  // Where the slice of each position starts.
  std::vector<std::vector<int64_t>> starts;

  Operands(const Sizes& x, const Sizes& slice, const Sizes& positions, std::vector<int> axes, Layout layout) {
    const int64_t count = View::size_of(positions);
    starts.assign(static_cast<size_t>(count), std::vector<int64_t>(x.size(), 0));
    for (int axis : axes) {
      auto a = static_cast<size_t>(axis);
      auto values = random_indices<int32_t>(count, x[a] - slice[a] + 1, static_cast<uint32_t>(50 + axis));
      for (size_t i = 0; i < values.size(); ++i) starts[i][a] = values[i];
      for (size_t i = 0; i < values.size(); i += 3) values[i] -= static_cast<int32_t>(x[a]); // from the end
      arrays.emplace_back(positions, values, layout);
      indices.push_back({arrays.back().view, axis});
    }
  }
  // f(number in the positions and their slices, number in x)
  template <typename F>
  void each(const Sizes& x, const Sizes& slice, F f) const {
    const int64_t size = View::size_of(slice);
    for (size_t p = 0; p < starts.size(); ++p) {
      for (int64_t s = 0; s < size; ++s) {
        auto at = tuple(s, slice);
        for (size_t i = 0; i < at.size(); ++i) at[i] += starts[p][i];
        f(p * static_cast<size_t>(size) + static_cast<size_t>(s), flat(at, x));
      }
    }
  }
};

template <typename T>
void check_gather(Sizes sizes, std::vector<int> axes, Sizes slice, Sizes positions, Layout layout, Layout of_indices) {
  auto values = random_numbers<T>(View::size_of(sizes), 51);
  Array<T> x(sizes, values, layout), out(both(positions, slice));
  Operands operands(sizes, slice, positions, axes, of_indices);
  kernel::Gather k{x.view, operands.indices, positions, slice, out.view};
  CHECK(gpu::supports(k));
  Encoder encoder;
  gpu::launch(encoder, k);
  std::vector<T> want(out.elements.size());
  operands.each(sizes, slice, [&](size_t to, size_t from) { want[to] = values[from]; });
  CHECK_SAME("gather", out.read(), want);
  CHECK_EQ(gpu::index_error(encoder.errors()), "");
}

// Of numbers of a type in float or in itself.
template <typename T>
struct CarriedIn {
  using type = std::conditional_t<is_16_bit<T>, float, T>;
};
template <typename C>
C combined(ScatterMode mode, C a, C b) {
  if (mode == ScatterMode::set) return b;
  if (mode == ScatterMode::maximum || mode == ScatterMode::minimum) {
    bool better = mode == ScatterMode::maximum ? less_than(a, b) : less_than(b, a);
    return !not_a_number(a) && (better || not_a_number(b)) ? b : a;
  }
  const bool add = mode == ScatterMode::add;
  if constexpr (std::is_same_v<C, bool>)
    return add ? a || b : a && b;
  else if constexpr (std::is_integral_v<C>)
    return static_cast<C>(add ? uint64_t(a) + uint64_t(b) : uint64_t(a) * uint64_t(b));
  else if constexpr (is_complex<C>)
    return add ? a + b : C(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
  else
    return add ? a + b : a * b;
}

// One update after the other, in the order of positions: the bits are the same.
template <typename T, typename Each>
std::vector<T> scattered(ScatterMode mode, const std::vector<T>& into, const std::vector<T>& updates, Each each) {
  using C = typename CarriedIn<T>::type;
  std::vector<C> sums(into.begin(), into.end());
  each([&](size_t from, size_t to) { sums[to] = combined<C>(mode, sums[to], C(updates[from])); });
  std::vector<T> out;
  for (auto x : sums) out.push_back(T(x));
  return out;
}

constexpr ScatterMode modes[] = {
    ScatterMode::set, ScatterMode::add, ScatterMode::multiply, ScatterMode::maximum, ScatterMode::minimum};

template <typename T>
void check_scatter(ScatterMode mode, Sizes sizes, std::vector<int> axes, Sizes slice, Sizes positions, Layout layout) {
  auto into = random_numbers<T>(View::size_of(sizes), 61);
  Sizes all = both(positions, slice);
  auto values = random_numbers<T>(View::size_of(all), 62);
  add_nans(values, 63);
  Array<T> out(sizes, into), updates(all, values, layout);
  Operands operands(sizes, slice, positions, axes, layout);
  kernel::Scatter k{mode, operands.indices, positions, slice, updates.view, out.view};
  CHECK(gpu::supports(k));
  Encoder encoder;
  gpu::launch(encoder, k);
  auto want = scattered(mode, into, values, [&](auto f) { operands.each(sizes, slice, f); });
  CHECK_SAME("scatter", out.read(), want);
}

template <typename T, typename I>
void check_along(Sizes sizes, int axis, int64_t count, Layout layout) {
  auto a = static_cast<size_t>(axis);
  Sizes shape = sizes;
  shape[a] = count;
  auto values = random_numbers<T>(View::size_of(sizes), 71), more = random_numbers<T>(View::size_of(shape), 72);
  auto where = random_indices<I>(View::size_of(shape), sizes[a], 73);
  auto starts = where;
  if constexpr (std::is_signed_v<I>) {
    for (size_t i = 0; i < where.size(); i += 3) where[i] = static_cast<I>(where[i] - sizes[a]);
  }
  Array<T> x(sizes, values, layout), taken(shape), put(sizes, values), updates(shape, more, layout);
  Array<I> index(shape, where, layout);
  Encoder encoder;
  View of_x = x.view;
  of_x.sizes = {}; // not to be read
  kernel::GatherAlong take{of_x, index.view, axis, sizes[a], taken.view};
  CHECK(gpu::supports(take));
  gpu::launch(encoder, take);
  auto each = [&](auto f) {
    for (size_t i = 0; i < starts.size(); ++i) {
      auto at = tuple(static_cast<int64_t>(i), shape);
      at[a] = static_cast<int64_t>(starts[i]);
      f(i, flat(at, sizes));
    }
  };
  std::vector<T> want(starts.size());
  each([&](size_t to, size_t from) { want[to] = values[from]; });
  CHECK_SAME("gather along", taken.read(), want);
  for (ScatterMode mode : {ScatterMode::set, ScatterMode::add}) {
    if (mode == ScatterMode::add && std::is_same_v<T, std::complex<double>>) continue;
    Array<T> into(sizes, values);
    kernel::ScatterAlong k{mode, index.view, updates.view, axis, into.view};
    CHECK(gpu::supports(k));
    gpu::launch(encoder, k);
    CHECK_SAME("scatter along", into.read(), scattered(mode, values, more, each));
  }
  CHECK_EQ(gpu::index_error(encoder.errors()), "");
}

} // namespace

TEST(gathers_of_every_type) {
  each_type([](auto t) {
    using T = decltype(t);
    check_gather<T>({9, 4}, {0}, {1, 4}, {7}, Layout::rows, Layout::rows);
    check_gather<T>({9, 4}, {0, 1}, {1, 1}, {3, 5}, Layout::rows, Layout::rows);
  });
  check_gather<std::complex<double>>({5, 3}, {0}, {1, 3}, {4}, Layout::rows, Layout::rows);
  check_gather<double>({5, 3}, {0, 1}, {1, 2}, {4}, Layout::rows, Layout::rows);
  check_gather<std::complex<double>>({5, 3}, {0, 1}, {1, 2}, {4}, Layout::columns, Layout::rows);
}

TEST(gathers_of_every_shape_in_every_layout) {
  for (Layout layout : layouts) {
    check_gather<float>({6, 5, 4}, {1}, {6, 1, 4}, {2, 3}, layout, Layout::rows);
    check_gather<float>({6, 5, 4}, {0, 2}, {2, 5, 3}, {5}, layout, Layout::columns);
    check_gather<float>({6, 5, 4}, {0, 1, 2}, {1, 1, 1}, {40}, Layout::rows, layout);
    check_gather<float>({6, 5}, {}, {6, 5}, {}, layout, Layout::rows);
    check_gather<float>({6, 5}, {0}, {1, 5}, {0}, layout, Layout::rows);
  }
}

TEST(scatters_of_every_type_and_mode) {
  each_type([](auto t) {
    using T = decltype(t);
    for (ScatterMode mode : modes) check_scatter<T>(mode, {6, 3}, {0}, {1, 3}, {20}, Layout::rows);
  });
  check_scatter<double>(ScatterMode::set, {6, 3}, {0}, {1, 3}, {20}, Layout::rows);
  check_scatter<std::complex<double>>(ScatterMode::set, {6}, {0}, {1}, {9}, Layout::rows);
  kernel::Scatter k{ScatterMode::add, {}, {}, {}, Array<double>({3}).view, Array<double>({3}).view};
  CHECK(!gpu::supports(k));
}

TEST(scatters_of_every_shape_in_every_layout) {
  for (ScatterMode mode : {ScatterMode::set, ScatterMode::add}) {
    for (Layout layout : layouts) {
      check_scatter<float>(mode, {6, 5, 4}, {1}, {6, 1, 4}, {2, 5}, layout);
      check_scatter<float>(mode, {6, 5, 4}, {0, 2}, {2, 5, 3}, {7}, layout); // slices overlap in part
      check_scatter<int32_t>(mode, {6, 5, 4}, {0, 1, 2}, {1, 1, 1}, {300}, layout);
      check_scatter<float16_t>(mode, {6, 5}, {0}, {3, 5}, {}, layout); // one slice
      check_scatter<float>(mode, {6, 5}, {}, {6, 5}, {}, layout);
      check_scatter<float>(mode, {6, 5}, {}, {6, 5}, {2}, layout);
      check_scatter<float>(mode, {6, 5}, {0}, {1, 5}, {0}, layout);
    }
  }
  check_scatter<float>(ScatterMode::add, {4}, {0}, {1}, {2500}, Layout::rows);
  check_scatter<uint8_t>(ScatterMode::set, {700}, {0}, {1}, {2500}, Layout::rows);
}

TEST(along_an_axis_with_indices_of_every_type) {
  each_integer_type([](auto t) { check_along<float, decltype(t)>({5, 6}, 1, 9, Layout::rows); });
  check_along<std::complex<double>, int32_t>({5, 6}, 1, 9, Layout::rows);
  check_along<float, bool>({2, 6}, 0, 5, Layout::rows);
  each_type([](auto t) { check_along<decltype(t), int32_t>({6, 5}, 0, 8, Layout::rows); });
  for (Layout layout : layouts) {
    for (int axis = 0; axis < 3; ++axis) check_along<float, int64_t>({4, 5, 6}, axis, 3, layout);
  }
}

TEST(broadcast_indices_and_scalars) {
  // x[index] with an index of one element for all positions, as a scalar that has no buffer
  auto values = random_numbers<float>(12, 81);
  Array<float> x({4, 3}, values), out({5, 1, 3});
  int32_t two = 2;
  View scalar{nullptr, 0, &two, int32, {5}, {0}};
  kernel::Index index{scalar, 0};
  int64_t positions[] = {5}, slice[] = {1, 3};
  Encoder encoder;
  gpu::launch(encoder, kernel::Gather{x.view, {&index, 1}, positions, slice, out.view});
  for (int64_t i = 0; i < 15; ++i) CHECK_EQ(out.at(i), values[static_cast<size_t>(6 + i % 3)]);
  // updates that are one number
  float one = 1;
  View number{nullptr, 0, &one, float32, {5, 1, 3}, {0, 0, 0}};
  Array<float> into({4, 3}, std::vector<float>(12));
  gpu::launch(encoder, kernel::Scatter{ScatterMode::add, {&index, 1}, positions, slice, number, into.view});
  for (int64_t i = 0; i < 12; ++i) CHECK_EQ(into.at(i), i / 3 == 2 ? 5.0f : 0.0f);
}

TEST(indices_out_of_bounds_are_clamped_and_reported) {
  Array<float> x({4}, {1, 2, 3, 4}), out({3, 1});
  int64_t positions[] = {3}, slice[] = {1};
  for (int32_t bad : {4, -5, 1 << 30}) {
    Encoder encoder;
    Array<int32_t> where({3}, {0, bad, 3});
    kernel::Index index{where.view, 0};
    gpu::launch(encoder, kernel::Gather{x.view, {&index, 1}, positions, slice, out.view});
    CHECK_EQ(out.at(1), bad < 0 ? 1.0f : 4.0f);
    CHECK_EQ(gpu::index_error(encoder.errors()),
        "[gather] index " + std::to_string(bad) + " is out of bounds for axis 0 of length 4" + index_way_out);
  }
  Array<int64_t> far({3}, {0, int64_t{-1} << 40, 0});
  Array<uint64_t> huge({3}, {0, ~uint64_t{0}, 0});
  for (const View& view : {far.view, huge.view}) {
    Encoder encoder;
    kernel::Index index{view, 0};
    Array<float> updates({3, 1}, {5, 6, 7}), into({4}, {0, 0, 0, 0});
    gpu::launch(encoder, kernel::Scatter{ScatterMode::add, {&index, 1}, positions, slice, updates.view, into.view});
    std::string number = view.dtype == uint64 ? "9223372036854775807" : "-1099511627776";
    CHECK_EQ(gpu::index_error(encoder.errors()),
        "[scatter] index " + number + " is out of bounds for axis 0 of length 4" + index_way_out);
    CHECK_EQ(into.at(3), view.dtype == uint64 ? 6.0f : 0.0f);
  }
  { // slices longer than what is left
    Encoder encoder;
    Array<int32_t> where({3}, {0, 3, 2});
    kernel::Index index{where.view, 0};
    int64_t pairs[] = {2};
    Array<float> two({3, 2});
    gpu::launch(encoder, kernel::Gather{x.view, {&index, 1}, positions, pairs, two.view});
    CHECK_EQ(gpu::index_error(encoder.errors()),
        std::string("[gather] index 3 is out of bounds for axis 0 of length 4, from which slices of 2 are taken") +
            index_way_out);
  }
}

TEST(every_index_into_an_empty_axis_is_reported) {
  Array<float> x({0, 2}), out({3, 1, 2}), updates({3, 1, 2}, std::vector<float>(6)), along({3, 2});
  Array<int32_t> where({3}, {0, 0, 0}), wide({3, 2}, std::vector<int32_t>(6));
  kernel::Index index{where.view, 0};
  int64_t positions[] = {3}, slice[] = {1, 2};
  auto error = [](auto k) {
    Encoder encoder;
    gpu::launch(encoder, k);
    return gpu::index_error(encoder.errors());
  };
  CHECK_EQ(error(kernel::Gather{x.view, {&index, 1}, positions, slice, out.view}),
      std::string("[gather] index 0 is out of bounds for axis 0 of length 0") + index_way_out);
  CHECK_EQ(error(kernel::Scatter{ScatterMode::set, {&index, 1}, positions, slice, updates.view, x.view}),
      std::string("[scatter] index 0 is out of bounds for axis 0 of length 0") + index_way_out);
  CHECK_EQ(error(kernel::GatherAlong{x.view, wide.view, 0, 0, along.view}),
      std::string("[take_along_axis] index 0 is out of bounds for axis 0 of length 0") + index_way_out);
  CHECK_EQ(error(kernel::ScatterAlong{ScatterMode::set, wide.view, along.view, 0, x.view}),
      std::string("[put_along_axis] index 0 is out of bounds for axis 0 of length 0") + index_way_out);
}

TEST(every_kernel_ran) { check_all_ran({"gather", "scatter"}); }
