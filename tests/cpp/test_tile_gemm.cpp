// Products of bfloat16 and float16 matrices by tiles, on tiles made of plain loops, and on the processor's where it has
// them: against sums in double precision, over shapes that fill no tile, orders in memory, batches and numbers of
// threads.
#include <bit>
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
  static void round(const float* from, bfloat16_t* to) {
    for (int i = 0; i < 32; ++i) to[i] = bfloat16_t(from[i]);
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

using Numbers = std::vector<uint16_t>; // bits of bfloat16 or float16

struct Gemm {
  Dtype dtype;
  void (*run)(Dtype, int64_t, int64_t, int64_t, int64_t, cpu::Matrix, int64_t, cpu::Matrix, int64_t, void*);

  void operator()(int64_t batch, int64_t m, int64_t n, int64_t k, cpu::Matrix a, int64_t a_stride, cpu::Matrix b,
      int64_t b_stride, void* out) const {
    run(dtype, batch, m, n, k, a, a_stride, b, b_stride, out);
  }
  uint16_t bits(float x) const {
    return dtype == bfloat16 ? std::bit_cast<uint16_t>(bfloat16_t(x)) : std::bit_cast<uint16_t>(float16_t(x));
  }
  float value(uint16_t x) const {
    return dtype == bfloat16 ? static_cast<float>(std::bit_cast<bfloat16_t>(x))
                             : static_cast<float>(std::bit_cast<float16_t>(x));
  }
  Numbers draw(int64_t count, unsigned seed) const {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    Numbers out;
    for (int64_t i = 0; i < count; ++i) out.push_back(bits(normal(engine)));
    return out;
  }
};

struct Layout {
  bool by_rows;
  int64_t slack; // elements between lines
  int64_t size(int64_t rows, int64_t columns) const {
    return by_rows ? rows * (columns + slack) : columns * (rows + slack);
  }
  cpu::Matrix of(const uint16_t* data, int64_t rows, int64_t columns) const {
    return by_rows ? cpu::Matrix{data, columns + slack, 1} : cpu::Matrix{data, 1, rows + slack};
  }
};

void compare(const Gemm& gemm, int64_t batch, int64_t m, int64_t n, int64_t k, Layout left, Layout right, bool shared) {
  auto at = [&](const cpu::Matrix& x, int64_t i, int64_t j) -> double {
    return gemm.value(static_cast<const uint16_t*>(x.data)[i * x.row_stride + j * x.column_stride]);
  };
  const double rounding = gemm.dtype == bfloat16 ? 0x1p-8 : 0x1p-11;
  const int64_t a_size = left.size(m, k), b_size = right.size(k, n);
  const Numbers a = gemm.draw(batch * a_size, 1), b = gemm.draw((shared ? 1 : batch) * b_size, 2);
  Numbers out(static_cast<size_t>(batch * m * n), gemm.bits(-7.0f));
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
        double got = gemm.value(out[static_cast<size_t>((i * m + r) * n + c)]);
        // Rounded once, after additions in 24 bits.
        wrong +=
            !(std::abs(got - sum) <= std::abs(sum) * rounding + sizes * 0x1p-23 * std::sqrt(static_cast<double>(k)));
      }
    }
  }
  CHECK_EQ(wrong, 0);
}

template <class T>
void plain_gemm(Dtype, int64_t batch, int64_t m, int64_t n, int64_t k, cpu::Matrix a, int64_t a_stride, cpu::Matrix b,
    int64_t b_stride, void* out) {
  cpu::tile_gemm<PlainTiles, T>(batch, m, n, k, a, a_stride, b, b_stride, out);
}

std::vector<Gemm> all_gemms() {
  std::vector<Gemm> out{{bfloat16, &plain_gemm<bfloat16_t>}, {float16, &plain_gemm<float16_t>}};
  if (cpu::has_amx()) out.insert(out.end(), {{bfloat16, &cpu::amx_gemm}, {float16, &cpu::amx_gemm}});
  return out;
}

TEST(shapes_and_orders) {
  const Layout layouts[] = {{true, 0}, {true, 3}, {false, 0}, {false, 5}};
  for (const Gemm& gemm : all_gemms()) {
    for (const Layout& left : layouts) {
      for (const Layout& right : layouts) {
        for (int64_t m : {1, 16, 33}) {
          for (int64_t k : {1, 31, 32, 70}) compare(gemm, 1, m, 47, k, left, right, false);
        }
      }
    }
    compare(gemm, 1, 300, 600, 64, {true, 0}, {true, 0}, false);
    compare(gemm, 1, 40, 40, 5000, {true, 0}, {false, 0}, false);
    CHECK_EQ(started, 0);
  }
}

TEST(batches) {
  for (const Gemm& gemm : all_gemms()) {
    for (bool shared : {false, true}) {
      compare(gemm, 5, 20, 40, 33, {true, 0}, {true, 2}, shared);
      compare(gemm, 3, 150, 40, 33, {false, 0}, {true, 0}, shared);
    }
  }
}

TEST(bits_depend_on_nothing_but_the_numbers) {
  const int64_t m = 190, n = 70, k = 2100;
  for (const Gemm& gemm : all_gemms()) {
    const Numbers a = gemm.draw(m * k, 3), b = gemm.draw(k * n, 4);
    auto product = [&](int threads, int64_t rows) {
      int before = cpu::thread_count();
      cpu::set_thread_count(threads);
      Numbers out(static_cast<size_t>(rows * n));
      gemm(1, rows, n, k, {a.data(), k, 1}, 0, {b.data(), n, 1}, 0, out.data());
      cpu::set_thread_count(before);
      return out;
    };
    const Numbers all = product(1, m), three = product(3, m), some = product(2, 37);
    auto same = [](auto& x, auto& y, size_t count) { return std::memcmp(x.data(), y.data(), count * 2) == 0; };
    CHECK(same(all, three, all.size()));
    CHECK(same(all, some, some.size()));
  }
}

TEST(infinities_and_nan) {
  for (const Gemm& gemm : all_gemms()) {
    Numbers a(32 * 32, gemm.bits(1.0f)), b(32 * 32, gemm.bits(2.0f)), out(32 * 32);
    a[0] = gemm.bits(INFINITY), a[32] = gemm.bits(NAN), a[64] = gemm.bits(INFINITY), a[65] = gemm.bits(-INFINITY);
    gemm(1, 32, 32, 32, {a.data(), 32, 1}, 0, {b.data(), 32, 1}, 0, out.data());
    auto value = [&](size_t i) { return gemm.value(out[i]); };
    CHECK_EQ(value(5), INFINITY);
    CHECK(std::isnan(value(32)) && std::isnan(value(64)));
    CHECK_EQ(value(96), 64.0f);
  }
}

// What is not finite changes the elements of its row or column, as it would in float32, and no bit of another.
TEST(numbers_that_are_not_finite_change_what_they_meet) {
  const int64_t m = 70, n = 90, k = 1100;
  for (const Gemm& gemm : all_gemms()) {
    const Numbers a = gemm.draw(2 * m * k, 5), b = gemm.draw(2 * k * n, 6);
    auto product = [&](const Numbers& x, const Numbers& y) {
      Numbers out(static_cast<size_t>(2 * m * n));
      gemm(2, m, n, k, {x.data(), k, 1}, m * k, {y.data(), n, 1}, k * n, out.data());
      return out;
    };
    const Numbers plain = product(a, b);
    for (float odd : {INFINITY, -INFINITY, NAN}) {
      const size_t row = 37, column = 80, first = 3, second = 1099; // in the first product
      Numbers x = a, y = b;
      x[row * k + first] = y[second * n + column] = gemm.bits(odd);
      const Numbers got = product(x, y);
      int64_t wrong = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        const size_t r = i / n, c = i % n;
        const float meets_row = odd * gemm.value(b[first * n + c]);
        const float meets_column = r < m ? odd * gemm.value(a[r * k + second]) : 0;
        const float value = gemm.value(got[i]);
        auto same = [&](float wanted) { return std::isnan(wanted) ? std::isnan(value) : value == wanted; };
        if (r == row && c == column) {
          wrong += !same(meets_row + meets_column);
        } else if (r == row) {
          wrong += !same(meets_row);
        } else if (r < m && c == column) {
          wrong += !same(meets_column);
        } else {
          wrong += got[i] != plain[i];
        }
      }
      CHECK_EQ(wrong, 0);
    }
  }
}

// All numbers of float16, subnormals too, times 1 are themselves: their digits are exact.
TEST(digits_are_exact) {
  for (const Gemm& gemm : all_gemms()) {
    Numbers one(32 * 32, gemm.bits(0.0f));
    for (size_t i = 0; i < 32; ++i) one[i * 33] = gemm.bits(1.0f);
    Numbers all, out;
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const float value = gemm.value(static_cast<uint16_t>(bits));
      const bool flushed = gemm.dtype == bfloat16 && std::abs(value) < 0x1p-126f; // as float32
      all.push_back(std::isfinite(value) && !flushed ? static_cast<uint16_t>(bits) : uint16_t{0});
    }
    out.resize(all.size());
    gemm(1, 2048, 32, 32, {all.data(), 32, 1}, 0, {one.data(), 32, 1}, 0, out.data());
    int wrong = 0;
    for (size_t i = 0; i < all.size(); ++i) wrong += gemm.value(out[i]) != gemm.value(all[i]);
    CHECK_EQ(wrong, 0);
  }
}

} // namespace
