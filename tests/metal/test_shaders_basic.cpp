// Kernels without cooperation: bindings, positions, templates, function constants, and what a library says about itself.
#include <cmath>

#include "dispatch.h"

using namespace shaders;

namespace {
const Library& basic() { return library("basic.metal"); }
} // namespace

TEST(an_elementwise_kernel_with_a_partial_threadgroup) {
  Buffer<float> a(1000), b(1000), out(1000, -1);
  for (int i = 0; i < 1000; ++i) a[i] = float(i), b[i] = 0.25f * float(i);
  call(basic(), "add", {1000}, {256}, {a, b, out});
  for (int i = 0; i < 1000; ++i) CHECK_EQ(out[i], 1.25f * float(i));
}

TEST(a_struct_by_reference_and_two_dimensions) {
  struct alignas(8) Params {
    float factor;
    uint32_t shape[2];
  };
  struct Padded {
    float factor;
    uint32_t pad, x, y;
  };
  Buffer<float> data(35, 3);
  Buffer<Padded> params{{4, 0, 7, 5}};
  call(basic(), "scale_2d", {7, 5}, {4, 2}, {data, params});
  for (int i = 0; i < 35; ++i) CHECK_EQ(data[i], 6.0f);
}

TEST(bindings_without_attributes_are_numbered_in_order) {
  Buffer<int> from{1, 2, 3}, to(3), offset{40};
  call(basic(), "implicit", {3}, {32}, {from, to, offset});
  CHECK_EQ(to[2], 43);
}

TEST(explicit_instantiations_have_host_names) {
  Buffer<float> from{1, 2}, to(4);
  call(basic(), "repeat_float_2", {2}, {2}, {from, to});
  CHECK_EQ(to[1], 1.0f);
  CHECK_EQ(to[2], 2.0f);
  Buffer<uint16_t> halves{0x3c00, 0x4000}, thrice(6);
  call(basic(), "repeat_half_3", {2}, {2}, {halves, thrice});
  CHECK_EQ(thrice[2], 0x3c00);
  CHECK_EQ(thrice[5], 0x4000);
  Buffer<int64_t> longs{1, 1ll << 40}, four(8);
  call(basic(), "repeat_long", {2}, {2}, {longs, four});
  CHECK_EQ(four[7], 1ll << 40);
  auto names = basic().function_names();
  CHECK_EQ(names.front(), "add");
  CHECK(std::find(names.begin(), names.end(), "repeat_bfloat_2") != names.end());
  CHECK(std::find(names.begin(), names.end(), "repeat") == names.end());
  CHECK(basic().function("nothing") == nullptr);
}

TEST(function_constants_and_what_is_computed_from_them) {
  for (bool negate : {false, true}) {
    for (int power : {0, 2}) {
      Buffer<float> data{1, 2, 3, 4}, shift{5, 6, 7, 8};
      call(basic(), "constants", {4}, {4}, {data, shift}, {constant(0, negate), constant(1, power), constant(2, power == 2)});
      float scale[] = {1, 10, 100, 1000};
      for (int i = 0; i < 4; ++i) {
        float x = float(i + 1) * scale[i] * 0.5f;
        float result = (power == 2 ? x * x * x + float(5 + i) : x);
        CHECK_EQ(data[i], negate ? -result : result);
      }
    }
  }
  // One that the text asks about may be missing, and then a buffer that only it needs is not touched.
  Buffer<float> data{1, 2, 3, 4};
  call(basic(), "constants", {4}, {4}, {data}, {constant(0, false), constant(1, 0)});
  CHECK_EQ(data[0], 0.5f);
  FunctionConstant by_name = constant(-1, 0);
  by_name.name = "power";
  call(basic(), "constants", {4}, {4}, {data}, {constant(0, false), by_name});
  CHECK_MESSAGE(std::runtime_error, "kernel constants: function constant power (index 1) is used and was not set",
      basic().function("constants", std::vector{constant(0, false)}));
  CHECK_MESSAGE(std::runtime_error, "has 4 bytes, but 8 were given",
      basic().function("constants", std::vector{constant(0, false), constant(1, int64_t(1))}));
  CHECK(basic().function("add") != nullptr); // uses none
}

TEST(positions_of_every_thread_in_a_grid_with_edges) {
  const uint64_t grid[] = {11, 5, 3}, group[] = {4, 3, 2};
  Buffer<uint32_t> out(11 * 5 * 3 * 16);
  call(basic(), "positions", {11, 5, 3}, {4, 3, 2}, {out});
  auto code = [](uint64_t x, uint64_t y, uint64_t z) { return uint32_t(x + 100 * y + 10000 * z); };
  for (uint64_t z = 0; z < 3; ++z) {
    for (uint64_t y = 0; y < 5; ++y) {
      for (uint64_t x = 0; x < 11; ++x) {
        uint32_t* got = &out[(x + 11 * (y + 5 * z)) * 16];
        uint64_t at[] = {x, y, z}, local[3], where[3], size[3];
        for (int d = 0; d < 3; ++d) {
          local[d] = at[d] % group[d];
          where[d] = at[d] / group[d];
          size[d] = std::min(group[d], grid[d] - where[d] * group[d]);
        }
        uint64_t index = local[0] + size[0] * (local[1] + size[1] * local[2]);
        CHECK_EQ(got[0], code(local[0], local[1], local[2]));
        CHECK_EQ(got[1], code(where[0], where[1], where[2]));
        CHECK_EQ(got[2], code(size[0], size[1], size[2]));
        CHECK_EQ(got[3], index);
        CHECK_EQ(got[4], index % 32);
        CHECK_EQ(got[5], index / 32);
        CHECK_EQ(got[6], index % 4);
        CHECK_EQ(got[7], code(3, 2, 2));
        CHECK_EQ(got[8], 32u);
        CHECK_EQ(got[9], (size[0] * size[1] * size[2] + 31) / 32);
      }
    }
  }
}

TEST(a_kernel_may_limit_its_threadgroups) {
  CHECK_EQ(basic().function("add")->max_total_threads_per_threadgroup(), 1024u);
  CHECK_EQ(basic().function("limited")->max_total_threads_per_threadgroup(), 64u);
  CHECK_EQ(basic().function("limited_by_4")->max_total_threads_per_threadgroup(), 128u);
  Buffer<int> out(128);
  call(basic(), "limited_by_4", {128}, {128}, {out});
  CHECK_EQ(out[127], 4);
  CHECK_MESSAGE(Fault, "kernel limited: a threadgroup of (128, 1, 1) threads; it may have 1 to 64",
      call(basic(), "limited", {128}, {128}, {out}));
}

TEST(nothing_runs_for_an_empty_grid) {
  Buffer<int> out(1, 7);
  call(basic(), "limited", {0}, {32}, {out});
  CHECK_EQ(out[0], 7);
}
