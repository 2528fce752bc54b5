// What the launch functions of structured kinds leave to the CPU by rank and size.
// kernels/test_metal_left_to_the_cpu.cpp has what they leave by kind and dtype.
#include "launching.h"

using namespace launching;

namespace {

View view_of(Dtype dtype, Sizes sizes) {
  Strides strides(sizes.begin(), sizes.end());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  return {nullptr, 0, nullptr, dtype, sizes, strides}; // no memory: supports() reads none
}

} // namespace

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
