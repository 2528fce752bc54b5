// Convolutions of float32 and bfloat16 by tiles, on tiles made of plain loops, and on the processor's where it has
// them: against sums in double precision, over drawn windows, and with numbers that digits do not hold.
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "mlx_core/cpu/tile_convolve.h"
#include "mlx_core/cpu/tile_instructions.h"
#include "plain_tiles.h"

using namespace mlx::core;
using cpu::TileWindows;
using cpu::Windows;

namespace {

template <class T>
constexpr Dtype dtype_of = std::is_same_v<T, float> ? float32 : bfloat16;

// Windows of some sizes over operands in order.
template <class T>
struct Case {
  Windows w{};
  std::vector<T> x, weights, y;

  Case(std::mt19937& engine) {
    auto pick = [&](std::initializer_list<int64_t> from) { return from.begin()[engine() % from.size()]; };
    w.dtype = w.result = dtype_of<T>;
    w.batch = pick({1, 2, 3}), w.groups = pick({1, 1, 2}), w.channels = pick({1, 3, 16, 24, 32, 33, 64});
    w.columns = pick({1, 5, 16, 17, 32, 40, 70});
    const size_t axes = static_cast<size_t>(pick({1, 2, 3}));
    for (size_t d = 0; d < cpu::window_axes; ++d) {
      const bool there = d + axes >= cpu::window_axes;
      w.in[d] = there ? pick({3, 7, 14, axes == 1 ? int64_t{200} : int64_t{20}}) : 1;
      w.taps[d] = there ? std::min(w.in[d], pick({1, 2, 3, 5})) : 1;
      w.stride[d] = there ? pick({1, 1, 2, 3}) : 1;
      w.dilation[d] = there ? pick({1, 1, 2}) : 1;
      w.low[d] = there ? pick({-1, 0, 1, w.taps[d]}) : 0;
      const int64_t high = there ? pick({-1, 0, 1, w.taps[d]}) : 0;
      const int64_t room = w.in[d] + w.low[d] + high - (w.taps[d] - 1) * w.dilation[d] - 1;
      w.out[d] = std::max<int64_t>(1, room >= 0 ? room / w.stride[d] + 1 : 1);
    }
    int64_t step = w.groups * w.columns;
    for (size_t d = cpu::window_axes; d-- > 0; step *= w.out[d]) w.y_step[d] = step;
    w.y_batch = step;
    std::normal_distribution<float> normal;
    auto draw = [&](int64_t count) {
      std::vector<T> numbers;
      for (int64_t i = 0; i < count; ++i) numbers.push_back(T(normal(engine)));
      return numbers;
    };
    x = draw(w.groups * w.batch * w.in[0] * w.in[1] * w.in[2] * w.channels);
    weights = draw(w.groups * w.columns * w.terms());
    y.assign(static_cast<size_t>(w.batch * step), T(-7.0f));
  }
  template <class Run>
  std::vector<T> operator()(Run&& run) {
    w.x = reinterpret_cast<const char*>(x.data()), w.w = reinterpret_cast<const char*>(weights.data());
    w.y = reinterpret_cast<char*>(y.data());
    run(w, TileWindows(w));
    return y;
  }

  // Calls f(result, its sum, the sum of its terms' sizes), for each.
  template <class F>
  void for_each(F&& f) const {
    for (int64_t position = 0; position < w.positions(); ++position) {
      const Windows::Place p = w.place(position);
      for (int64_t j = 0; j < w.groups * w.columns; ++j) {
        double sum = 0, sizes = 0;
        const T* tap = weights.data() + j * w.terms();
        for (int64_t t = 0; t < w.all_taps(); ++t, tap += w.channels) {
          const int64_t k[] = {t / (w.taps[1] * w.taps[2]), t / w.taps[2] % w.taps[1], t % w.taps[2]};
          int64_t from = j / w.columns * w.batch + p.image;
          bool inside = true;
          for (size_t d = 0; d < cpu::window_axes; ++d) {
            const int64_t i = p.first[d] + k[d] * w.dilation[d];
            inside = inside && i >= 0 && i < w.in[d];
            from = from * w.in[d] + i;
          }
          for (int64_t c = 0; inside && c < w.channels; ++c) {
            const double term = double{static_cast<float>(x[static_cast<size_t>(from * w.channels + c)])} *
                                double{static_cast<float>(tap[c])};
            sum += term, sizes += std::abs(term);
          }
        }
        f(static_cast<float>(y[static_cast<size_t>(p.y + j)]), sum, sizes);
      }
    }
  }
  bool close() const {
    const double rounding = dtype_of<T> == float32 ? 0x1p-24 : 0x1p-8;
    bool all = true;
    for_each([&](double got, double sum, double sizes) {
      if (!(sizes < 0x1p126)) return;
      // Rounded once, after additions in 24 bits; the products of digits that are left out; what is flushed.
      const auto terms = static_cast<double>(w.terms());
      all = all && std::abs(got - sum) <=
                       std::abs(sum) * rounding + sizes * 0x1p-23 * (1 + std::sqrt(terms)) + terms * 0x1p-126;
    });
    return all;
  }
};

template <class T, class F>
void for_all_ways(F&& test) {
  test([](const Windows& w, const TileWindows& t) { cpu::tile_convolve<PlainTiles, T>(w, t); });
  if (const cpu::TileInstructions* tiles = cpu::amx()) test(tiles->convolve);
  if constexpr (std::is_same_v<T, bfloat16_t>) {
    if (const cpu::TileInstructions* pairs = cpu::bfloat16_pairs()) test(pairs->convolve);
  }
}

template <class T>
void drawn() {
  for_all_ways<T>([](auto&& run) {
    std::mt19937 engine(1);
    for (int i = 0; i < 150; ++i) {
      Case<T> one(engine);
      one(run);
      CHECK(one.close());
      CHECK_EQ(started, 0);
    }
  });
}
TEST(drawn_windows) {
  drawn<float>();
  drawn<bfloat16_t>();
}

TEST(bits_do_not_depend_on_threads) {
  for_all_ways<float>([](auto&& run) {
    std::mt19937 engine(2);
    for (int i = 0; i < 20; ++i) {
      Case<float> one(engine);
      const int before = cpu::thread_count();
      cpu::set_thread_count(1);
      const std::vector<float> alone = one(run);
      cpu::set_thread_count(3);
      const std::vector<float> shared = one(run);
      cpu::set_thread_count(before);
      CHECK(std::memcmp(alone.data(), shared.data(), alone.size() * sizeof(float)) == 0);
    }
  });
}

// Numbers that digits do not hold, and windows that hold one.
TEST(float32_of_any_size) {
  for_all_ways<float>([](auto&& run) {
    std::mt19937 engine(3);
    for (int i = 0; i < 100; ++i) {
      Case<float> one(engine);
      const float odd[] = {INFINITY, NAN, 0x1p-108f, 0x1p-125f, 0x1p120f};
      for (int j = 0; j < 3; ++j) one.x[engine() % one.x.size()] = odd[i % 5];
      if (i % 5 == 2) one.weights[engine() % one.weights.size()] = 0x1p-104f;
      one(run);
      CHECK(one.close());
      one.for_each([](float got, double, double sizes) { CHECK(std::isfinite(sizes) || !std::isfinite(got)); });
    }
  });
}

} // namespace
