// Lanes together, under several orders of lanes: simdgroups, threadgroup memory, atomics, matrices.
#include <bit>
#include <cmath>

#include "dispatch.h"

using namespace shaders;

namespace {

const Library& lanes() { return library("lanes.metal"); }

void each_seed(auto body) {
  for (uint64_t seed : {0, 1, 2, 3}) {
    set_seed(seed);
    body();
  }
  set_seed(1);
}

uint16_t bfloat_of(float x) { return uint16_t(std::bit_cast<uint32_t>(x) >> 16); } // small integers
uint16_t half_of(float x) {
  return x == 0 ? 0 : uint16_t((std::bit_cast<uint32_t>(x) >> 13) - (112 << 10));
} // not negative

template <typename T>
void matmul(const std::string& name, T (*convert)(float)) {
  const uint32_t m = 16, n = 24, k = 32;
  for (bool transposed : {false, true}) {
    Buffer<T> a(m * k), b(k * n);
    Buffer<float> c(m * n);
    Buffer<uint32_t> ks{k}, ns{n};
    auto left = [](uint32_t i, uint32_t j) { return float((i * 3 + j * 5) % 7); };
    auto right = [](uint32_t i, uint32_t j) { return float((i * 2 + j * 11) % 5); };
    for (uint32_t i = 0; i < m; ++i) {
      for (uint32_t j = 0; j < k; ++j) a[i * k + j] = convert(left(i, j));
    }
    for (uint32_t i = 0; i < k; ++i) {
      for (uint32_t j = 0; j < n; ++j) b[transposed ? j * k + i : i * n + j] = convert(right(i, j));
    }
    call(lanes(), name, {32 * n / 8, m / 8}, {32}, {a, b, c, ks, ns}, {constant(0, transposed)});
    for (uint32_t i = 0; i < m; ++i) {
      for (uint32_t j = 0; j < n; ++j) {
        float sum = 1;
        for (uint32_t l = 0; l < k; ++l) sum += left(i, l) * right(l, j);
        CHECK_EQ(c[i * n + j], sum);
      }
    }
  }
}

} // namespace

TEST(simdgroup_functions) {
  each_seed([] {
    Buffer<int> a(64), out(64 * 24);
    for (int i = 0; i < 64; ++i) a[i] = (i * 13 + 5) % 29;
    call(lanes(), "simd_functions", {64}, {64}, {a, out});
    for (int i = 0; i < 64; ++i) {
      int* x = &a[i / 32 * 32];
      int lane = i % 32, quad = lane / 4 * 4;
      int sum = 0, low = x[0], high = x[0], conj = ~0, disj = 0, exor = 0, before = 0, seven = 0;
      for (int k = 0; k < 32; ++k) {
        sum += x[k], low = std::min(low, x[k]), high = std::max(high, x[k]);
        conj &= x[k] | 64, disj |= x[k], exor ^= x[k], seven |= x[k] == 7;
        if (k < lane) before += x[k];
      }
      int rounds = 0;
      for (int k = 0; k <= lane % 4; ++k) rounds += 8 * (4 - k);
      int expected[] = {sum, x[0] * x[1] * x[2], low, high, conj, disj, exor, before + x[lane], before, x[5],
          x[31 - lane], x[lane ^ 8], x[lane < 2 ? lane : lane - 2], x[lane > 29 ? lane : lane + 2], x[(lane + 3) % 32],
          lane < 4 ? -x[lane + 28] : x[lane - 4], seven * 2 + 1, 0xaaaa,
          x[quad] + x[quad + 1] + x[quad + 2] + x[quad + 3], x[quad + 2], x[lane ^ 1], lane < 10 ? 10 : 2200, rounds,
          x[0] + (lane == 0)};
      for (int k = 0; k < 24; ++k) {
        if (out[24 * i + k] != expected[k])
          check::fail(__FILE__, __LINE__, "function " + std::to_string(k) + " of lane " + std::to_string(lane));
      }
    }
  });
}

TEST(threadgroup_memory_and_barriers) {
  each_seed([] {
    Buffer<float> a(4 * 256), out(4);
    struct Int2 {
      int x, y;
    };
    Buffer<Int2> b(4 * 256), sums(4);
    for (int i = 0; i < 1024; ++i) a[i] = float(i % 17), b[i] = {i % 17, -i};
    call(lanes(), "tree_sum_float", {1024}, {256}, {a, out});
    call(lanes(), "tree_sum_int2", {1024}, {256}, {b, sums});
    for (int g = 0; g < 4; ++g) {
      int x = 0, y = 0;
      for (int i = 256 * g; i < 256 * g + 256; ++i) x += i % 17, y -= i;
      CHECK_EQ(out[g], float(x));
      CHECK_EQ(sums[g].x, x);
      CHECK_EQ(sums[g].y, y);
    }
    Buffer<int> data(256);
    for (int i = 0; i < 256; ++i) data[i] = i;
    call(lanes(), "simd_transpose", {256}, {256}, {data});
    for (int i = 0; i < 256; ++i) {
      int lane = 31 - i % 32;
      CHECK_EQ(data[i], i / 32 * 32 + lane % 8 * 4 + lane / 8);
    }
  });
  CHECK_EQ(lanes().function("tree_sum_int2")->static_threadgroup_bytes(), 8192u);
  CHECK_EQ(lanes().function("simd_functions")->static_threadgroup_bytes(), 0u);
}

TEST(a_softmax_with_memory_by_argument) {
  each_seed([] {
    const uint32_t rows = 3, n = 700;
    Buffer<float> a(rows * n), out(rows * n);
    Buffer<uint32_t> size{n};
    for (uint32_t i = 0; i < rows * n; ++i) a[i] = float(i * 7 % 31) * 0.3f;
    call(lanes(), "softmax", {rows * 128}, {128}, {a, out, size}, {}, {4 * 4});
    for (uint32_t r = 0; r < rows; ++r) {
      double total = 0;
      for (uint32_t i = 0; i < n; ++i) total += std::exp(double(a[r * n + i]) - 9);
      for (uint32_t i = 0; i < n; ++i)
        CHECK(std::abs(out[r * n + i] * total / std::exp(double(a[r * n + i]) - 9) - 1) < 1e-5);
    }
  });
}

TEST(atomics_of_device_and_threadgroup_memory) {
  each_seed([] {
    Buffer<int> counts(4);
    Buffer<float> sum(1);
    Buffer<uint32_t> bits(3), product{1};
    call(lanes(), "atomics", {200}, {64}, {counts, sum, bits, product});
    uint32_t exor = 0, expected = 1;
    for (uint32_t i = 0; i < 200; ++i) exor ^= i, expected *= 2 * i + 1;
    CHECK_EQ(counts[0], 199 * 100);
    CHECK_EQ(counts[1], 199);
    CHECK_EQ(counts[2], -199);
    CHECK_EQ(counts[3], -200);
    CHECK_EQ(sum[0], 100.0f);
    CHECK_EQ(bits[0], ~0u);
    CHECK_EQ(bits[1], exor);
    CHECK_EQ(bits[2], 99u);
    CHECK_EQ(product[0], expected);
  });
}

TEST(simdgroup_matrices) {
  each_seed([] {
    matmul<float>("matmul_float", +[](float x) { return x; });
    matmul<uint16_t>("matmul_half", half_of);
    matmul<uint16_t>("matmul_bfloat", bfloat_of);
    Buffer<float> out(64);
    call(lanes(), "diagonal", {32}, {32}, {out});
    for (int i = 0; i < 64; ++i) CHECK_EQ(out[i % 8 * 8 + i / 8], 2.0f * float(i));
  });
}
