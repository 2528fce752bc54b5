// y_j = a_j y_{j-1} + b_j along an axis; where either factor is 0 the product is 0, whatever the other is. In blocks
// the products of the a_j might overflow where y does not, so a lane is one chain; lanes run side by side. Of float32
// y goes on in double: each rounding of a long sum would take what is small beside it away.
#include "mlx_core/cpu/dispatch.h"
#include "mlx_core/cpu/lanes.h"
#include "mlx_core/cpu/scan.h"
#include "mlx_core/interrupt.h"

namespace mlx::core::cpu {

namespace {

template <typename C>
C next(C a, C y, C b) {
  if constexpr (is_complex<C>) {
    if (a == C(0) || y == C(0)) {
      return b;
    }
    return {a.real() * y.real() - a.imag() * y.imag() + b.real(), a.real() * y.imag() + a.imag() * y.real() + b.imag()};
  } else {
    return ((a == C(0)) | (y == C(0)) ? C(0) : a * y) + b;
  }
}

template <typename T>
struct Recurrence {
  using C = std::conditional_t<is_half<T>, Wide<T>, typename CarriedSum<T>::type>;
  const Lanes<3>& lanes;
  const T *a, *b;
  T* out;

  // W lanes from w on.
  template <int W>
  void chains(int64_t o, int64_t w) const {
    auto [at_a, at_b, to] = lanes.offsets(o, w);
    C y[W] = {};
    InterruptPoll poll(1 << 18); // elements
    for (int64_t i = 0; i < lanes.length; ++i, at_a += lanes.step[0], at_b += lanes.step[1], to += lanes.step[2]) {
      poll(W);
      for (int k = 0; k < W; ++k) {
        y[k] = next(static_cast<C>(a[at_a + k * lanes.pitch[0]]), y[k], static_cast<C>(b[at_b + k * lanes.pitch[1]]));
        out[to + k * lanes.pitch[2]] = static_cast<T>(y[k]);
      }
    }
  }
  // `count` adjacent lanes, row by row.
  void columns(int64_t o, int64_t w, int64_t count) const {
    auto [at_a, at_b, to] = lanes.offsets(o, w);
    C y[widest_strip];
    std::fill_n(y, count, C(0));
    InterruptPoll poll(1 << 18); // elements
    for (int64_t i = 0; i < lanes.length; ++i, at_a += lanes.step[0], at_b += lanes.step[1], to += lanes.step[2]) {
      poll(count);
      auto element = [&](int64_t k) {
        y[k] = next(static_cast<C>(a[at_a + k]), y[k], static_cast<C>(b[at_b + k]));
        out[to + k] = static_cast<T>(y[k]);
      };
      int64_t k = 0;
      for (; k + 8 <= count; k += 8) {
        for (int64_t l = 0; l < 8; ++l) {
          element(k + l);
        }
      }
      for (; k < count; ++k) {
        element(k);
      }
    }
  }

  void run() const {
    int64_t width = lanes.width;
    if (lanes.adjacent()) {
      int64_t strip = lanes.strip(), strips = (width + strip - 1) / strip;
      parallel_items(lanes.outer * strips, std::min(width, strip) * lanes.length, [&](int64_t i) {
        int64_t w = i % strips * strip;
        columns(i / strips, w, std::min(strip, width - w));
      });
      return;
    }
    int64_t groups = (width + 3) / 4;
    parallel_items(lanes.outer * groups, 4 * lanes.length, [&](int64_t i) {
      int64_t w = i % groups * 4;
      if (w + 4 <= width) {
        return chains<4>(i / groups, w);
      }
      for (; w < width; ++w) {
        chains<1>(i / groups, w);
      }
    });
  }
};

} // namespace

void linear_recurrence(Dtype dtype, const void* a, Ints a_strides, const void* b, Ints b_strides, Ints shape, int axis,
    bool reverse, void* out) {
  std::vector<int64_t> out_strides = row_major(shape);
  Lanes<3> lanes(shape, axis, reverse, {a_strides, b_strides, out_strides});
  if (lanes.empty()) {
    return;
  }
  with_inexact_type(dtype, [&]<typename T>(std::type_identity<T>) {
    Recurrence<T>{lanes, static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(out)}.run();
  });
}

} // namespace mlx::core::cpu
