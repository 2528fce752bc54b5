// What the launch functions of structured kinds leave to the CPU, by kind and dtype; and by rank and size.
#include "launching.h"

using namespace launching;

namespace {

View view_of(Dtype dtype, Sizes sizes) {
  Strides strides(sizes.begin(), sizes.end());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  return {nullptr, 0, nullptr, dtype, sizes, strides}; // no memory: supports() reads none
}

// The dtypes for which a kind, made by make(dtype), is not supported.
template <typename Make>
std::string left(Make make) {
  std::string names;
  for (int i = 0; i < dtype_count; ++i) {
    Dtype dtype(static_cast<Dtype::Val>(i));
    if (!gpu::supports(make(dtype))) names.append(names.empty() ? "" : " ").append(name_of(dtype));
  }
  return names;
}

View two(Dtype dtype) { return view_of(dtype, {3, 4}); }

const int64_t both_axes[] = {0, 1}, of_rows[] = {4, 0}, five[] = {5}, one_row[] = {1, 4};
const kernel::Index rows_at{view_of(int32, {5}), 0};
const View places = view_of(uint32, {3, 4});
constexpr const char* wide_ones = "float64 complex128";

} // namespace

TEST(reductions_and_scans_left_to_the_cpu) {
  for (Reduction op :
      {Reduction::sum, Reduction::prod, Reduction::min, Reduction::max, Reduction::all, Reduction::any}) {
    const bool truth = op == Reduction::all || op == Reduction::any;
    auto make = [&](Dtype d) {
      View out = view_of(truth ? bool_ : d, {});
      return kernel::Reduce{op, two(d), both_axes, out};
    };
    CHECK_EQ(left(make), wide_ones);
  }
  for (bool max : {false, true}) {
    auto make = [&](Dtype d) { return kernel::ArgReduce{max, two(d), 1, view_of(uint32, {3})}; };
    CHECK_EQ(left(make), wide_ones);
  }
  for (ScanOp op : {ScanOp::sum, ScanOp::prod, ScanOp::min, ScanOp::max}) {
    auto make = [&](Dtype d) { return kernel::Scan{op, two(d), 1, false, true, two(d)}; };
    std::string sums = "bool float64 complex128"; // nothing asks for sums of bool
    CHECK_EQ(left(make), op == ScanOp::sum ? sums : wide_ones);
  }
  auto recurrence = [&](Dtype d) { return kernel::Recurrence{two(d), two(d), 1, false, two(d)}; };
  CHECK_EQ(left(recurrence),
      "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float64 complex128"); // of floating numbers alone
}

TEST(sorts_left_to_the_cpu) {
  CHECK_EQ(left([](Dtype d) { return kernel::Sort{two(d), 1, two(d)}; }), wide_ones);
  CHECK_EQ(left([](Dtype d) { return kernel::ArgSort{two(d), 1, places}; }), wide_ones);
  CHECK_EQ(left([](Dtype d) { return kernel::ArgPartition{two(d), 1, 2, places}; }), wide_ones);
  CHECK_EQ(left([](Dtype d) { return kernel::SearchSorted{two(d), two(d), of_rows, false, places}; }), wide_ones);
}

TEST(what_only_moves_is_moved_by_its_size) {
  auto gather = [](Dtype d) { return kernel::Gather{two(d), {&rows_at, 1}, five, one_row, view_of(d, {5, 1, 4})}; };
  CHECK_EQ(left(gather), "");
  CHECK_EQ(left([](Dtype d) { return kernel::GatherAlong{two(d), places, 0, 3, two(d)}; }), "");
  for (ScatterMode mode :
      {ScatterMode::set, ScatterMode::add, ScatterMode::multiply, ScatterMode::maximum, ScatterMode::minimum}) {
    auto scatter = [&](Dtype d) {
      return kernel::Scatter{mode, {&rows_at, 1}, five, one_row, view_of(d, {5, 1, 4}), two(d)};
    };
    auto along = [&](Dtype d) { return kernel::ScatterAlong{mode, places, two(d), 0, two(d)}; };
    CHECK_EQ(left(scatter), mode == ScatterMode::set ? "" : wide_ones);
    CHECK_EQ(left(along), mode == ScatterMode::set ? "" : wide_ones);
  }
}

TEST(products_left_to_the_cpu) {
  for (bool zero_terms : {false, true}) {
    auto make = [&](Dtype d) { return kernel::Product{view_of(d, {4, 3}), two(d), view_of(d, {4, 4}), zero_terms}; };
    CHECK_EQ(left(make), wide_ones);
  }
}

TEST(more_axes_than_a_layout_has_are_left) {
  Sizes sizes(11, 2);
  View in = view_of(float32, sizes);
  CHECK(gpu::supports(kernel::Sort{in, 3, in})); // they merge
  std::reverse(in.strides.begin(), in.strides.end());
  CHECK(gpu::supports(kernel::Sort{in, 3, view_of(float32, sizes)})); // ten are left without the axis
  sizes.push_back(2);
  View more = view_of(float32, sizes);
  std::reverse(more.strides.begin(), more.strides.end());
  CHECK(!gpu::supports(kernel::Sort{more, 3, view_of(float32, sizes)}));
  const int64_t axes[] = {0, 1, 2, 3, 4, 5};
  CHECK(gpu::supports(kernel::Reduce{Reduction::sum, more, axes, view_of(float32, Sizes(6, 2))}));
}

TEST(arrays_too_large_to_count_in_32_bits_are_left) {
  const int64_t most = 0xffff0000;
  for (int64_t n : {most, most + 1}) {
    View in = view_of(uint8, Sizes{n});
    const int64_t axes[] = {0};
    const bool fits = n == most;
    CHECK_EQ(gpu::supports(kernel::Reduce{Reduction::max, in, axes, view_of(uint8, Sizes{})}), fits);
    CHECK_EQ(gpu::supports(kernel::ArgReduce{true, in, 0, view_of(uint32, Sizes{})}), fits);
    CHECK_EQ(gpu::supports(kernel::Scan{ScanOp::max, in, 0, false, true, in}), fits);
    CHECK_EQ(gpu::supports(kernel::Sort{in, 0, in}), fits);
    CHECK_EQ(gpu::supports(kernel::GatherAlong{in, view_of(int32, Sizes{n}), 0, n, in}), fits);
    View a = view_of(uint8, Sizes{1, n}), b = view_of(uint8, Sizes{n, 1});
    CHECK_EQ(gpu::supports(kernel::Product{a, b, view_of(uint8, Sizes{1, 1}), false}), fits);
    CHECK_EQ(gpu::supports(kernel::Product{b, view_of(uint8, Sizes{1, 1}), b, false}), fits);
  }
}
