// Products of float32, bfloat16 and float16 matrices by tiles, on tiles made of plain loops, and on the processor's
// where it has them: against sums in double precision, over shapes that fill no tile, orders in memory, batches and
// numbers of threads.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "mlx_core/cpu/tile_gemm.h"
#include "mlx_core/cpu/tile_instructions.h"
#include "plain_tiles.h"

using namespace mlx::core;

namespace {

using Run = void (*)(
    Dtype, int64_t, int64_t, int64_t, int64_t, cpu::Matrix, int64_t, cpu::Matrix, int64_t, void*, Dtype);

template <class T>
struct Gemm {
  static constexpr bool is_float = std::is_same_v<T, float>;
  static constexpr Dtype dtype = is_float ? float32 : std::is_same_v<T, bfloat16_t> ? bfloat16 : float16;
  using Numbers = std::vector<T>;
  Run run;

  void operator()(int64_t batch, int64_t m, int64_t n, int64_t k, cpu::Matrix a, int64_t a_stride, cpu::Matrix b,
      int64_t b_stride, void* out) const {
    run(dtype, batch, m, n, k, a, a_stride, b, b_stride, out, dtype);
    if constexpr (!is_float) { // in float32 the same, before they are rounded
      const auto* results = static_cast<const T*>(out);
      std::vector<float> sums(static_cast<size_t>(batch * m * n), -7.0f);
      run(dtype, batch, m, n, k, a, a_stride, b, b_stride, sums.data(), float32);
      int64_t wrong = 0;
      for (size_t i = 0; i < sums.size(); ++i) {
        const T rounded(sums[i]);
        wrong += std::isnan(sums[i]) ? !std::isnan(static_cast<float>(results[i]))
                                     : std::memcmp(&rounded, results + i, sizeof rounded) != 0;
      }
      CHECK_EQ(wrong, 0);
    }
  }
  static Numbers draw(int64_t count, unsigned seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    Numbers out;
    for (int64_t i = 0; i < count; ++i) out.push_back(T(normal(engine)));
    return out;
  }
};
template <class T>
float value(T x) {
  return static_cast<float>(x);
}
template <class T>
bool same_bits(const T& x, const T& y) {
  return std::memcmp(&x, &y, sizeof x) == 0;
}

struct Layout {
  bool by_rows;
  int64_t slack; // elements between lines
  int64_t size(int64_t rows, int64_t columns) const {
    return by_rows ? rows * (columns + slack) : columns * (rows + slack);
  }
  cpu::Matrix of(const void* data, int64_t rows, int64_t columns) const {
    return by_rows ? cpu::Matrix{data, columns + slack, 1} : cpu::Matrix{data, 1, rows + slack};
  }
};

template <class T>
void compare(
    const Gemm<T>& gemm, int64_t batch, int64_t m, int64_t n, int64_t k, Layout left, Layout right, bool shared) {
  auto at = [&](const cpu::Matrix& x, int64_t i, int64_t j) -> double {
    return static_cast<double>(value(static_cast<const T*>(x.data)[i * x.row_stride + j * x.column_stride]));
  };
  const double rounding = gemm.is_float ? 0x1p-24 : gemm.dtype == bfloat16 ? 0x1p-8 : 0x1p-11;
  const int64_t a_size = left.size(m, k), b_size = right.size(k, n);
  const std::vector<T> a = gemm.draw(batch * a_size, 1), b = gemm.draw((shared ? 1 : batch) * b_size, 2);
  std::vector<T> out(static_cast<size_t>(batch * m * n), T(-7.0f));
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
        double got = value(out[static_cast<size_t>((i * m + r) * n + c)]);
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
    int64_t b_stride, void* out, Dtype results) {
  auto* gemm = results == float32 ? &cpu::tile_gemm<PlainTiles, T, float> : &cpu::tile_gemm<PlainTiles, T>;
  gemm(batch, m, n, k, a, a_stride, b, b_stride, out);
}

template <class F>
void for_all_gemms(F&& test) {
  auto all = [&]<class T>(Gemm<T> plain) {
    test(plain);
    if (const cpu::TileInstructions* tiles = cpu::amx()) test(Gemm<T>{tiles->gemm});
  };
  all(Gemm<float>{&plain_gemm<float>});
  all(Gemm<bfloat16_t>{&plain_gemm<bfloat16_t>});
  all(Gemm<float16_t>{&plain_gemm<float16_t>});
  if (const cpu::TileInstructions* pairs = cpu::bfloat16_pairs()) test(Gemm<bfloat16_t>{pairs->gemm});
}

TEST(shapes_and_orders) {
  const Layout layouts[] = {{true, 0}, {true, 3}, {false, 0}, {false, 5}};
  for_all_gemms([&]<class T>(const Gemm<T>& gemm) {
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
  });
}

TEST(batches) {
  for_all_gemms([&]<class T>(const Gemm<T>& gemm) {
    for (bool shared : {false, true}) {
      compare(gemm, 5, 20, 40, 33, {true, 0}, {true, 2}, shared);
      compare(gemm, 3, 150, 40, 33, {false, 0}, {true, 0}, shared);
    }
  });
}

TEST(bits_depend_on_nothing_but_the_numbers) {
  const int64_t m = 190, n = 70, k = 2100;
  for_all_gemms([&]<class T>(const Gemm<T>& gemm) {
    const std::vector<T> a = gemm.draw(m * k, 3), b = gemm.draw(k * n, 4);
    auto product = [&](int threads, int64_t rows) {
      int before = cpu::thread_count();
      cpu::set_thread_count(threads);
      std::vector<T> out(static_cast<size_t>(rows * n));
      gemm(1, rows, n, k, {a.data(), k, 1}, 0, {b.data(), n, 1}, 0, out.data());
      cpu::set_thread_count(before);
      return out;
    };
    const std::vector<T> all = product(1, m), three = product(3, m), some = product(2, 37);
    auto same = [](auto& x, auto& y, size_t count) { return std::memcmp(x.data(), y.data(), count * sizeof(T)) == 0; };
    CHECK(same(all, three, all.size()));
    CHECK(same(all, some, some.size()));
  });
}

TEST(infinities_and_nan) {
  for_all_gemms([&]<class T>(const Gemm<T>& gemm) {
    std::vector<T> a(32 * 32, T(1.0f)), b(32 * 32, T(2.0f)), out(32 * 32);
    a[0] = T(INFINITY), a[32] = T(NAN), a[64] = T(INFINITY), a[65] = T(-INFINITY);
    gemm(1, 32, 32, 32, {a.data(), 32, 1}, 0, {b.data(), 32, 1}, 0, out.data());
    CHECK_EQ(value(out[5]), INFINITY);
    CHECK(std::isnan(value(out[32])) && std::isnan(value(out[64])));
    CHECK_EQ(value(out[96]), 64.0f);
  });
}

// What is not finite changes the elements of its row or column, as it would in float32, and no bit of another.
TEST(numbers_that_are_not_finite_change_what_they_meet) {
  const int64_t m = 70, n = 90, k = 1100;
  for_all_gemms([&]<class T>(const Gemm<T>& gemm) {
    const std::vector<T> a = gemm.draw(2 * m * k, 5), b = gemm.draw(2 * k * n, 6);
    auto product = [&](const std::vector<T>& x, const std::vector<T>& y) {
      std::vector<T> out(static_cast<size_t>(2 * m * n));
      gemm(2, m, n, k, {x.data(), k, 1}, m * k, {y.data(), n, 1}, k * n, out.data());
      return out;
    };
    const std::vector<T> plain = product(a, b);
    for (float odd : {INFINITY, -INFINITY, NAN}) {
      const size_t row = 37, column = 80, first = 3, second = 1099; // in the first product
      std::vector<T> x = a, y = b;
      x[row * k + first] = y[second * n + column] = T(odd);
      const std::vector<T> got = product(x, y);
      int64_t wrong = 0;
      for (size_t i = 0; i < got.size(); ++i) {
        const size_t r = i / n, c = i % n;
        const float meets_row = odd * value(b[first * n + c]);
        const float meets_column = r < m ? odd * value(a[r * k + second]) : 0;
        const float result = value(got[i]);
        auto same = [&](float wanted) { return std::isnan(wanted) ? std::isnan(result) : result == wanted; };
        if (r == row && c == column) {
          wrong += !same(meets_row + meets_column);
        } else if (r == row) {
          wrong += !same(meets_row);
        } else if (r < m && c == column) {
          wrong += !same(meets_column);
        } else {
          wrong += !same_bits(got[i], plain[i]);
        }
      }
      CHECK_EQ(wrong, 0);
    }
  });
}

// Numbers of all sizes times 1 are themselves: their digits are exact. Of float16 these are all that there are.
TEST(digits_are_exact) {
  for_all_gemms([&]<class T>(const Gemm<T>& gemm) {
    std::vector<T> one(32 * 32, T(0.0f));
    for (size_t i = 0; i < 32; ++i) one[i * 33] = T(1.0f);
    std::vector<T> all;
    std::mt19937 engine(7);
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      T x;
      const auto half = static_cast<uint16_t>(bits);
      const auto whole = static_cast<uint32_t>(bits << 16 | (engine() & 0xffff));
      std::memcpy(&x, gemm.is_float ? static_cast<const void*>(&whole) : &half, sizeof x);
      const bool flushed = gemm.dtype != float16 && std::abs(value(x)) < 0x1p-126f; // as float32
      all.push_back(std::isfinite(value(x)) && !flushed ? x : T(0.0f));
    }
    std::vector<T> out(all.size());
    gemm(1, 2048, 32, 32, {all.data(), 32, 1}, 0, {one.data(), 32, 1}, 0, out.data());
    int wrong = 0;
    for (size_t i = 0; i < all.size(); ++i) wrong += value(out[i]) != value(all[i]);
    CHECK_EQ(wrong, 0);
  });
}

// Numbers whose digits tiles take for zeros, and products and sums of them that they do, lose nothing that sums in
// float32 keep; nothing else changes by a bit.
TEST(float32_of_any_size) {
  const int64_t m = 70, n = 50, k = 600;
  auto check = [&](const Gemm<float>& gemm) {
    const std::vector<float> a = gemm.draw(m * k, 8), b = gemm.draw(k * n, 9);
    auto product = [&](const std::vector<float>& x, const std::vector<float>& y) {
      std::vector<float> out(static_cast<size_t>(m * n));
      gemm(1, m, n, k, {x.data(), k, 1}, 0, {y.data(), n, 1}, 0, out.data());
      return out;
    };
    const std::vector<float> plain = product(a, b);
    for (int left : {-125, -108, -99, -64, -40, 0, 60, 126}) {
      for (int right : {-120, -60, -30, 0, 20, 60, 100, 120}) {
        std::vector<float> x = a, y = b;
        for (size_t p = 0; p < size_t(k); ++p) x[5 * k + p] = std::ldexp(x[5 * k + p], left);
        for (size_t p = 0; p < size_t(k); ++p) y[p * n + 7] = std::ldexp(y[p * n + 7], right);
        const std::vector<float> got = product(x, y);
        int64_t wrong = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          const size_t r = i / n, c = i % n;
          if (r != 5 && c != 7) {
            wrong += !same_bits(got[i], plain[i]);
            continue;
          }
          double sum = 0, sizes = 0;
          for (size_t p = 0; p < size_t(k); ++p) {
            auto flushed = [](float v) { return std::abs(v) < 0x1p-126f ? 0.0 : double{v}; };
            const double term = flushed(x[r * k + p]) * flushed(y[p * n + c]);
            sum += term, sizes += std::abs(term);
          }
          if (sizes > 0x1p126) continue; // a sum on the way may be too large
          // Products and sums in float32 are flushed, too.
          wrong += !(std::abs(double{got[i]} - sum) <= sizes * 0x1p-23 * std::sqrt(double(k)) + double(k) * 0x1p-126);
        }
        CHECK_EQ(wrong, 0);
      }
    }
  };
  check({&plain_gemm<float>});
  if (const cpu::TileInstructions* tiles = cpu::amx()) check({tiles->gemm});
}

} // namespace
