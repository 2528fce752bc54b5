// Products of bfloat16 matrices by tiles, on tiles made of plain loops, and on the processor's where it has them:
// against sums in double precision, over shapes that fill no tile, orders in memory, batches and numbers of threads.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "mlx_core/cpu/amx.h"
#include "mlx_core/cpu/tile_gemm.h"

using namespace mlx::core;

namespace {

thread_local int started = 0;

struct PlainTiles {
  float sum[2][2][16][16];
  const uint16_t *a[2], *b[2];
  void start() { ++started; }
  void stop() { --started; }
  void clear() { std::memset(sum, 0, sizeof sum); }
  template <int i>
  void left(const uint16_t* p) {
    a[i] = p;
  }
  template <int j>
  void right(const uint16_t* p) {
    b[j] = p;
  }
  static float wide(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  template <int R, int C>
  void multiply() {
    for (int i = 0; i < R; ++i) {
      for (int j = 0; j < C; ++j) {
        for (int r = 0; r < 16; ++r) {
          for (int c = 0; c < 16; ++c) {
            for (int p = 0; p < 32; ++p) {
              sum[i][j][r][c] += wide(a[i][r * 32 + p]) * wide(b[j][p / 2 * 32 + 2 * c + p % 2]);
            }
          }
        }
      }
    }
  }
  template <int i, int j>
  void sums(float* to, int64_t row) {
    for (int r = 0; r < 16; ++r) std::memcpy(to + r * row, sum[i][j][r], sizeof sum[i][j][r]);
  }
};

using Gemm = void (*)(int64_t, int64_t, int64_t, int64_t, cpu::Matrix, int64_t, cpu::Matrix, int64_t, void*);

std::vector<bfloat16_t> draw(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<bfloat16_t> out;
  for (int64_t i = 0; i < count; ++i) out.emplace_back(normal(engine));
  return out;
}

struct Layout {
  bool by_rows;
  int64_t slack; // elements between lines
  int64_t size(int64_t rows, int64_t columns) const {
    return by_rows ? rows * (columns + slack) : columns * (rows + slack);
  }
  cpu::Matrix of(const bfloat16_t* data, int64_t rows, int64_t columns) const {
    return by_rows ? cpu::Matrix{data, columns + slack, 1} : cpu::Matrix{data, 1, rows + slack};
  }
};

double at(const cpu::Matrix& m, int64_t i, int64_t j) {
  return static_cast<float>(static_cast<const bfloat16_t*>(m.data)[i * m.row_stride + j * m.column_stride]);
}

void compare(Gemm gemm, int64_t batch, int64_t m, int64_t n, int64_t k, Layout left, Layout right, bool shared) {
  const int64_t a_size = left.size(m, k), b_size = right.size(k, n);
  std::vector<bfloat16_t> a = draw(batch * a_size, 1), b = draw((shared ? 1 : batch) * b_size, 2);
  std::vector<bfloat16_t> out(static_cast<size_t>(batch * m * n), bfloat16_t(-7.0f));
  const int64_t b_stride = shared ? 0 : b_size;
  gemm(batch, m, n, k, left.of(a.data(), m, k), a_size, right.of(b.data(), k, n), b_stride, out.data());
  int64_t wrong = 0;
  for (int64_t i = 0; i < batch; ++i) {
    cpu::Matrix x = left.of(a.data() + i * a_size, m, k), y = right.of(b.data() + i * b_stride, k, n);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        double sum = 0, sizes = 0;
        for (int64_t p = 0; p < k; ++p) {
          double term = at(x, r, p) * at(y, p, c);
          sum += term, sizes += std::abs(term);
        }
        double got = static_cast<float>(out[static_cast<size_t>((i * m + r) * n + c)]);
        // Rounded once to 8 bits, after additions in 24.
        wrong += !(std::abs(got - sum) <= std::abs(sum) * 0x1p-8 + sizes * 0x1p-23 * std::sqrt(static_cast<double>(k)));
      }
    }
  }
  CHECK_EQ(wrong, 0);
}

std::vector<Gemm> all_gemms() {
  std::vector<Gemm> out{&cpu::tile_gemm<PlainTiles>};
  if (cpu::has_amx()) out.push_back(&cpu::amx_gemm);
  return out;
}

TEST(shapes_and_orders) {
  const Layout layouts[] = {{true, 0}, {true, 3}, {false, 0}, {false, 5}};
  for (Gemm gemm : all_gemms()) {
    for (const Layout& left : layouts) {
      for (const Layout& right : layouts) {
        for (int64_t m : {1, 16, 33}) {
          for (int64_t k : {1, 31, 32, 70}) compare(gemm, 1, m, 47, k, left, right, false);
        }
      }
    }
    compare(gemm, 1, 600, 600, 64, {true, 0}, {true, 0}, false);
    compare(gemm, 1, 40, 40, 5000, {true, 0}, {false, 0}, false);
    CHECK_EQ(started, 0);
  }
}

TEST(batches) {
  for (Gemm gemm : all_gemms()) {
    for (bool shared : {false, true}) {
      compare(gemm, 5, 20, 40, 33, {true, 0}, {true, 2}, shared);
      compare(gemm, 3, 150, 40, 33, {false, 0}, {true, 0}, shared);
    }
  }
}

TEST(bits_depend_on_nothing_but_the_numbers) {
  const int64_t m = 190, n = 70, k = 2100;
  std::vector<bfloat16_t> a = draw(m * k, 3), b = draw(k * n, 4);
  for (Gemm gemm : all_gemms()) {
    auto product = [&](int threads, int64_t rows) {
      int before = cpu::thread_count();
      cpu::set_thread_count(threads);
      std::vector<bfloat16_t> out(static_cast<size_t>(rows * n));
      gemm(1, rows, n, k, {a.data(), k, 1}, 0, {b.data(), n, 1}, 0, out.data());
      cpu::set_thread_count(before);
      return out;
    };
    std::vector<bfloat16_t> all = product(1, m), three = product(3, m), some = product(2, 37);
    auto same = [](auto& x, auto& y, size_t count) { return std::memcmp(x.data(), y.data(), count * 2) == 0; };
    CHECK(same(all, three, all.size()));
    CHECK(same(all, some, some.size()));
  }
}

TEST(infinities_and_nan) {
  for (Gemm gemm : all_gemms()) {
    std::vector<bfloat16_t> a(32 * 32, bfloat16_t(1.0f)), b(32 * 32, bfloat16_t(2.0f)), out(32 * 32);
    a[0] = bfloat16_t(INFINITY), a[32] = bfloat16_t(NAN), a[64] = bfloat16_t(INFINITY), a[65] = bfloat16_t(-INFINITY);
    gemm(1, 32, 32, 32, {a.data(), 32, 1}, 0, {b.data(), 32, 1}, 0, out.data());
    auto value = [&](size_t i) { return static_cast<float>(out[i]); };
    CHECK_EQ(value(5), INFINITY);
    CHECK(std::isnan(value(32)) && std::isnan(value(64)));
    CHECK_EQ(value(96), 64.0f);
  }
}

} // namespace
