// Tiles of a product in registers, whose left operand's rows are windows and begin where each other's terms lie.
#include "mlx_core/cpu/window_tiles.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "mlx_core/cpu/window_tiles.cpp"
#include "mlx_core/cpu/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <utility>

#include "mlx_core/cpu/product_arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlx::core::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class P>
struct WindowBodies {
  using T = typename P::Element;
  using V = typename P::Value;
  static constexpr int N = P::lanes;

  struct Task {
    int64_t count;
    const WindowPart* parts;
    const T* x;
    int64_t x_row, x_step;
    const T* weights;
    int64_t row_step;
    T* y;
    int64_t y_row;
    int columns;
    bool add;
  };

  // R windows times W vectors of columns.
  template <int R, int W>
  static HWY_NOINLINE void tile(const Task& task) {
    const int64_t x_row = task.x_row, x_step = task.x_step, row_step = task.row_step;
    V sum[R][W];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < W; ++j) sum[i][j] = P::zero();
    }
    const typename P::D d;
    [[maybe_unused]] const auto mask = hn::FirstN(d, static_cast<size_t>(task.columns));
    // One address for three rows: more than these the registers cannot hold.
    constexpr int groups = (R + 2) / 3;
    for (const WindowPart *part = task.parts, *end = part + task.count; part < end; ++part) {
      const T* first[groups];
#pragma GCC unroll 8
      for (int g = 0; g < groups; ++g) first[g] = task.x + part->from + 3 * g * x_row;
      const T* HWY_RESTRICT b = task.weights + part->row * row_step;
      for (int64_t p = part->length; p > 0; --p, b += row_step) {
        V right[W];
        if constexpr (W == 1 && has_masks<T>) {
          right[0] = hn::MaskedLoad(mask, d, b);
        } else {
#pragma GCC unroll 2
          for (int j = 0; j < W; ++j) right[j] = P::load_packed(b + j * N);
        }
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
          V left = P::spread(first[i / 3] + (i % 3) * x_row);
#pragma GCC unroll 2
          for (int j = 0; j < W; ++j) sum[i][j] = P::multiply_add(left, right[j], sum[i][j]);
        }
#pragma GCC unroll 8
        for (int g = 0; g < groups; ++g) {
          first[g] += x_step;
          asm("" : "+r"(first[g])); // the compiler would have an address for each row instead
        }
      }
    }
    const int rest = task.columns - (W - 1) * N; // of the last vector
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < W; ++j) {
        T* to = task.y + i * task.y_row + j * N;
        if (j < W - 1 || rest == N) {
          P::store(task.add ? P::add(sum[i][j], P::load(to)) : sum[i][j], to);
        } else {
          store_some(sum[i][j], to, rest, task.add);
        }
      }
    }
  }
  static HWY_INLINE void store_some(V v, T* to, int count, bool add) {
    if constexpr (has_masks<T>) {
      const typename P::D d;
      const auto mask = hn::FirstN(d, static_cast<size_t>(count));
      hn::BlendedStore(add ? P::add(v, hn::MaskedLoad(mask, d, to)) : v, mask, d, to);
    } else {
      HWY_ALIGN T part[N];
      P::store(v, part);
      for (int j = 0; j < count; ++j) to[j] = add ? part[j] + to[j] : part[j];
    }
  }

  using Tile = void (*)(const Task&);
  template <int W, int... R>
  static constexpr std::array<Tile, sizeof...(R)> of_rows(std::integer_sequence<int, R...>) {
    return {&tile<R + 1, W>...};
  }

  // Tiles of rows as equal as can be: a last one of few rows would wait for its sums.
  static void tiles(int64_t m, int64_t n, int64_t count, const WindowPart* parts, const void* x, int64_t x_row,
      int64_t x_step, const void* weights, int64_t row_step, void* y, int64_t y_row, bool add) {
    static constexpr auto narrow = of_rows<1>(std::make_integer_sequence<int, P::rows>());
    static constexpr auto whole = of_rows<P::vectors>(std::make_integer_sequence<int, P::rows>());
    Task task{count, parts, static_cast<const T*>(x), x_row, x_step, static_cast<const T*>(weights), row_step,
        static_cast<T*>(y), y_row, static_cast<int>(n), add};
    for (int64_t left = (m + P::rows - 1) / P::rows; left > 0; --left) {
      const int64_t rows = (m + left - 1) / left;
      (n <= N ? narrow : whole)[static_cast<size_t>(rows - 1)](task);
      task.x += rows * x_row, task.y += rows * y_row, m -= rows;
    }
  }
};

template <class P>
const WindowTiles& window_tiles_of() {
  static constexpr WindowTiles all{P::rows, &WindowBodies<P>::tiles};
  return all;
}
const WindowTiles& window_tiles_by_dtype(Dtype dtype) {
  return dtype == float64      ? window_tiles_of<RealProduct<double>>()
         : dtype == complex64  ? window_tiles_of<ComplexProduct<float>>()
         : dtype == complex128 ? window_tiles_of<ComplexProduct<double>>()
                               : window_tiles_of<RealProduct<float>>();
}

} // namespace HWY_NAMESPACE
} // namespace mlx::core::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mlx::core::cpu {
HWY_EXPORT(window_tiles_by_dtype);
const WindowTiles& window_tiles(Dtype dtype) { return HWY_DYNAMIC_DISPATCH(window_tiles_by_dtype)(dtype); }
} // namespace mlx::core::cpu
#endif
